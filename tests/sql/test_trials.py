"""The one trial of a person: what it gives, when it ends, and by what he is known again."""

from datetime import timedelta
from typing import Any

import psycopg
import pytest

from tests.sql.books import Books
from tests.sql.gifts import (
    ask,
    delete_account,
    gifts,
    known_person,
    mails,
    make_person,
    outcome,
    reader,
    starting,
)
from tests.sql.key_owners import make_owner, receipt_of, refusal

TEN_DOLLARS = 10_000_000_000
LENGTH = timedelta(days=3)
READ_REMEMBERED = """
    select gift, kind from gateway.remembered_people
     where person_hmac in (select decode(hmac, 'hex') from unnest(%s::text[]) as hmac)
"""
READ_EVENTS = "select event, actor from gateway.audit_log where account_id = %s and event like 'trial%%'"
AGE_TRIAL = """
    update gateway.trials set started_at = now() - interval '30 days', ends_at = now() - %s where account_id = %s
"""
READ_TRIAL_MARKS = "select reminded_at, ended_at from gateway.trials where account_id = %s"


@pytest.fixture(autouse=True)
def _nothing_is_due(books: Books) -> None:
    books.rows("update gateway.trials set ended_at = started_at where ended_at is null")


def _expire(books: Books) -> list[str]:
    """Do what the job does, and return what came of each trial that was due."""
    verdicts = [books.call("expire_trial", account_id=account_id)["verdict"] for account_id in books.call("due_trials")]
    assert books.call("due_trials") == []
    return verdicts


def _told(owner: Any) -> Any:
    answer = owner.books.call("read_trial", caller=reader(owner))
    assert answer["verdict"] == "trial", answer
    return answer


def test_a_trial_is_ten_dollars_for_three_days(books: Books) -> None:
    owner = make_person(books)
    assert (_told(owner)["state"], _told(owner)["terms"]) == ("none", {"days": 3, "amount_nanos": TEN_DOLLARS})
    answer = ask(books, starting(owner))
    ends_at = books.now() + LENGTH
    assert (answer["state"], answer["remaining_nanos"], answer["is_replayed"]) == ("active", TEN_DOLLARS, False)
    assert gifts(owner) == [("trial", None, TEN_DOLLARS, TEN_DOLLARS, ends_at)]
    assert owner.balance()["available_nanos"] == 10_000 + TEN_DOLLARS
    assert mails(owner) == [("trial_started", {"amount_nanos": TEN_DOLLARS, "ends_at": answer["ends_at"]})]
    assert books.rows(READ_EVENTS, owner.account_id) == [("trial_started", "key")]
    assert books.broken_rules(owner.account_id) == []


def test_what_plans_tell_of_a_trial_is_what_it_gives(books: Books) -> None:
    owner = make_person(books)
    ask(books, starting(owner))
    ((kind, _, amount, _, expires_at),) = gifts(owner)
    assert kind == "trial"
    assert books.call("list_plans")["trial"] == {"amount_nanos": amount, "days": (expires_at - books.now()).days}


@pytest.mark.parametrize("zone", ["UTC", "Pacific/Auckland", "America/Sao_Paulo", "Asia/Kathmandu"])
def test_three_days_are_three_times_24_hours_in_whatever_time_zone_the_session_is(books: Books, zone: str) -> None:
    """The clocks of New York go forward on 10 March 2030; a day of its own has 23 hours there."""
    for name in (zone, "America/New_York"):
        owner = make_person(books)
        books.set_time(books.now().replace(year=2030, month=3, day=9, hour=12))
        with psycopg.connect(books.url, autocommit=True) as session:
            session.execute(f"set timezone = '{name}'".encode())
            session.execute("select gateway.make_trial(%s, gateway.clock())", (owner.account_id,))
        assert gifts(owner)[0][4] - books.now() == timedelta(hours=72)


def test_a_second_trial_is_refused_in_the_same_account(books: Books) -> None:
    owner = make_person(books)
    ask(books, starting(owner))
    assert refusal(ask(books, starting(owner))) == (409, "trial_already_used", {})
    books.pass_time(days=30)
    assert outcome(ask(books, starting(owner))) == "trial_already_used"
    assert len(gifts(owner)) == 1


def test_a_deleted_account_does_not_buy_a_second_trial(books: Books) -> None:
    owner = make_person(books, privy_id="did:privy:returns", mailbox="returns@example.com")
    ask(books, starting(owner))
    delete_account(owner)
    again = make_person(books, privy_id="did:privy:returns", mailbox="returns@example.com")
    assert outcome(ask(books, starting(again))) == "trial_already_used"
    assert gifts(again) == []


@pytest.mark.parametrize("same", ["privy_id", "mailbox"])
def test_one_of_the_two_is_enough_to_be_known_again(books: Books, same: str) -> None:
    names: dict[str, Any] = {"privy_id": f"did:privy:one-of-two-{same}", "mailbox": f"one-of-two-{same}@example.com"}
    first = make_person(books, **names)
    ask(books, starting(first))
    delete_account(first)
    again = make_person(books, **{same: names[same]})
    assert outcome(ask(books, starting(again))) == "trial_already_used"


def test_a_refusal_for_the_privy_id_remembers_nobody_by_the_mailbox(books: Books) -> None:
    first = make_person(books, privy_id="did:privy:moved")
    ask(books, starting(first))
    delete_account(first)
    again = make_person(books, privy_id="did:privy:moved", mailbox="somebody.elses@example.com")
    assert outcome(ask(books, starting(again))) == "trial_already_used"
    delete_account(again)
    other = make_person(books, mailbox="somebody.elses@example.com")
    assert outcome(ask(books, starting(other))) == "trial"


def test_who_leaves_without_a_trial_is_not_remembered_and_may_have_one_later(books: Books) -> None:
    owner = make_person(books, privy_id="did:privy:comes-again", mailbox="comes.again@example.com")
    person = known_person(owner)
    delete_account(owner)
    assert books.rows(READ_REMEMBERED, [*person["privy_id_hmacs"], *person["email_hmacs"]]) == []
    again = make_person(books, privy_id="did:privy:comes-again", mailbox="comes.again@example.com")
    assert outcome(ask(books, starting(again))) == "trial"


def test_somebody_is_known_again_under_an_older_secret_of_ours_and_moves_to_the_newest(books: Books) -> None:
    owner = make_person(books)
    ask(books, starting(owner, person=known_person(owner, ["first"])))
    privy_id, mailbox = books.rows(
        "select privy_id, email_normalised from gateway.accounts where id = %s", owner.account_id
    )[0]
    delete_account(owner)
    again = make_person(books, privy_id=privy_id, mailbox=mailbox)
    assert outcome(ask(books, starting(again, person=known_person(again, ["second", "first"])))) == "trial_already_used"
    under = {secret: known_person(again, [secret])["email_hmacs"] for secret in ("first", "second")}
    assert books.rows(READ_REMEMBERED, under["first"]) == []
    assert books.rows(READ_REMEMBERED, under["second"]) == [("trial", "email")]
    assert outcome(ask(books, starting(again, person=known_person(again, ["second"])))) == "trial_already_used"


def test_one_line_remembers_each_thing_whatever_secrets_there_are(books: Books) -> None:
    owner = make_person(books)
    person = known_person(owner, ["a", "b", "c", "a"])
    assert outcome(ask(books, starting(owner, person=person))) == "trial"
    kept = books.rows(READ_REMEMBERED, [*person["privy_id_hmacs"], *person["email_hmacs"]])
    assert sorted(kept) == [("trial", "email"), ("trial", "privy_id")]
    newest = known_person(owner, ["a"])
    assert len(books.rows(READ_REMEMBERED, [*newest["privy_id_hmacs"], *newest["email_hmacs"]])) == 2


def test_an_account_that_nobody_signed_in_to_has_no_trial(books: Books) -> None:
    owner = make_owner(books)
    assert refusal(ask(books, starting(owner))) == (403, "person_unknown", {})


def test_an_address_that_no_token_vouches_for_is_asked_for_first(books: Books) -> None:
    owner = make_person(books)
    books.rows("update gateway.accounts set email = null, email_normalised = null where id = %s", owner.account_id)
    assert refusal(ask(books, starting(owner))) == (403, "verified_email_required", {})
    person = known_person(owner)
    assert books.rows(READ_REMEMBERED, person["privy_id_hmacs"]) == []


def test_an_address_that_changed_meanwhile_gives_nothing_yet(books: Books) -> None:
    owner = make_person(books)
    person = known_person(owner)
    books.rows("update gateway.accounts set email_normalised = 'other@example.com' where id = %s", owner.account_id)
    assert outcome(ask(books, starting(owner, person=person))) == "person_changed"
    assert gifts(owner) == []
    assert books.rows(READ_REMEMBERED, [*person["privy_id_hmacs"], *person["email_hmacs"]]) == []


@pytest.mark.parametrize("missing", ["privy_id_hmacs", "email_hmacs"])
def test_nobody_is_given_anything_without_being_remembered(books: Books, missing: str) -> None:
    owner = make_person(books)
    with pytest.raises(psycopg.errors.InvalidParameterValue):
        ask(books, starting(owner, person={**known_person(owner), missing: []}))
    assert gifts(owner) == []


@pytest.mark.parametrize(
    ("change", "code"),
    [("status = 'suspended'", "account_suspended"), ("dispute_status = 'open'", "payment_disputed")],
)
def test_who_may_only_look_and_pay_is_given_nothing(books: Books, change: str, code: str) -> None:
    owner = make_person(books)
    books.rows(f"update gateway.accounts set {change} where id = %s", owner.account_id)
    assert refusal(ask(books, starting(owner)))[:2] == (403, code)
    assert gifts(owner) == []
    assert _told(owner)["state"] == "none"


def test_a_key_without_the_scope_starts_nothing(books: Books) -> None:
    owner = make_person(books)
    owner.set_key(scopes=["inference", "billing:read"])
    assert refusal(ask(books, starting(owner))) == (403, "missing_scope", {"scope": "billing:write"})
    assert gifts(owner) == []


def test_the_same_request_again_is_answered_as_the_first_time(books: Books) -> None:
    owner = make_person(books)
    call = starting(owner, receipt=receipt_of("start"))
    first, again = ask(books, call), ask(books, call)
    assert (first["is_replayed"], again["is_replayed"]) == (False, True)
    assert {**again, "is_replayed": False} == first
    assert outcome(ask(books, starting(owner, receipt=receipt_of("start", "other body")))) == "idempotency_key_reused"
    assert outcome(ask(books, starting(owner, receipt=receipt_of("another")))) == "trial_already_used"
    assert len(gifts(owner)) == 1


def test_a_trial_is_told_a_day_before_and_at_its_end_and_each_once(books: Books) -> None:
    owner = make_person(books)
    ends_at = ask(books, starting(owner))["ends_at"]
    owner.settle(owner.admitted(tokens=4_000), 4_000)
    books.pass_time(days=1, hours=23, minutes=59)
    assert _expire(books) == []
    books.pass_time(minutes=1)
    assert (_expire(books), _expire(books)) == (["reminded"], [])
    books.pass_time(hours=23, minutes=59)
    assert _expire(books) == []
    assert _told(owner)["remaining_nanos"] == TEN_DOLLARS - 4_000
    books.pass_time(minutes=1)
    assert (_told(owner)["state"], _told(owner)["remaining_nanos"]) == ("ended", 0)
    assert (_expire(books), _expire(books)) == (["ended"], [])
    assert [template for template, _ in mails(owner)] == ["trial_started", "trial_ending", "trial_ended"]
    assert mails(owner)[1][1] == {"ends_at": ends_at, "remaining_nanos": TEN_DOLLARS - 4_000}
    assert gifts(owner)[0][3] == 0
    assert owner.balance()["available_nanos"] == 10_000
    assert books.broken_rules(owner.account_id) == []


def test_a_job_that_comes_late_does_not_announce_what_is_over(books: Books) -> None:
    owner = make_person(books)
    ask(books, starting(owner))
    books.pass_time(days=9)
    assert _expire(books) == ["ended"]
    assert [template for template, _ in mails(owner)] == ["trial_started", "trial_ended"]
    assert books.rows(READ_TRIAL_MARKS, owner.account_id) == [(None, books.now())]


def test_a_trial_ends_by_itself_where_no_job_runs(books: Books) -> None:
    person = make_person(books)
    ask(books, starting(person))
    books.pass_time(days=3)
    assert person.admit(tokens=20_000)["code"] == "insufficient_credits"
    assert person.balance()["available_nanos"] == 10_000
    assert _expire(books) == ["ended"]


def test_what_a_request_holds_when_the_trial_ends_is_still_the_requests(books: Books) -> None:
    owner = make_person(books)
    ask(books, starting(owner))
    generation_id = owner.admitted(tokens=50_000, lifetime_s=4 * 24 * 3600)
    books.pass_time(days=3)
    assert _expire(books) == ["ended"]
    assert owner.settle(generation_id, 30_000)["charged_nanos"] == 30_000
    assert gifts(owner)[0][3] == 0
    assert owner.balance()["posted_nanos"] == 10_000
    assert books.broken_rules(owner.account_id) == []


def test_a_purchase_during_a_trial_and_after_it_just_works(books: Books) -> None:
    owner = make_person(books)
    ask(books, starting(owner))
    assert owner.credit(500, kind="purchase")["verdict"] == "credited"
    books.pass_time(days=3)
    _expire(books)
    assert owner.balance()["available_nanos"] == 10_500
    assert owner.credit(500, kind="purchase")["verdict"] == "credited"
    assert owner.balance()["available_nanos"] == 11_000


def test_an_account_that_was_deleted_in_its_trial_is_closed_and_nobody_is_written_to(books: Books) -> None:
    owner = make_person(books)
    ask(books, starting(owner))
    delete_account(owner)
    books.pass_time(days=3)
    assert _expire(books) == ["ended"]
    assert mails(owner) == []
    assert books.broken_rules(owner.account_id) == []


def test_an_account_without_a_trial_is_nothing_to_the_job(books: Books) -> None:
    owner = make_person(books)
    assert books.call("expire_trial", account_id=owner.account_id) == {"verdict": "unchanged"}
    assert books.call("expire_trial", account_id=999_999) == {"verdict": "unchanged"}
    assert mails(owner) == []


def test_trials_that_are_due_longest_come_first_and_no_more_than_asked_for(own_ledger: Books) -> None:
    owners = [make_person(own_ledger) for _ in range(3)]
    for days_ago, owner in enumerate(owners, start=5):
        ask(own_ledger, starting(owner))
        own_ledger.rows(
            AGE_TRIAL,
            timedelta(days=days_ago),
            owner.account_id,
        )
    oldest_first = [owner.account_id for owner in reversed(owners)]
    assert own_ledger.call("due_trials", limit=2) == oldest_first[:2]
    assert own_ledger.call("due_trials") == oldest_first
