"""Coupons that many redeem at the same moment."""

from collections import Counter

from tests.sql.books import Books
from tests.sql.gifts import gifts, make_coupon, make_person, outcome, redeeming
from tests.sql.key_owners import receipt_of
from tests.sql.races import CONNECTIONS, crowd_of

LOCK_COUPON = "select from gateway.coupons where code = %s for update"
LOCK_MAILBOX = "select from gateway.accounts where email_normalised = %s for no key update"
READ_COUNT = "select redemptions from gateway.coupons where code = %s"
COUNT_LOTS = "select count(*), count(distinct account_id) from gateway.lots where kind = 'promo' and source = %s"
COUNT_REMEMBERED = "select count(*) from gateway.remembered_people where gift = %s"


def test_of_a_hundred_who_stand_at_a_coupon_for_10_ten_redeem_it(own_ledger: Books) -> None:
    """Each has seen that there are some left, and waits for the coupon itself when it is let go."""
    code = make_coupon(own_ledger, max_redemptions=10)
    people = [make_person(own_ledger) for _ in range(CONNECTIONS)]
    with crowd_of(own_ledger, CONNECTIONS) as crowd:
        calls = [redeeming(person, code) for person in people]
        answers = crowd.call_at_once(code, calls, lock=LOCK_COUPON)
    assert Counter(map(outcome, answers)) == {"redemption": 10, "coupon_used_up": 90}
    assert own_ledger.value(READ_COUNT, code) == 10
    assert own_ledger.rows(COUNT_LOTS, code) == [(10, 10)]
    # Who got nothing is not remembered as if he had: by two things each.
    assert own_ledger.value(COUNT_REMEMBERED, f"coupon:{code}") == 20
    assert own_ledger.broken_rules() == []


def test_one_person_over_two_accounts_redeems_once(own_ledger: Books) -> None:
    code = make_coupon(own_ledger)
    owners = [make_person(own_ledger, mailbox="twice@example.com") for _ in range(2)]
    with crowd_of(own_ledger, 40) as crowd:
        calls = [redeeming(owner, code) for _ in range(20) for owner in owners]
        answers = crowd.call_at_once("twice@example.com", calls, lock=LOCK_MAILBOX)
    assert Counter(map(outcome, answers)) == {"redemption": 1, "coupon_already_redeemed": 39}
    assert sorted(len(gifts(owner)) for owner in owners) == [0, 1]
    assert own_ledger.value(READ_COUNT, code) == 1


def test_a_request_that_is_sent_many_times_at_once_is_answered_alike(own_ledger: Books) -> None:
    owner, code = make_person(own_ledger), make_coupon(own_ledger)
    with crowd_of(own_ledger, 20) as crowd:
        calls = [redeeming(owner, code, receipt=receipt_of("many at once"))] * 20
        answers = crowd.call_at_once(owner.account_id, calls)
    assert Counter(answer["is_replayed"] for answer in answers) == {False: 1, True: 19}
    assert len({answer["redemption"]["id"] for answer in answers}) == 1
    assert len(gifts(owner)) == 1
