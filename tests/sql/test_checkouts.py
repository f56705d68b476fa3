"""What may be bought, and what is written down of it before Stripe is asked."""

import uuid
from datetime import datetime, timedelta
from typing import Any

import psycopg
import pytest

from tests.sql.books import Books
from tests.sql.customers import caller_of
from tests.sql.key_owners import receipt_of
from tests.sql.payments import Buyer, make_buyer, sync
from tests.sql.races import crowd_of
from tests.sql.subscribers import DEV, TEAM, StripeSubscription, sell_plans

LOCK_ACCOUNT = "select from gateway.accounts where id = %s for no key update"
COUNT = "select count(*) from gateway.checkouts where account_id = %s"


@pytest.fixture(autouse=True, scope="module")
def _prices(books: Books) -> None:
    sell_plans(books)


def _buyer(books: Books) -> Buyer:
    buyer = make_buyer(books)
    buyer.customer.set_key(scopes=["billing:write", "billing:read"])
    return buyer


def _order(buyer: Buyer, *, receipt: Any = None, **other: object) -> Any:
    checkout = {"id": str(uuid.uuid4()), "kind": "credits", **other}
    caller = caller_of(buyer.customer.key_hmac, scope="billing:write")
    return buyer.books.call("open_checkout", caller=caller, checkout=checkout, receipt=receipt)


def _plan(buyer: Buyer, plan_id: str, interval: str = "month") -> Any:
    return _order(buyer, kind="plan", plan_id=plan_id, interval=interval)


def _refused(answer: Any) -> tuple[int, str]:
    assert answer["verdict"] == "refused", answer
    assert "policy" in answer
    return answer["status"], answer["code"]


@pytest.mark.parametrize(
    ("cents", "bonus"),
    [(500, 0), (9_999, 0), (10_000, 5_000_000_000), (50_001, 50_001_000_000), (500_000, 500_000_000_000)],
)
def test_credits_are_bought_within_bounds_with_the_bonus_of_their_tier(books: Books, cents: int, bonus: int) -> None:
    buyer = _buyer(books)
    answer = _order(buyer, amount_cents=cents)
    checkout = answer["checkout"]
    assert (checkout["amount_cents"], checkout["bonus_nanos"]) == (cents, bonus)
    assert (answer["account_id"], answer["customer_id"], answer["is_replayed"]) == (
        buyer.account_id,
        buyer.customer_id,
        False,
    )


@pytest.mark.parametrize("cents", [499, 500_001, 0, -500, None])
def test_less_or_more_is_refused_with_both_bounds(books: Books, cents: int | None) -> None:
    buyer = _buyer(books)
    answer = _order(buyer, amount_cents=cents)
    assert _refused(answer) == (400, "amount_out_of_range")
    assert answer["numbers"] == {"min_cents": 500, "max_cents": 500_000}
    assert books.value(COUNT, buyer.account_id) == 0


@pytest.mark.parametrize(
    "told", [{"bonus_nanos": 10**12}, {"account_id": 1}, {"url": "https://x", "stripe_session_id": "cs"}]
)
def test_what_a_caller_says_of_the_terms_is_not_heard(books: Books, told: dict[str, object]) -> None:
    buyer = _buyer(books)
    checkout = _order(buyer, amount_cents=500, **told)["checkout"]
    assert (checkout["bonus_nanos"], checkout["url"], checkout["session_id"]) == (0, None, None)
    assert books.value(COUNT, buyer.account_id) == 1


@pytest.mark.parametrize("told", [{"kind": "gift"}, {"kind": None}, {"id": None}])
def test_a_checkout_has_its_id_and_its_kind(books: Books, told: dict[str, object]) -> None:
    with pytest.raises(psycopg.errors.InvalidParameterValue):
        _order(_buyer(books), amount_cents=500, **told)


def test_plans_that_are_not_there_or_not_for_sale_are_refused(books: Books) -> None:
    buyer = _buyer(books)
    assert _refused(_plan(buyer, "gold")) == (404, "unknown_plan")
    assert _refused(_plan(buyer, "free")) == (400, "plan_not_for_sale")
    assert _refused(_plan(buyer, "dev", "week")) == (400, "plan_not_for_sale")
    books.rows("update gateway.plans set is_offered = false where id = 'team'")
    assert _refused(_plan(buyer, "team")) == (400, "plan_not_for_sale")
    books.rows("update gateway.plans set is_offered = true where id = 'team'")


def test_who_has_a_plan_is_told_of_his_subscription_and_may_order_any_other(books: Books) -> None:
    buyer = _buyer(books)
    begun = int(books.now().timestamp())
    subscription = StripeSubscription(buyer.customer_id, DEV, "month", begun)
    _post(buyer, subscription)
    assert _refused(_plan(buyer, "dev")) == (409, "already_on_plan")
    for plan_id, interval in (("dev", "year"), ("team", "month"), ("free", "month"), ("pay_as_you_go", "month")):
        told = _plan(buyer, plan_id, interval)["subscription"]
        assert (told["id"], told["item_id"], told["plan_id"]) == (subscription.id, f"si_{subscription.id}", "dev")
    subscription.cancels_at = begun + 1000
    _post(buyer, subscription)
    assert _plan(buyer, "dev")["verdict"] == "checkout"
    subscription.cancels_at, subscription.scheduled = None, {"price_id": TEAM.price_id("month"), "at": begun + 1000}
    _post(buyer, subscription)
    assert _plan(buyer, "dev")["verdict"] == "checkout"


def test_a_plan_that_is_not_paid_for_may_be_ordered_and_is_to_be_paid_first(books: Books) -> None:
    buyer = _buyer(books)
    begun = int(books.now().timestamp())
    subscription = StripeSubscription(buyer.customer_id, DEV, "month", begun)
    _post(buyer, subscription, status="past_due")
    for days in (1, 30):
        order = _plan(buyer, "dev")
        assert order["verdict"] == "checkout"
        weighed = books.call("weigh_plan_change", checkout_id=order["checkout"]["id"])
        assert (weighed["move"], weighed["subscription_id"]) == ("pay_first", subscription.id)
        books.pass_time(days=days)


def test_whoever_has_two_subscriptions_ends_both_and_keeps_one_where_he_orders_a_plan(books: Books) -> None:
    buyer = _buyer(books)
    begun = int(books.now().timestamp())
    dev, team = (StripeSubscription(buyer.customer_id, plan, "month", begun) for plan in (DEV, TEAM))
    for subscription in (dev, team):
        _post(buyer, subscription)
    for plan_id, moves in (("team", [dev]), ("free", [team, dev])):
        dev.cancels_at = None
        _post(buyer, dev)
        checkout_id = _plan(buyer, plan_id)["checkout"]["id"]
        for number, subscription in enumerate(moves):
            weighed = books.call("weigh_plan_change", checkout_id=checkout_id)
            assert (weighed["move"], weighed["subscription_id"]) == ("cancel", subscription.id)
            subscription.cancels_at = begun + 1000 * (number + 1)
            _post(buyer, subscription)
        assert books.call("weigh_plan_change", checkout_id=checkout_id)["move"] == "none"
    ends_at = datetime.fromisoformat(books.call("weigh_plan_change", checkout_id=checkout_id)["comes_at"])
    assert ends_at.timestamp() == begun + 2000


def _post(buyer: Buyer, subscription: StripeSubscription, **other: str) -> None:
    claim = buyer.books.call("claim_sync", object_id=subscription.id)
    answer = buyer.books.call("post_subscription", claim=claim, subscription={**subscription.told(), **other})
    assert answer["verdict"] == "posted"


def test_the_first_session_of_a_checkout_stays(books: Books) -> None:
    buyer = _buyer(books)
    checkout_id = _order(buyer, amount_cents=500)["checkout"]["id"]
    for session in ("cs_1", "cs_2"):
        kept = books.call(
            "keep_checkout", checkout_id=checkout_id, stripe_session_id=session, url=f"https://pay/{session}",
            expires_at=books.now() + timedelta(hours=24),
        )  # fmt: skip
        assert (kept["verdict"], kept["checkout"]["session_id"], kept["checkout"]["url"]) == (
            "checkout_kept", "cs_1", "https://pay/cs_1",
        )  # fmt: skip


def test_the_same_order_again_is_the_same_checkout_and_another_under_its_key_is_refused(own_ledger: Books) -> None:
    buyer = _buyer(own_ledger)
    caller = caller_of(buyer.customer.key_hmac, scope="billing:write")
    orders: list[tuple[str, dict[str, object]]] = [
        ("open_checkout", {"caller": caller, "receipt": receipt_of("k"),
                           "checkout": {"id": str(uuid.uuid4()), "kind": "credits", "amount_cents": 500}})
        for _ in range(20)
    ]  # fmt: skip
    with crowd_of(own_ledger, 20) as crowd:
        answers = crowd.call_at_once(buyer.account_id, orders, lock=LOCK_ACCOUNT)
    assert len({answer["checkout"]["id"] for answer in answers}) == 1
    assert sorted(answer["is_replayed"] for answer in answers) == [False] + [True] * 19
    assert own_ledger.value(COUNT, buyer.account_id) == 1
    other = _order(buyer, amount_cents=600, receipt=receipt_of("k", "another body"))
    assert _refused(other) == (409, "idempotency_key_reused")


def test_the_first_customer_of_an_account_stays_and_belongs_to_it_alone(books: Books) -> None:
    buyer, other = _buyer(books), _buyer(books)
    again = books.call("keep_customer", account_id=buyer.account_id, customer_id="cus_other")
    assert again["customer_id"] == buyer.customer_id
    books.rows("update gateway.accounts set stripe_customer_id = null where id = %s", other.account_id)
    with pytest.raises(psycopg.errors.UniqueViolation):
        books.call("keep_customer", account_id=other.account_id, customer_id=buyer.customer_id)


def test_what_names_the_payer_goes_when_his_account_does(books: Books) -> None:
    buyer = _buyer(books)
    payment = buyer.pay(500)
    payment.more = {"receipt_url": "https://receipt"}
    sync(books, payment)
    checkout_id = _order(buyer, amount_cents=500)["checkout"]["id"]
    session = {"stripe_session_id": f"cs_{checkout_id}", "url": "https://pay", "expires_at": books.now()}
    books.call("keep_checkout", checkout_id=checkout_id, **session)
    books.rows("select gateway.erase_account(%s, gateway.clock())", buyer.account_id)
    sync(books, payment)
    left = """
        select (select count(receipt_url) from gateway.payments where account_id = %s),
               (select count(url) from gateway.checkouts where account_id = %s)
    """
    assert books.rows(left, buyer.account_id, buyer.account_id) == [(0, 0)]
