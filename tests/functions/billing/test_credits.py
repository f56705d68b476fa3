"""Credits are bought on Stripe's page, at our terms."""

import asyncio
from typing import Any

import pytest

from tests.functions.billing.customer import Customer, Market
from tests.functions.keys.client import outcome


async def test_what_is_paid_is_credited_to_the_cent(customer: Customer) -> None:
    checkout = await customer.order(kind="credits", amount="25.00")
    assert checkout["object"] == "checkout"
    assert (checkout["kind"], checkout["status"]) == ("credits", "open")
    assert (checkout["amount"], checkout["bonus"]) == ("25.000000000", "0.000000000")
    assert checkout["expires_at"] is not None
    assert customer.credits == []

    session = customer.pay(checkout)
    assert (session["amount_total"], session["currency"]) == (2_500, "usd")
    assert customer.credits == [("purchase", 2_500)]
    payment = await customer.read(f"/billing/payments/{session['payment_intent']}")
    assert (payment["status"], payment["amount"], payment["credit"]) == ("succeeded", "25.000000000", "25.000000000")
    assert payment["checkout_id"] == checkout["id"]
    assert payment["receipt_url"] is not None
    customer.check_books()


@pytest.mark.parametrize(
    ("amount", "cents", "bonus_cents"),
    [
        ("5", 500, 0),
        (7, 700, 0),
        ("99.99", 9_999, 0),
        ("100.00", 10_000, 500),
        # Five percent of a hundred dollars and a cent ends below the cent, and is given as it is.
        ("100.01", 10_001, 500),
        ("500", 50_000, 5_000),
        ("5000.000", 500_000, 50_000),
    ],
)
async def test_a_larger_purchase_has_its_bonus(
    customer: Customer, amount: str | int, cents: int, bonus_cents: int
) -> None:
    checkout = await customer.order(kind="credits", amount=amount)
    assert checkout["amount"] == f"{cents // 100}.{cents % 100:02d}0000000"
    assert checkout["bonus"] == ("5.000500000" if cents == 10_001 else f"{bonus_cents // 100}.000000000")
    assert customer.pay(checkout)["amount_total"] == cents
    given = [("purchase", cents), ("promo", bonus_cents)] if bonus_cents else [("purchase", cents)]
    assert customer.credits == given
    customer.check_books()


@pytest.mark.parametrize(
    ("order", "code", "param"),
    [
        ({"kind": "credits", "amount": "4.99"}, "amount_out_of_range", "amount"),
        ({"kind": "credits", "amount": "5000.01"}, "amount_out_of_range", "amount"),
        ({"kind": "credits", "amount": 0}, "amount_out_of_range", "amount"),
        ({"kind": "credits", "amount": "9999999.99"}, "amount_out_of_range", "amount"),
        ({"kind": "credits", "amount": "25.001"}, "invalid_request", "amount"),
        ({"kind": "credits", "amount": 25.0}, "invalid_request", "amount"),
        ({"kind": "credits", "amount": 25.1}, "invalid_request", "amount"),
        ({"kind": "credits", "amount": True}, "invalid_request", "amount"),
        ({"kind": "credits", "amount": "-25.00"}, "invalid_request", "amount"),
        ({"kind": "credits", "amount": "2.5e1"}, "invalid_request", "amount"),
        ({"kind": "credits", "amount": "25,00"}, "invalid_request", "amount"),
        ({"kind": "credits", "amount": " 25"}, "invalid_request", "amount"),
        ({"kind": "credits", "amount": "NaN"}, "invalid_request", "amount"),
        ({"kind": "credits", "amount": None}, "invalid_request", "amount"),
        ({"kind": "credits"}, "invalid_request", "amount"),
        ({"kind": "credits", "amount": "25.00", "bonus": "100.00"}, "invalid_request", "bonus"),
        ({"kind": "gift", "amount": "25.00"}, "invalid_request", "kind"),
        ({"amount": "25.00"}, "invalid_request", "kind"),
        ({"kind": "plan", "plan_id": "no-such-plan"}, "unknown_plan", "plan_id"),
        ({"kind": "plan", "plan_id": "free"}, "plan_not_for_sale", "plan_id"),
        ({"kind": "plan", "plan_id": "DEV"}, "invalid_request", "plan_id"),
        ({"kind": "plan", "plan_id": "dev", "interval": "week"}, "invalid_request", "interval"),
        ({"kind": "plan", "plan_id": "dev", "amount": "1.00"}, "invalid_request", "amount"),
        ({"kind": "plan"}, "invalid_request", "plan_id"),
    ],
)
async def test_what_is_not_for_sale_is_refused_by_its_field(
    customer: Customer, order: dict[str, Any], code: str, param: str
) -> None:
    answer = await customer.check_out(**order)
    assert answer.status in {400, 404}
    assert (answer.error["code"], answer.error["param"]) == (code, param)
    assert not customer.double.look("/calls")["data"]


async def test_the_alias_sells_the_same(customer: Customer) -> None:
    answer = await customer.holder.call("POST", "/api/stripe/checkout", {"kind": "credits", "amount": "25.00"})
    assert answer.status == 200
    customer.pay(answer.json)
    assert customer.credits == [("purchase", 2_500)]


async def test_a_refused_card_credits_nothing_and_another_one_does(customer: Customer) -> None:
    checkout = await customer.order(kind="credits", amount="25.00")
    customer.pay_in_vain(checkout)
    assert customer.credits == []
    customer.pay(checkout)
    assert customer.credits == [("purchase", 2_500)]


async def test_the_same_request_again_is_the_same_checkout(customer: Customer) -> None:
    headers = {"Idempotency-Key": "one"}
    first = await customer.check_out(headers, kind="credits", amount="25.00")
    again = await customer.check_out(headers, kind="credits", amount="25.00")
    by_alias = await customer.holder.call(
        "POST", "/api/stripe/checkout", {"kind": "credits", "amount": "25.00"}, headers
    )
    assert first.json == again.json == by_alias.json
    assert "Idempotent-Replayed" not in first.headers
    assert again.headers["Idempotent-Replayed"] == by_alias.headers["Idempotent-Replayed"] == "true"
    other = await customer.check_out(headers, kind="credits", amount="26.00")
    assert outcome(other) == "idempotency_key_reused"
    customer.pay(first.json)
    assert (await customer.order(headers, kind="credits", amount="25.00"))["id"] == first.json["id"]
    assert customer.credits == [("purchase", 2_500)]


async def test_of_many_at_once_under_one_key_one_is_made(customer: Customer) -> None:
    headers = {"Idempotency-Key": "many"}
    answers = await asyncio.gather(*(customer.check_out(headers, kind="credits", amount="25.00") for _ in range(12)))
    assert {answer.status for answer in answers} == {200}
    assert len({answer.json["id"] for answer in answers}) == 1
    # Whatever else Stripe has made, nobody hears of a second page.
    assert len({answer.json["url"] for answer in answers}) == 1
    customer.pay(answers[0].json)
    assert customer.credits == [("purchase", 2_500)]


async def test_two_checkouts_at_once_are_two_of_one_customer(customer: Customer) -> None:
    checkouts = await asyncio.gather(*(customer.order(kind="credits", amount="25.00") for _ in range(6)))
    assert len({checkout["id"] for checkout in checkouts}) == 6
    sessions = customer.double.read("/checkout/sessions", limit=100)["data"]
    assert len(sessions) == 6
    assert len({session["customer"] for session in sessions}) == 1
    for checkout in checkouts[:2]:
        customer.pay(checkout)
    assert customer.credits == [("purchase", 2_500), ("purchase", 2_500)]
    customer.check_books()


@pytest.mark.parametrize("kind", ["error", "late_error", "lost"])
async def test_what_breaks_at_stripe_is_mended_by_asking_again(market: Market, kind: str) -> None:
    customer, headers = market.customer(), {"Idempotency-Key": "again"}
    market.double.control("/faults", kind=kind, status=500, times=20, path="/v1/checkout/sessions", method="POST")
    refused = await customer.check_out(headers, kind="credits", amount="25.00")
    assert (refused.status, refused.error["code"]) == (503, "payments_unavailable")
    assert refused.headers["x-should-retry"] == "true"
    market.double.mend()
    checkout = await customer.order(headers, kind="credits", amount="25.00")
    customer.pay(checkout)
    assert customer.credits == [("purchase", 2_500)]


@pytest.mark.parametrize("kind", ["credits", "plan", "portal"])
async def test_whose_customer_was_deleted_at_stripe_buys_as_a_new_one(
    market: Market, customer: Customer, kind: str
) -> None:
    await customer.order(kind="credits", amount="25.00")
    before = customer.stripe_customer
    market.double.delete(f"/customers/{before}")
    for _ in range(2):
        if kind == "portal":
            answer = await customer.holder.call("POST", "/billing/portal", {})
            assert answer.status == 200, answer.raw
        elif kind == "plan":
            await customer.order_plan(market.small)
        else:
            order = await customer.order(kind="credits", amount="25.00")
    after = customer.stripe_customer
    assert after != before
    if kind == "credits":
        customer.pay(order)
        assert customer.credits == [("purchase", 2_500)]
