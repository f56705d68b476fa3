"""One change of an account's plan at a time: each begins from what the one before has left."""

import asyncio
import json
import uuid
from typing import Any

from tests.functions.billing.customer import Customer, Market, session_id
from tests.functions.chat.client import Answer
from tests.functions.keys.client import outcome, run_sql

SLOW_S = 2.5
A_TURN_S = 61
SESSIONS = "/v1/checkout/sessions"
LAST_CHECKOUT = "select id from gateway.checkouts where account_id = %s order by created_at desc limit 1"
BEGIN = "select api.begin_plan_change(%s, %s)"
END = "select api.end_plan_change(%s, %s, %s)"


async def slow_order(market: Market, customer: Customer, path: str, plan_id: str) -> asyncio.Task[Answer]:
    """Order a plan, and return when Stripe has been asked for it and takes its time."""
    market.double.control("/faults", kind="slow", path=path, method="POST", wait_s=SLOW_S)
    before = posts(market, path)
    ordering = asyncio.create_task(customer.check_out(kind="plan", plan_id=plan_id))
    for _ in range(200):
        if posts(market, path) > before:
            return ordering
        await asyncio.sleep(0.02)
    raise AssertionError("Stripe is not asked")


def posts(market: Market, path: str) -> int:
    calls = market.double.look("/calls")["data"]
    return sum(call["method"] == "POST" and call["path"].startswith(path) for call in calls)


async def test_while_a_plan_is_changed_no_other_change_begins(market: Market, customer: Customer) -> None:
    await customer.subscribe(market.small)
    first = await slow_order(market, customer, "/v1/subscriptions", market.large)
    for plan_id, interval in ((market.large, "month"), (market.small, "year"), ("free", "month")):
        second = await customer.check_out(kind="plan", plan_id=plan_id, interval=interval)
        assert (second.status, outcome(second)) == (409, "plan_change_in_progress")
        assert (second.headers["Retry-After"], second.headers["x-should-retry"]) == ("3", "true")
    # Credits have nothing to do with it.
    assert (await customer.order(kind="credits", amount="25.00"))["status"] == "open"
    assert (await first).json["status"] == "changed"
    assert posts(market, "/v1/subscriptions") == 1
    assert outcome(await customer.check_out(kind="plan", plan_id=market.large)) == "already_on_plan"
    assert (await customer.order_plan("free"))["status"] == "scheduled"


async def test_the_same_request_meanwhile_waits_for_the_first(market: Market, customer: Customer) -> None:
    headers = {"Idempotency-Key": "one"}
    await customer.subscribe(market.small)
    market.double.control("/faults", kind="slow", path="/v1/subscriptions", method="POST", wait_s=SLOW_S)
    answers = await asyncio.gather(*(customer.check_out(headers, kind="plan", plan_id=market.large) for _ in range(4)))
    assert sorted(answer.status for answer in answers) == [200, 409, 409, 409]
    again = await customer.check_out(headers, kind="plan", plan_id=market.large)
    assert again.json == next(answer.json for answer in answers if answer.status == 200)
    assert posts(market, "/v1/subscriptions") == 1


async def test_whoever_holds_the_turn_for_too_long_has_made_no_page(market: Market, customer: Customer) -> None:
    # A function that was frozen in the middle, say: nobody waits for it longer than it may run.
    first = await slow_order(market, customer, SESSIONS, market.small)
    market.move_clock(A_TURN_S)
    second = await customer.order_plan(market.large)
    assert second["status"] == "open"
    assert outcome(await first) == "plan_change_in_progress"
    sessions = market.double.read("/checkout/sessions", limit=100)["data"]
    assert {session["id"]: session["status"] for session in sessions if session["status"] == "open"} == {
        session_id(second): "open"
    }
    assert len(sessions) == 2
    customer.pay(second)
    assert customer.plans[0] == market.large


async def test_a_turn_is_its_holder_s_and_is_given_back_once(market: Market, customer: Customer) -> None:
    await customer.order_plan(market.small)
    url, (one, other, third) = customer.tenant.database_url, (uuid.uuid4() for _ in range(3))
    (checkout_id,) = run_sql(url, LAST_CHECKOUT, customer.tenant.account_id)[0]

    def call(statement: str, *arguments: object) -> dict[str, Any]:
        return dict(run_sql(url, statement, checkout_id, *arguments)[0][0])

    # It has an outcome: nobody carries it out again.
    assert call(BEGIN, one)["verdict"] == "ended"
    run_sql(url, "delete from gateway.plan_changes where checkout_id = %s", checkout_id)
    assert [call(BEGIN, holder)["verdict"] for holder in (one, one, other)] == ["begun", "begun", "busy"]
    changed = json.dumps({"status": "changed"})
    assert call(END, other, changed)["verdict"] == "superseded"
    # Nothing came of it, and it may be tried again.
    assert [call(END, one, "null")["verdict"] for _ in range(2)] == ["kept", "kept"]
    assert call(BEGIN, other)["verdict"] == "begun"
    market.move_clock(A_TURN_S)
    assert call(BEGIN, third)["verdict"] == "begun"
    assert call(END, other, changed)["verdict"] == "superseded"
    assert [call(END, third, changed)["verdict"] for _ in range(2)] == ["kept", "kept"]
    assert call(BEGIN, one) == {"verdict": "ended", "outcome": {"status": "changed"}}
