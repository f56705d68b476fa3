"""Trials that are started, ended and lost at the same moment."""

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from tests.sql.books import Books, call
from tests.sql.customers import Customer
from tests.sql.gifts import ask, gifts, known_person, mails, make_person, outcome, starting
from tests.sql.key_owners import receipt_of
from tests.sql.races import (
    CONNECTIONS,
    PATIENCE_S,
    Call,
    Crowd,
    answer_of_the_second,
    crowd_of,
    wait_until_waiting,
)

LOCK_ACCOUNTS_OF_MAILBOX = """
    select from gateway.accounts
     where email_normalised = (select email_normalised from gateway.accounts where id = %s) for no key update
"""
# As two generations of servers have them while SECRET_KEY is being rotated.
GENERATIONS = (("older", "newest"), ("newest", "older"))
COUNT_REMEMBERED = """
    select count(*) from gateway.remembered_people
     where gift = 'trial' and person_hmac in (select decode(hmac, 'hex') from unnest(%s::text[]) as hmac)
"""
COUNT_TRIALS = "select count(*) from gateway.trials where account_id = any (%s)"


@pytest.fixture(scope="module")
def crowd(books: Books) -> Iterator[Crowd]:
    with crowd_of(books, CONNECTIONS) as crowd:
        yield crowd


def _two_accounts(books: Books, name: str) -> tuple[Customer, Customer]:
    """Make two accounts of one person: two Privy ids, one mailbox."""
    one, other = (make_person(books, mailbox=f"{name}@example.com") for _ in range(2))
    return one, other


def test_of_100_starts_by_one_person_over_two_accounts_one_gives_a_trial(books: Books, crowd: Crowd) -> None:
    owners = _two_accounts(books, "twice")
    calls = [starting(owner) for _ in range(CONNECTIONS // 2) for owner in owners]
    answers = crowd.call_at_once(owners[0].account_id, calls, lock=LOCK_ACCOUNTS_OF_MAILBOX)
    assert Counter(map(outcome, answers)) == {"trial": 1, "trial_already_used": 99}
    assert sorted(len(gifts(owner)) for owner in owners) == [0, 1]
    assert sum(len(mails(owner)) for owner in owners) == 1
    assert books.broken_rules() == []


def test_servers_whose_newest_secrets_differ_give_one_trial_too(books: Books, crowd: Crowd) -> None:
    for turn in range(5):
        owners = _two_accounts(books, f"rotation{turn}")
        calls = [
            starting(owner, person=known_person(owner, secrets))
            for _ in range(5)
            for owner, secrets in zip(owners, GENERATIONS, strict=True)
        ]
        answers = crowd.call_at_once(owners[0].account_id, calls, lock=LOCK_ACCOUNTS_OF_MAILBOX)
        assert Counter(map(outcome, answers)) == {"trial": 1, "trial_already_used": 9}
        hmacs = known_person(owners[0], GENERATIONS[0])["email_hmacs"]
        assert books.value(COUNT_REMEMBERED, hmacs) == 1


def test_a_request_that_is_sent_many_times_at_once_is_answered_alike(books: Books, crowd: Crowd) -> None:
    owner = make_person(books)
    calls = [starting(owner, receipt=receipt_of("many at once"))] * 20
    answers = crowd.call_at_once(owner.account_id, calls)
    assert Counter(answer["is_replayed"] for answer in answers) == {False: 1, True: 19}
    assert len(gifts(owner)) == 1


def test_jobs_that_come_at_once_end_a_trial_once_and_write_once(books: Books, crowd: Crowd) -> None:
    owner = make_person(books)
    ask(books, starting(owner))
    expire: Call = ("expire_trial", {"account_id": owner.account_id})
    books.pass_time(days=2)
    told = crowd.call_at_once(owner.account_id, [expire] * 20)
    assert Counter(map(outcome, told)) == {"reminded": 1, "unchanged": 19}
    books.pass_time(days=1)
    ended = crowd.call_at_once(owner.account_id, [expire] * 20)
    assert Counter(map(outcome, ended)) == {"ended": 1, "unchanged": 19}
    assert [template for template, _ in mails(owner)] == ["trial_started", "trial_ending", "trial_ended"]
    assert owner.balance()["available_nanos"] == 10_000
    assert books.broken_rules(owner.account_id) == []


def test_requests_that_meet_the_end_of_a_trial_are_paid_or_refused(books: Books, crowd: Crowd) -> None:
    owner = make_person(books)
    ask(books, starting(owner))
    books.pass_time(days=3)
    expire: Call = ("expire_trial", {"account_id": owner.account_id})
    balance: Call = ("read_balance", {"account_id": owner.account_id})
    answers = crowd.call_at_once(owner.account_id, [expire, balance] * 10)
    assert {answer["available_nanos"] for answer in answers if "available_nanos" in answer} == {10_000}
    assert books.broken_rules(owner.account_id) == []


def _start(owner: Customer, session: psycopg.Connection) -> str:
    session.execute("set role service_role")
    function, arguments = starting(owner)
    return outcome(call(session, function, **arguments))


def test_who_starts_while_another_account_of_his_is_starting_waits_and_is_refused(books: Books) -> None:
    first, second = _two_accounts(books, "waits")
    told = answer_of_the_second(books, lambda session: _start(first, session), lambda session: _start(second, session))
    assert told == "trial_already_used"
    assert books.value(COUNT_TRIALS, [first.account_id, second.account_id]) == 1


def test_a_start_that_comes_to_nothing_leaves_the_trial_to_the_one_that_waits_for_it(books: Books) -> None:
    first, second = _two_accounts(books, "undone")
    with psycopg.connect(books.url) as opener, psycopg.connect(books.url) as follower, ThreadPoolExecutor(1) as thread:
        assert _start(first, opener) == "trial"
        told = thread.submit(_start, second, follower)
        wait_until_waiting(books, 1)
        opener.rollback()
        assert told.result(PATIENCE_S) == "trial"
    assert (len(gifts(first)), len(gifts(second))) == (0, 1)
