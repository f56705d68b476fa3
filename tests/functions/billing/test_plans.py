"""Plans are subscribed to on Stripe's page and changed at Stripe: up now, down and out at the period's end."""

import asyncio

import pytest

from tests.functions.billing.customer import Customer, Market, session_id
from tests.functions.keys.client import outcome


async def test_a_plan_is_subscribed_to_and_brings_its_credit_and_limits(market: Market, customer: Customer) -> None:
    assert (await customer.plan())["status"] == "none"
    checkout = await customer.order_plan(market.small)
    assert (checkout["kind"], checkout["status"], checkout["amount"]) == ("plan", "open", "29.000000000")
    assert (checkout["plan_id"], checkout["interval"], checkout["bonus"]) == (market.small, "month", None)

    session = customer.pay(checkout)
    assert session["amount_total"] == 2_900
    assert customer.plans[0] == market.small
    assert customer.credits == [("plan", 2_500)]
    told = await customer.plan()
    assert (told["plan"]["id"], told["status"], told["interval"]) == (market.small, "active", "month")
    assert told["allowance"]["granted"] == told["allowance"]["remaining"] == "25.000000000"
    assert told["period"]["ends_at"] == told["allowance"]["ends_at"]
    assert (told["scheduled"], told["cancels_at"], told["grace_ends_at"]) == (None, None, None)
    payments = (await customer.read("/billing/payments"))["data"]
    assert [(payment["kind"], payment["amount"], payment["credit"]) for payment in payments] == [
        ("plan", "29.000000000", "25.000000000")
    ]
    customer.check_books()


async def test_a_year_is_paid_at_once_and_brings_its_credit_month_by_month(market: Market, customer: Customer) -> None:
    checkout = await customer.order_plan(market.small, "year")
    assert checkout["amount"] == "290.000000000"
    customer.pay(checkout)
    assert customer.credits == [("plan", 2_500)]
    payment = (await customer.read("/billing/payments"))["data"][0]
    assert (payment["amount"], payment["credit"]) == ("290.000000000", "300.000000000")


async def test_an_upgrade_holds_at_once_and_brings_the_difference(market: Market, customer: Customer) -> None:
    subscription_id = await customer.subscribe(market.small)
    changed = await customer.order_plan(market.large)
    assert (changed["status"], changed["url"], changed["amount"]) == ("changed", None, None)
    # True by the time of the answer, whether or not a webhook has come.
    assert customer.plans[0] == market.large
    kinds, cents = zip(*customer.credits, strict=True)
    assert kinds == ("plan", "plan")
    # All of the month is left, but for the seconds of this test.
    assert cents[0] == 2_500
    assert 6_499 <= cents[1] <= 6_500
    customer.double.settle_down()
    assert customer.credits == list(zip(kinds, cents, strict=True))
    charged = [payment["amount"] for payment in (await customer.read("/billing/payments"))["data"]]
    assert charged == ["70.000000000", "29.000000000"]
    assert [each["id"] for each in customer.subscriptions()] == [subscription_id]
    customer.check_books()


async def test_from_months_to_a_year_is_an_upgrade(market: Market, customer: Customer) -> None:
    await customer.subscribe(market.small)
    assert (await customer.order_plan(market.small, "year"))["status"] == "changed"
    told = await customer.plan()
    assert (told["plan"]["id"], told["interval"]) == (market.small, "year")
    charged = [payment["amount"] for payment in (await customer.read("/billing/payments"))["data"]]
    assert charged == ["261.000000000", "29.000000000"]
    customer.check_books()


@pytest.mark.parametrize(
    ("bought", "ordered"),
    [
        (("large", "month"), ("small", "month")),
        (("large", "month"), ("small", "year")),
        (("small", "year"), ("small", "month")),
        # Who has paid for a year has a year's allowances, which no credit note takes back.
        (("small", "year"), ("large", "month")),
    ],
)
async def test_down_or_back_to_months_is_at_the_end_of_the_period(
    market: Market, customer: Customer, bought: tuple[str, str], ordered: tuple[str, str]
) -> None:
    names = {"small": market.small, "large": market.large}
    before, after = names[bought[0]], names[ordered[0]]
    subscription_id = await customer.subscribe(before, bought[1])
    scheduled = await customer.order_plan(after, ordered[1])
    assert (scheduled["status"], scheduled["url"]) == ("scheduled", None)
    told = await customer.plan()
    assert (told["plan"]["id"], told["status"]) == (before, "active")
    assert told["scheduled"] == {"plan_id": after, "interval": ordered[1], "effective_at": scheduled["effective_at"]}
    assert told["period"]["ends_at"] == scheduled["effective_at"]
    assert len((await customer.read("/billing/payments"))["data"]) == 1

    # Once more changes nothing, and says so.
    assert (await customer.order_plan(after, ordered[1]))["effective_at"] == scheduled["effective_at"]
    market.pass_days(366.1 if bought[1] == "year" else 31.1)
    told = await customer.plan()
    assert (told["plan"]["id"], told["interval"], told["scheduled"]) == (after, ordered[1], None)
    assert customer.at_stripe(subscription_id)["status"] == "active"
    customer.check_books()


async def test_a_change_that_is_to_come_is_taken_back(market: Market, customer: Customer) -> None:
    await customer.subscribe(market.large)
    await customer.order_plan(market.small)
    assert (await customer.order_plan(market.large))["status"] == "changed"
    assert (await customer.plan())["scheduled"] is None
    market.pass_days(31.1)
    assert customer.plans[0] == market.large


@pytest.mark.parametrize("plan_id", ["free", "pay_as_you_go"])
async def test_a_subscription_ends_with_what_is_paid(market: Market, customer: Customer, plan_id: str) -> None:
    subscription_id = await customer.subscribe(market.small)
    scheduled = await customer.order_plan(plan_id)
    told = await customer.plan()
    assert (scheduled["status"], told["status"]) == ("scheduled", "canceling")
    assert scheduled["effective_at"] == told["cancels_at"] == told["period"]["ends_at"]
    assert (await customer.order_plan(plan_id))["status"] == "scheduled"
    market.pass_days(31.1)
    assert customer.at_stripe(subscription_id)["status"] == "canceled"
    told = await customer.plan()
    assert (told["status"], told["plan"]["id"]) == ("none", customer.plans[1])
    assert outcome(await customer.check_out(kind="plan", plan_id=plan_id)) == "plan_not_for_sale"


async def test_a_cancellation_is_taken_back(market: Market, customer: Customer) -> None:
    subscription_id = await customer.subscribe(market.small)
    await customer.order_plan("free")
    assert (await customer.order_plan(market.small))["status"] == "changed"
    assert (await customer.plan())["status"] == "active"
    market.pass_days(31.1)
    assert customer.at_stripe(subscription_id)["status"] == "active"
    assert (await customer.plan())["allowance"]["remaining"] == "25.000000000"


async def test_a_cancellation_takes_the_place_of_a_downgrade_and_the_other_way_round(
    market: Market, customer: Customer
) -> None:
    await customer.subscribe(market.large)
    await customer.order_plan(market.small)
    await customer.order_plan("free")
    told = await customer.plan()
    assert (told["status"], told["scheduled"]) == ("canceling", None)
    await customer.order_plan(market.small)
    told = await customer.plan()
    assert (told["status"], told["scheduled"]["plan_id"]) == ("active", market.small)


async def test_an_upgrade_takes_back_what_was_to_come(market: Market, customer: Customer) -> None:
    await customer.subscribe(market.small)
    await customer.order_plan("free")
    assert (await customer.order_plan(market.large))["status"] == "changed"
    told = await customer.plan()
    assert (told["plan"]["id"], told["status"], told["cancels_at"]) == (market.large, "active", None)


async def test_an_upgrade_that_is_not_paid_changes_nothing_not_even_a_cancellation(
    market: Market, customer: Customer
) -> None:
    subscription_id = await customer.subscribe(market.small)
    await customer.order_plan("free")
    stripe_customer = customer.at_stripe(subscription_id)["customer"]
    market.double.control(f"/customers/{stripe_customer}/card", card="chargeCustomerFail")
    asked = await customer.order_plan(market.large)
    assert (asked["status"], asked["effective_at"]) == ("payment_required", None)
    assert asked["url"].startswith(market.double.url)
    told = await customer.plan()
    assert (told["plan"]["id"], told["status"]) == (market.small, "canceling")
    assert customer.credits == [("plan", 2_500)]

    market.double.control(f"/customers/{stripe_customer}/card", card="visa")
    assert (await customer.order_plan(market.large))["status"] == "changed"
    assert customer.plans[0] == market.large
    customer.check_books()


async def test_the_plan_that_one_has_is_not_sold_again(market: Market, customer: Customer) -> None:
    await customer.subscribe(market.small)
    answer = await customer.check_out(kind="plan", plan_id=market.small)
    assert (answer.status, outcome(answer)) == (409, "already_on_plan")
    assert len(customer.subscriptions()) == 1


async def test_a_failed_renewal_leaves_the_plan_for_a_week(market: Market, customer: Customer) -> None:
    market.double.control("/settings", after_retries="past_due")
    subscription_id = await customer.subscribe(market.small)
    stripe_customer = customer.at_stripe(subscription_id)["customer"]
    market.double.control(f"/customers/{stripe_customer}/card", card="chargeCustomerFail")
    market.pass_days(31.1)
    told = await customer.plan()
    assert (told["plan"]["id"], told["status"]) == (market.small, "past_due")
    assert told["grace_ends_at"] is not None
    assert told["allowance"]["remaining"] == "0.000000000"
    # Who owes for one plan is not sold another before he has paid, but may leave.
    asked = await customer.order_plan(market.large)
    assert (asked["status"], asked["url"].startswith(market.double.url)) == ("payment_required", True)
    assert (await customer.order_plan("free"))["status"] == "scheduled"
    assert (await customer.order_plan(market.small))["status"] == "payment_required"
    assert customer.at_stripe(subscription_id)["cancel_at_period_end"] is False

    market.pass_until(told["grace_ends_at"], but_hours=1)
    market.end_graces()
    assert customer.plans[0] == market.small
    market.pass_days(2 / 24)
    market.end_graces()
    assert customer.plans == (customer.plans[1],) * 2
    assert (await customer.order_plan(market.small))["status"] == "payment_required"
    # Once it is paid the plan is back.
    market.double.control(f"/customers/{stripe_customer}/card", card="visa")
    customer.pay_invoice(subscription_id)
    assert customer.plans[0] == market.small
    told = await customer.plan()
    assert (told["status"], told["allowance"]["remaining"]) == ("active", "25.000000000")
    customer.check_books()


async def test_a_plan_is_sold_at_the_price_of_now(market: Market, customer: Customer) -> None:
    await customer.subscribe(market.small)
    market.reprice(market.small, 3_900)
    other = market.customer()
    checkout = await other.order_plan(market.small)
    assert checkout["amount"] == "39.000000000"
    assert other.pay(checkout)["amount_total"] == 3_900
    # What was sold stays what it was.
    assert outcome(await customer.check_out(kind="plan", plan_id=market.small)) == "already_on_plan"


async def test_a_price_that_is_gone_at_stripe_is_made_anew(market: Market, customer: Customer) -> None:
    await customer.order_plan(market.small)
    market.double.reset()
    market.double.tell(market.gateway)
    other = market.customer()
    await other.subscribe(market.small)
    assert other.plans[0] == market.small


async def test_an_order_again_under_its_key_is_carried_out_once(market: Market, customer: Customer) -> None:
    await customer.subscribe(market.small)
    headers = {"Idempotency-Key": "up"}
    first = await customer.order(headers, kind="plan", plan_id=market.large)
    again = await customer.check_out(headers, kind="plan", plan_id=market.large)
    assert (again.json, again.headers["Idempotent-Replayed"]) == (first, "true")
    down = await customer.order(kind="plan", plan_id=market.small)
    # Not carried out once more: that would take the downgrade back.
    assert await customer.order(headers, kind="plan", plan_id=market.large) == first
    assert (await customer.plan())["scheduled"]["effective_at"] == down["effective_at"]


async def test_a_page_to_subscribe_on_is_the_same_under_one_key(market: Market, customer: Customer) -> None:
    headers = {"Idempotency-Key": "page"}
    first = await customer.order(headers, kind="plan", plan_id=market.small)
    assert await customer.order(headers, kind="plan", plan_id=market.small) == first
    customer.pay(first)
    assert await customer.order(headers, kind="plan", plan_id=market.small) == first
    assert len(customer.subscriptions()) == 1


async def test_a_newer_page_ends_the_older_one(market: Market, customer: Customer) -> None:
    first = await customer.order_plan(market.small)
    credits = await customer.order(kind="credits", amount="25.00")
    second = await customer.order_plan(market.large)
    statuses = [customer.double.read(f"/checkout/sessions/{session_id(each)}")["status"]
                for each in (first, credits, second)]  # fmt: skip
    assert statuses == ["expired", "open", "open"]
    customer.pay(second)
    assert customer.plans[0] == market.large


async def _price_of(market: Market, plan_id: str) -> str:
    """Have a plan's price made at Stripe, by an order of somebody else."""
    other = await market.customer().order_plan(plan_id)
    (line,) = market.double.read(f"/checkout/sessions/{session_id(other)}/line_items")["data"]
    return str(line["price"]["id"])


async def test_whoever_has_come_to_two_subscriptions_leaves_both_at_once(market: Market, customer: Customer) -> None:
    await customer.subscribe(market.large)
    customer_id = customer.subscriptions()[0]["customer"]
    price_id = await _price_of(market, market.small)
    # As by a link that was made at Stripe's dashboard.
    page = market.double.write("/checkout/sessions", mode="subscription", customer=customer_id, success_url="https://app.test",
                               **{"line_items[0][price]": price_id, "line_items[0][quantity]": "1"})  # fmt: skip
    market.double.pay(page["id"])
    market.double.settle_down()
    assert [each["cancel_at_period_end"] for each in customer.subscriptions()] == [False, False]
    for _ in range(2):
        assert (await customer.order_plan("free"))["status"] == "scheduled"
        assert [each["cancel_at_period_end"] for each in customer.subscriptions()] == [True, True]


async def test_a_page_that_was_paid_and_not_told_of_is_seen_before_another_is_sold(
    market: Market, customer: Customer
) -> None:
    checkout = await customer.order_plan(market.small)
    market.double.control("/deliveries/hold")
    market.double.pay(session_id(checkout))
    assert customer.plans[0] != market.small
    # The second order changes what the first has bought.
    assert (await customer.order_plan(market.large))["status"] == "changed"
    assert customer.plans[0] == market.large
    assert len(customer.subscriptions()) == 1
    market.double.control("/deliveries/release", shuffle=True, times=3)
    customer.double.settle_down()
    assert len((await customer.read("/billing/payments"))["data"]) == 2
    customer.check_books()


async def test_of_many_orders_at_once_one_page_can_be_paid(market: Market, customer: Customer) -> None:
    answers = await asyncio.gather(
        *(customer.check_out(kind="plan", plan_id=plan) for plan in (market.small, market.large) * 5)
    )
    assert {outcome(answer) for answer in answers} <= {200, "plan_change_in_progress"}
    assert 200 in {answer.status for answer in answers}
    refused = [answer for answer in answers if answer.status == 409]
    assert all(answer.headers["Retry-After"] for answer in refused)
    sessions = customer.double.read("/checkout/sessions", limit=100)["data"]
    assert [session["status"] for session in sessions].count("open") == 1


async def test_of_many_changes_at_once_the_subscription_has_one_and_is_charged_for_it(
    market: Market, customer: Customer
) -> None:
    await customer.subscribe(market.small)
    answers = await asyncio.gather(*(customer.check_out(kind="plan", plan_id=market.large) for _ in range(8)))
    assert {outcome(answer) for answer in answers} <= {200, "plan_change_in_progress", "already_on_plan"}
    assert customer.plans[0] == market.large
    charged = [payment["amount"] for payment in (await customer.read("/billing/payments"))["data"]]
    assert charged == ["70.000000000", "29.000000000"]
    customer.double.settle_down()
    customer.check_books()


@pytest.mark.parametrize("kind", ["error", "late_error", "lost"])
@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/v1/subscriptions"), ("GET", "/v1/subscriptions"), ("GET", "/v1/invoices")],
)
async def test_an_upgrade_that_broke_is_finished_by_the_same_request(
    market: Market, customer: Customer, kind: str, method: str, path: str
) -> None:
    await customer.subscribe(market.small)
    headers = {"Idempotency-Key": "up"}
    market.double.control("/faults", kind=kind, status=500, times=60, path=path, method=method)
    refused = await customer.check_out(headers, kind="plan", plan_id=market.large)
    assert (refused.status, refused.error["code"]) == (503, "payments_unavailable")
    market.double.mend()
    assert (await customer.order(headers, kind="plan", plan_id=market.large))["status"] == "changed"
    assert customer.plans[0] == market.large
    charged = [payment["amount"] for payment in (await customer.read("/billing/payments"))["data"]]
    assert charged == ["70.000000000", "29.000000000"]
    customer.double.settle_down()
    customer.check_books()
