"""Credit and plans that an admin gives and takes: once, and never below zero."""

from typing import Any

from tests.sql.admins import OPERATOR, as_admin, events_since, last_event, make_admin
from tests.sql.books import Books
from tests.sql.customers import Customer, make_customer
from tests.sql.gifts import delete_account, make_person
from tests.sql.key_owners import make_owner, receipt_of, refusal
from tests.sql.races import crowd_of

READ_LOTS = "select kind, amount_nanos, remaining_nanos, expires_at from gateway.lots where account_id = %s order by id"
COUNT_TOLD = "select count(*) from gateway.outbox where account_id = %s and template = 'plan_changed'"


def _give(books: Books, customer: Customer, amount: int, key: str = "once", **other: Any) -> Any:
    arguments = {"admin": OPERATOR, "reason": "goodwill", "idempotency_key": key, **other}
    return books.call("give_credit", account_id=customer.account_id, amount_nanos=amount, **arguments)


def _assign(books: Books, customer: Customer, plan_id: str, **other: Any) -> Any:
    return books.call("assign_plan", **{"admin": OPERATOR, **other}, account_id=customer.account_id, plan_id=plan_id)


def test_credit_is_given_for_as_long_as_is_said_and_written_down_with_its_reason(books: Books) -> None:
    admin, customer, before = make_admin(books), make_customer(books), last_event(books)
    answer = _give(books, customer, 700, admin=as_admin(admin), expires_in_days=30)
    assert (answer["verdict"], answer["moved_nanos"], answer["owed_nanos"]) == ("credit", 700, 0)
    assert answer["user"]["available_nanos"] == 700
    ends_at = books.now().replace(day=books.now().day)
    ((kind, amount, remaining, expires_at),) = books.rows(READ_LOTS, customer.account_id)
    assert (kind, amount, remaining, (expires_at - ends_at).days) == ("admin", 700, 700, 30)
    (ledger, given) = events_since(books, before)
    assert ledger[0] == "credit_changed"
    assert given == (
        "credit_given", customer.account_id, admin.key_id, "once",
        {"amount_nanos": 700, "moved_nanos": 700, "owed_nanos": 0, "reason": "goodwill"},
    )  # fmt: skip
    assert books.broken_rules(customer.account_id) == []


def test_the_same_key_gives_once_however_late_it_comes_and_never_another_amount(books: Books) -> None:
    customer, before = make_customer(books), last_event(books)
    _give(books, customer, 700)
    books.pass_time(days=400)
    again = _give(books, customer, 700)
    assert (again["is_repeated"], again["moved_nanos"]) == (True, 700)
    assert refusal(_give(books, customer, 701)) == (409, "idempotency_key_reused", {"amount_nanos": 700})
    assert customer.balance()["posted_nanos"] == 700
    assert [event for event, *_ in events_since(books, before)] == ["credit_changed", "credit_given"]


def test_the_keys_of_two_admins_do_not_meet(books: Books) -> None:
    customer = make_customer(books)
    for who in (as_admin(make_admin(books)), as_admin(make_admin(books)), OPERATOR):
        assert _give(books, customer, 100, admin=who)["is_repeated"] is False
    assert customer.balance()["posted_nanos"] == 300


def test_what_is_taken_back_and_spent_already_is_owed_and_the_balance_never_below_zero(books: Books) -> None:
    customer = make_customer(books)
    _give(books, customer, 700)
    customer.settle(customer.admitted(tokens=300), 300)
    answer = _give(books, customer, -1_000, "back")
    assert (answer["amount_nanos"], answer["moved_nanos"], answer["owed_nanos"]) == (-1_000, -400, 600)
    assert (answer["user"]["posted_nanos"], answer["user"]["owed_nanos"]) == (0, 600)
    assert books.broken_rules(customer.account_id) == []


def test_what_requests_hold_is_not_taken_from_under_them(books: Books) -> None:
    customer = make_customer(books)
    _give(books, customer, 700)
    held = customer.admitted(tokens=500)
    assert _give(books, customer, -700, "back")["moved_nanos"] == -200
    assert customer.settle(held, 500)["charged_nanos"] == 500
    assert books.broken_rules(customer.account_id) == []


def test_nothing_is_given_for_nothing_to_nobody_and_to_nobody_any_more(books: Books) -> None:
    customer, person = make_customer(books), make_person(books)
    assert refusal(_give(books, customer, 0)) == (400, "zero_amount", {})
    answer = books.call("give_credit", admin=OPERATOR, account_id=999, amount_nanos=5, reason="r", idempotency_key="k")
    assert refusal(answer) == (404, "user_not_found", {})
    delete_account(person)
    assert refusal(_give(books, person, 5)) == (409, "account_deleted", {})


def test_who_is_no_admin_gives_himself_nothing(books: Books) -> None:
    owner = make_owner(books)
    assert refusal(_give(books, owner, 700, admin=as_admin(owner))) == (403, "admin_required", {})
    assert refusal(_assign(books, owner, "team", admin=as_admin(owner))) == (403, "admin_required", {})
    assert owner.balance()["posted_nanos"] == 10_000


def test_a_repeated_request_gives_once_also_where_many_come_at_the_same_time(own_ledger: Books) -> None:
    books, customer = own_ledger, make_customer(own_ledger)
    arguments: dict[str, object] = {
        "admin": OPERATOR, "account_id": customer.account_id, "amount_nanos": 700, "reason": "r",
        "idempotency_key": "k", "receipt": receipt_of("many"),
    }  # fmt: skip
    with crowd_of(books, 10) as crowd:
        answers = crowd.call_at_once(customer.account_id, [("give_credit", arguments)] * 10, least=10)
    assert sum("is_replayed" not in answer for answer in answers) == 1
    assert customer.balance()["posted_nanos"] == 700
    assert books.broken_rules() == []


def test_a_plan_is_assigned_with_its_limits_and_none_of_its_credit(books: Books) -> None:
    admin, person, before = make_admin(books), make_person(books), last_event(books)
    books.rows("update gateway.accounts set plan_id = 'free', base_plan_id = 'free' where id = %s", person.account_id)
    for _ in range(2):
        answer = _assign(books, person, "team", admin=as_admin(admin))
        assert (answer["user"]["plan_id"], answer["user"]["base_plan_id"]) == ("team", "team")
        assert answer["fingerprints"] == [person.key_hmac]
    assert person.admit(tokens=1)["policy"]["account"]["requests_per_minute"] == 3000
    assert person.balance()["posted_nanos"] == 10_000
    assert events_since(books, before) == [
        ("plan_assigned", person.account_id, admin.key_id, "team", {"base_from": "free", "from": "free", "to": "team"})
    ]
    assert books.value(COUNT_TOLD, person.account_id) == 1


def test_a_plan_that_there_is_not_is_assigned_to_nobody_and_none_to_who_is_gone(books: Books) -> None:
    person = make_person(books)
    assert refusal(_assign(books, person, "no-such")) == (404, "unknown_plan", {"plan_id": "no-such"})
    delete_account(person)
    assert refusal(_assign(books, person, "team")) == (409, "account_deleted", {})
