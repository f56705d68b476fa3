"""Retries of what went on with something that is gone: their answer is looked for within the limits of their key."""

from collections.abc import Callable, Mapping
from typing import Any

import aiohttp
import pytest

from tests.flows.calls import Answer
from tests.flows.conftest import WiredGateway
from tests.flows.test_look_ups_beforehand import KINDS, PATHS, body_that_goes_on
from tests.flows.test_round_trips import trips_of
from tests.functions.keys.client import run_sql
from tests.harness.tenants import Models, PlanLimits, Tenant, Tenants
from tests.harness.wire import Exchange, Fault

KEY = {"Idempotency-Key": "order-4711"}
SDK = {"x-stainless-retry-count": "1"}
AGAIN = pytest.mark.parametrize("headers", [KEY, SDK], ids=["key", "SDK"])
FORGET = {
    "session": "update gateway.chat_sessions set deleted_at = now(), erasable_since = now() where account_id = %s",
    "response": "delete from gateway.stored_responses where account_id = %s",
}
REVOKE = "update gateway.api_keys set is_active = false, revoked_at = now() where id = %s"


async def post(
    session: aiohttp.ClientSession, url: str, tenant: Tenant, body: Mapping[str, Any], headers: Mapping[str, str]
) -> Answer:
    async with session.post(url, json=body, headers={**tenant.headers, **headers}) as response:
        return Answer(response.status, response.headers, await response.json(), 0.0)


def before_it_asks(function: str, does: Callable[[], object]) -> Callable[[Exchange], bool]:
    """Match nothing, and do something before a function of the database is called."""

    def matches(exchange: Exchange) -> bool:
        if exchange.path.endswith(f"/{function}"):
            does()
        return False

    return matches


@KINDS
async def test_it_is_asked_for_once_and_counts_once(
    wired: WiredGateway, tenant: Tenants, make_model: Models, session: aiohttp.ClientSession, kind: str
) -> None:
    # What was stored was a request too.
    customer, model = tenant(limits=PlanLimits(requests_per_minute=3)), make_model("tokens=1")
    body, url = await body_that_goes_on(session, wired, customer, model, kind), wired.url + PATHS[kind]
    first = await post(session, url, customer, body, KEY)
    run_sql(customer.database_url, FORGET[kind], customer.account_id)
    wired.forget()
    again = await post(session, url, customer, body, KEY)
    assert (again.status, again.body) == (200, first.body)
    assert again.headers["x-ratelimit-remaining-requests"] == "0"
    assert trips_of(wired)[-1] == "find_answer"
    assert trips_of(wired).count("reserve") == 1
    wired.forget()
    for _ in range(3):
        assert (await post(session, url, customer, body, KEY)).code == "rate_limit_requests"
    assert set(trips_of(wired)) == {"reserve"}


@KINDS
async def test_a_key_that_is_revoked_meanwhile_is_nobody_s(
    wired: WiredGateway, tenant: Tenants, make_model: Models, session: aiohttp.ClientSession, kind: str
) -> None:
    customer, model = tenant(), make_model("tokens=1")
    body, url = await body_that_goes_on(session, wired, customer, model, kind), wired.url + PATHS[kind]
    assert (await post(session, url, customer, body, KEY)).status == 200
    run_sql(customer.database_url, FORGET[kind], customer.account_id)
    revoking = before_it_asks("find_answer", lambda: run_sql(customer.database_url, REVOKE, customer.key_id))
    with wired.supabase.broken(Fault(matches=revoking)):
        answer = await post(session, url, customer, body, KEY)
    assert (answer.status, answer.code) == (401, "invalid_api_key")


@AGAIN
@pytest.mark.parametrize(
    "named",
    [
        {"previous_response_id": "nope"},
        {"input": [{"type": "item_reference", "id": f"msg_{number:032x}_0"} for number in range(101)]},
    ],
    ids=["malformed", "too many"],
)
async def test_what_cannot_be_looked_for_asks_nobody(
    *,
    wired: WiredGateway,
    tenant: Tenants,
    make_model: Models,
    session: aiohttp.ClientSession,
    headers: dict[str, str],
    named: dict[str, Any],
) -> None:
    customer, model = tenant(), make_model()
    wired.forget()
    answer = await post(
        session, wired.url + PATHS["response"], customer, {"model": model.id, "input": "a", **named}, headers
    )
    assert answer.status == 400
    assert trips_of(wired) == []
