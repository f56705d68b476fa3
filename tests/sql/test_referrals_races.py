"""Purchases, rewards and codes that meet at the same moment."""

import threading
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg

from tests.sql.books import Books, call, connect_as_service
from tests.sql.customers import Customer
from tests.sql.gifts import applying, ask, make_person, outcome
from tests.sql.payments import AtStripe, Buyer, claim
from tests.sql.races import PATIENCE_S, Call, crowd_of
from tests.sql.referrals import REWARD, code_of, make_newcomer, referred_buyer, rewards, settle_rewards

GIVEN = [(REWARD, REWARD)]
LOCK_MAILBOX = "select from gateway.accounts where email_normalised = %s for no key update"
LOCK_ACCOUNT = "select from gateway.accounts where id = %s for no key update"
ROUNDS = 15


def _settling(referrer: Customer) -> Call:
    return "reward_referrer", {"account_id": referrer.account_id}


def _posting(buyer: Buyer, payment: AtStripe) -> Call:
    return "post_payment", {"claim": claim(buyer.books, payment), "payment": payment.read()}


def test_two_purchases_that_are_posted_at_once_earn_one_reward(own_ledger: Books) -> None:
    referrer = make_person(own_ledger, credit=0)
    with crowd_of(own_ledger, 20) as crowd:
        for _ in range(3):
            buyer = referred_buyer(referrer)
            payments = [buyer.pay(1_000) for _ in range(2)]
            answers = crowd.call_at_once(buyer.account_id, [_posting(buyer, payment) for payment in payments * 10])
            assert {answer["verdict"] for answer in answers} <= {"posted", "superseded"}
            assert rewards(buyer.customer) == GIVEN
    assert settle_rewards(own_ledger) == 3
    assert rewards(referrer) == 3 * GIVEN
    assert own_ledger.broken_rules() == []


def test_rewards_that_are_settled_by_many_at_once_are_given_once(own_ledger: Books) -> None:
    for _ in range(ROUNDS):
        referrer = make_person(own_ledger, credit=0)
        for _ in range(2):
            referred_buyer(referrer).bought(1_000)
        counts = _all_at_once(own_ledger, [_settling(referrer)] * 10)
        assert sum(answer["count"] for answer in counts) == 2
        assert rewards(referrer) == 2 * GIVEN
    assert settle_rewards(own_ledger) == 0
    assert own_ledger.broken_rules() == []


def test_people_who_have_referred_each_other_wait_for_nobody_for_ever(own_ledger: Books) -> None:
    """Each of three was brought by the next, in a ring: purchases and refunds of all, and rewards, all at once."""
    ring = [make_newcomer(own_ledger) for _ in range(3)]
    for buyer, referrer in zip(ring, [*ring[1:], ring[0]], strict=True):
        assert outcome(ask(own_ledger, applying(buyer.customer, code_of(referrer.customer)))) == "referral"
    payments = [buyer.pay(1_000) for buyer in ring]
    for number in range(ROUNDS):
        for payment in payments:
            payment.refunds.clear()
            if number % 2:
                payment.refund(1_000)
        posting = [_posting(buyer, payment) for buyer, payment in zip(ring, payments, strict=True)]
        answers = _all_at_once(own_ledger, [*posting, *[_settling(buyer.customer) for buyer in ring] * 2])
        assert all("verdict" in answer for answer in answers[:3])
        settle_rewards(own_ledger)
        kept = [sum(remaining for _, remaining in rewards(buyer.customer)) for buyer in ring]
        assert kept == [0 if number % 2 else 2 * REWARD] * 3
    assert own_ledger.broken_rules() == []


def _all_at_once(books: Books, calls: Sequence[Call]) -> list[Any]:
    """Return the answers of calls that begin together, each in a session of its own."""
    sessions = [connect_as_service(books.url) for _ in calls]
    start = threading.Barrier(len(calls))

    def make(session: psycopg.Connection, asked: Call) -> Any:
        start.wait(PATIENCE_S)
        function, arguments = asked
        return call(session, function, **arguments)

    try:
        with ThreadPoolExecutor(len(calls)) as threads:
            return list(threads.map(make, sessions, calls))
    finally:
        for session in sessions:
            session.close()


def test_one_person_over_two_accounts_comes_by_one_code(own_ledger: Books) -> None:
    code = code_of(make_person(own_ledger))
    people = [make_newcomer(own_ledger, mailbox="twice@example.com").customer for _ in range(2)]
    with crowd_of(own_ledger, 40) as crowd:
        calls = [applying(person, code) for _ in range(20) for person in people]
        answers = crowd.call_at_once("twice@example.com", calls, lock=LOCK_MAILBOX)
    assert Counter(map(outcome, answers)) == {"referral": 1, "referral_already_applied": 39}


def test_a_code_that_is_asked_for_by_many_at_once_is_one(own_ledger: Books) -> None:
    owner = make_person(own_ledger)
    asked: Call = ("read_referral", {"caller": owner.caller(scope="billing:read")})
    with crowd_of(own_ledger, 20) as crowd:
        answers = crowd.call_at_once(owner.account_id, [asked] * 20, lock=LOCK_ACCOUNT)
    assert len({answer["code"] for answer in answers}) == 1
