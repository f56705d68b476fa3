"""Payments that are told by many at once: each gives once."""

import random
from concurrent.futures import ThreadPoolExecutor

from tests.sql.books import Books, call, connect_as_service
from tests.sql.customers import caller_of
from tests.sql.payments import NANOS_PER_CENT, AtStripe, claim, make_buyer, sync
from tests.sql.races import Call, crowd_of

CROWD = 60
LOCK_ACCOUNT = "select from gateway.accounts where id = %s for no key update"
READ_LOTS = "select kind, amount_nanos from gateway.lots where source = %s order by id"


def _post(books: Books, payment: AtStripe) -> Call:
    return "post_payment", {"claim": claim(books, payment), "payment": payment.read()}


def test_one_payment_told_by_many_at_once_in_any_order_gives_once(own_ledger: Books) -> None:
    buyer = make_buyer(own_ledger)
    payment = buyer.pay(500, bonus=7)
    posts = [_post(own_ledger, payment) for _ in range(CROWD)]
    random.Random(6).shuffle(posts)
    with crowd_of(own_ledger, CROWD) as crowd:
        answers = crowd.call_at_once(buyer.account_id, posts, lock=LOCK_ACCOUNT)
    assert {answer["verdict"] for answer in answers} <= {"posted", "superseded"}
    assert own_ledger.rows(READ_LOTS, payment.id) == [("purchase", 500 * NANOS_PER_CENT), ("promo", 7)]
    assert buyer.worth() == 500 * NANOS_PER_CENT + 7
    assert own_ledger.broken_rules() == []


def test_refunds_and_disputes_told_at_once_while_credit_is_spent_come_to_what_the_last_one_said(
    own_ledger: Books,
) -> None:
    buyer = make_buyer(own_ledger)
    payment = buyer.bought(100, bonus=100_000_001)
    calls: list[Call] = []
    for step in range(CROWD // 3):
        (payment.refund if step % 2 else payment.dispute)(2)
        if step % 5 == 4:
            payment.refunds[-1]["status"] = "failed"
        calls.append(_post(own_ledger, payment))
    calls.append(_post(own_ledger, payment))
    spends = [buyer.customer.admitted(tokens=NANOS_PER_CENT) for _ in range(CROWD // 3)]
    price_id = own_ledger.value("select price_id from gateway.provider_offers where model_id = 'test/nano'")
    calls += [
        ("settle", {"generation_id": hold_id, "price_id": price_id, "quantities": {"input_tokens": NANOS_PER_CENT},
                    "usage_source": "provider", "facts": {"outcome": "completed", "is_stream": False}})
        for hold_id in spends
    ]  # fmt: skip
    random.Random(7).shuffle(calls)
    with crowd_of(own_ledger, CROWD) as crowd:
        # Those that pay wait behind the first of them, which has the account and waits for the wallet.
        crowd.call_at_once(buyer.account_id, calls)
    left = 100 - payment.gone_cents
    bonus = 100_000_001 * left // 100
    assert buyer.worth() == (left - len(spends)) * NANOS_PER_CENT + bonus
    assert own_ledger.broken_rules() == []


def test_claims_made_at_once_are_all_different(own_ledger: Books) -> None:
    def claim_often(_: int) -> list[int]:
        with connect_as_service(own_ledger.url) as session:
            return [call(session, "claim_sync", object_id="pi_claims") for _ in range(50)]

    with ThreadPoolExecutor(8) as threads:
        claims = [number for numbers in threads.map(claim_often, range(8)) for number in numbers]
    assert sorted(claims) == list(range(1, 401))


def test_a_payment_of_an_account_that_is_being_deleted_is_given_or_to_be_paid_back_and_never_both(
    own_ledger: Books,
) -> None:
    for _ in range(10):
        buyer = make_buyer(own_ledger)
        buyer.customer.set_key(scopes=["account:write", "inference"])
        payment = buyer.pay(500)
        own_ledger.rows("update gateway.accounts set external_id = null where id = %s", buyer.account_id)
        caller = caller_of(buyer.customer.key_hmac, scope="account:write")
        delete: Call = ("delete_account", {"caller": caller})
        with crowd_of(own_ledger, 2) as crowd:
            answers = crowd.call_at_once(buyer.account_id, [delete, _post(own_ledger, payment)], lock=LOCK_ACCOUNT)
        verdict = sync(own_ledger, payment)["verdict"]
        assert answers[1]["verdict"] == verdict
        assert (buyer.worth() == 0) == (verdict == "refund_due")
    assert own_ledger.broken_rules() == []


def test_an_events_inbox_takes_each_event_once_however_many_bring_it(own_ledger: Books) -> None:
    def receive(_: int) -> bool:
        with connect_as_service(own_ledger.url) as session:
            event = {"id": "evt_1", "type": "charge.refunded", "hints": ["payment:pi_1"], "created": 1_700_000_000}
            return bool(call(session, "receive_event", **event)["is_handled"])

    with ThreadPoolExecutor(8) as threads:
        assert not any(threads.map(receive, range(40)))
    assert own_ledger.rows("select id, tries, hints from gateway.stripe_events") == [("evt_1", 40, ["payment:pi_1"])]
    own_ledger.call("finish_event", id="evt_1")
    assert receive(0) is True
