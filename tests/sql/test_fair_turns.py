"""What is still to be done at Stripe takes turns, and who is rewarded by one payment is found by it."""

import time

from tests.sql.books import Books
from tests.sql.gifts import make_person
from tests.sql.payments import AtStripe, claim, make_buyer, sync
from tests.sql.referrals import referred_buyer, settle_rewards
from tests.sql.subscribers import DEV, make_subscriber, sell_plans
from tests.sql.test_payments import DELETE_ACCOUNT


def _due_payment(books: Books) -> AtStripe:
    buyer = make_buyer(books)
    payment = buyer.pay(500)
    books.rows(DELETE_ACCOUNT, buyer.account_id)
    assert sync(books, payment)["verdict"] == "refund_due"
    return payment


def test_refunds_that_always_fail_are_tried_after_all_others(own_ledger: Books) -> None:
    failing, other = _due_payment(own_ledger), _due_payment(own_ledger)
    assert own_ledger.call("due_refunds", limit=1) == [failing.id]
    # Each attempt claims a number before it asks anything of Stripe.
    claim(own_ledger, failing)
    assert own_ledger.call("due_refunds", limit=1) == [other.id]
    assert own_ledger.call("due_refunds", limit=2) == [other.id, failing.id]


def test_cancellations_that_always_fail_are_tried_after_all_others(own_ledger: Books) -> None:
    sell_plans(own_ledger)
    ids = []
    for _ in range(2):
        subscriber = make_subscriber(own_ledger)
        subscription = subscriber.subscribe(DEV, "month", int(time.time()))
        subscriber.post(subscription.told())
        own_ledger.rows(DELETE_ACCOUNT, subscriber.account_id)
        ids.append(subscription.id)
    failing, other = own_ledger.call("due_cancellations", limit=2)
    assert {failing, other} == set(ids)
    own_ledger.call("claim_sync", object_id=failing)
    assert own_ledger.call("due_cancellations", limit=1) == [other]


def test_a_payment_finds_its_own_referrer_and_no_other(own_ledger: Books) -> None:
    first, second = (make_person(own_ledger, credit=0) for _ in range(2))
    payments = [referred_buyer(person).bought(1_000) for person in (first, second)]
    found = [own_ledger.call("due_referrers", payment_id=payment.id) for payment in payments]

    assert found == [[first.account_id], [second.account_id]]
    assert own_ledger.call("due_referrers") == [first.account_id, second.account_id]
    settle_rewards(own_ledger)
    assert own_ledger.call("due_referrers", payment_id=payments[0].id) == []
