"""Plan limits as customers meet them, over two processes at once."""

import asyncio
import re
from collections import Counter

import aiohttp
import pytest

from shared.clients.redis import Redis
from tests.flows.calls import Answer, ask, ask_at_once, chat, wait_until
from tests.functions.keys.client import KEYS, Holder, outcome, owner_of, run_sql
from tests.harness.books import CountedRequests
from tests.harness.gateways import Gateways, RunningGateway
from tests.harness.simulator import Simulator
from tests.harness.tenants import Models, PlanLimits, Tenant, Tenants

RESET_FORMAT = re.compile(r"(\d+m)?\d+s|\d+ms")
IN_A_ROW = 2_000


async def count_leases(redis: Redis, tenant: Tenant) -> object:
    return await redis.command("ZCARD", f"gw:leases:{tenant.account_id}")


def refusals(answers: list[Answer]) -> list[Answer]:
    return [answer for answer in answers if answer.status != 200]


async def test_2000_requests_in_a_row_are_far_from_a_limit_of_10000_a_minute(
    gateway: RunningGateway, tenant: Tenants, make_model: Models, session: aiohttp.ClientSession, redis: Redis
) -> None:
    customer = tenant(limits=PlanLimits(requests_per_minute=10_000, tokens_per_minute=1_000_000_000))
    request = chat(make_model("tokens=1"), max_tokens=1)
    statuses: Counter[int] = Counter()
    for number in range(IN_A_ROW):
        if number == IN_A_ROW // 2:
            await redis.command("FLUSHALL")
        statuses[(await ask(session, gateway.url, customer, request)).status] += 1
    assert statuses == {200: IN_A_ROW}
    assert customer.books.broken_rules() == []


@pytest.mark.parametrize("is_known", [True, False], ids=["known-key", "first-sight"])
async def test_two_processes_hold_the_requests_of_a_minute_and_a_refusal_consumes_nothing(
    *,
    two_gateways: tuple[str, str],
    tenant: Tenants,
    make_model: Models,
    session: aiohttp.ClientSession,
    redis: Redis,
    is_known: bool,
) -> None:
    limits = PlanLimits(requests_per_minute=30, tokens_per_minute=1_000_000, requests_per_day=1000)
    customer, request = tenant(limits=limits), chat(make_model("tokens=1"), max_tokens=10)
    answers = [await ask(session, two_gateways[0], customer, request)] if is_known else []
    answers += await ask_at_once(session, two_gateways, customer, request, count=80)

    assert Counter(answer.status for answer in answers) == {200: 30, 429: len(answers) - 30}
    for refusal in refusals(answers):
        assert refusal.code == "rate_limit_requests"
        assert refusal.headers["x-should-retry"] == "true"
        assert 1 <= int(refusal.headers["Retry-After"]) <= 65
        assert refusal.headers["x-ratelimit-limit-requests"] == "30"
        assert refusal.headers["x-ratelimit-remaining-requests"] == "0"
        assert refusal.headers["x-ratelimit-limit-tokens"] == "1000000"
        assert RESET_FORMAT.fullmatch(refusal.headers["x-ratelimit-reset-requests"])
        assert RESET_FORMAT.fullmatch(refusal.headers["x-ratelimit-reset-tokens"])
    assert customer.books.counted_requests() == CountedRequests(by_keys=30, in_day=30, in_month=30)
    assert len(customer.books.usage_lines()) == 30
    assert customer.books.holds("held") == []
    assert await count_leases(redis, customer) == 0
    used = sum(answer.body["usage"]["total_tokens"] for answer in answers if answer.status == 200)
    refused = await ask(session, two_gateways[1], customer, request)
    assert int(refused.headers["x-ratelimit-remaining-tokens"]) == 1_000_000 - used


@pytest.mark.parametrize("is_known", [True, False], ids=["known-key", "first-sight"])
async def test_two_processes_hold_the_requests_under_way_at_once(
    *,
    two_gateways: tuple[str, str],
    tenant: Tenants,
    make_model: Models,
    simulator: Simulator,
    session: aiohttp.ClientSession,
    redis: Redis,
    is_known: bool,
) -> None:
    gate = f"five-at-once-{is_known}"
    customer, model = tenant(limits=PlanLimits(concurrency=5)), make_model(f"tokens=1,gate={gate}")
    if is_known:
        await ask(session, two_gateways[0], customer, chat(make_model("tokens=1")))
    before = customer.books.counted_requests().by_keys
    requests = [asyncio.ensure_future(ask(session, two_gateways[i % 2], customer, chat(model))) for i in range(16)]
    await wait_until(lambda: sum(request.done() for request in requests) >= 11 and simulator.waiting_at(gate) >= 5)
    assert simulator.waiting_at(gate) == 5
    assert await count_leases(redis, customer) == 5

    simulator.open_gate(gate)
    answers = await asyncio.gather(*requests)
    assert Counter(answer.status for answer in answers) == {200: 5, 429: 11}
    assert {(answer.code, answer.headers["Retry-After"]) for answer in refusals(answers)} == {
        ("concurrency_limit", "1")
    }
    assert customer.books.counted_requests().by_keys == before + 5
    assert customer.books.holds("held") == []
    assert await count_leases(redis, customer) == 0
    assert (await ask(session, two_gateways[0], customer, chat(model))).status == 200


async def test_a_refusal_for_lack_of_credit_consumes_nothing(
    gateway: RunningGateway, tenant: Tenants, make_model: Models, session: aiohttp.ClientSession, redis: Redis
) -> None:
    customer = tenant(credit_nanos=0, limits=PlanLimits(tokens_per_minute=100_000, concurrency=1))
    answers = [await ask(session, gateway.url, customer, chat(make_model(), max_tokens=1000)) for _ in range(3)]
    assert {(answer.status, answer.code) for answer in answers} == {(402, "insufficient_credits")}
    assert customer.books.counted_requests() == CountedRequests(by_keys=0, in_day=0, in_month=0)
    assert customer.books.holds() == []
    assert await count_leases(redis, customer) == 0
    customer.credit(10**9)
    served = await ask(session, gateway.url, customer, chat(make_model("tokens=1"), max_tokens=1))
    assert served.status == 200
    assert int(served.headers["x-ratelimit-remaining-tokens"]) > 100_000 - 1000


async def test_two_processes_hold_the_requests_of_a_day(
    two_gateways: tuple[str, str],
    tenant: Tenants,
    make_model: Models,
    simulator: Simulator,
    session: aiohttp.ClientSession,
) -> None:
    customer, model = tenant(limits=PlanLimits(requests_per_day=7)), make_model("tokens=1")
    answers = await ask_at_once(session, two_gateways, customer, chat(model), count=20)
    assert Counter(answer.status for answer in answers) == {200: 7, 429: 13}
    assert {(answer.code, answer.headers["x-should-retry"]) for answer in refusals(answers)} == {
        ("day_requests_exhausted", "false")
    }
    assert len(simulator.requests(model.upstream_model)) == 7
    assert customer.books.counted_requests().in_day == 7


FIVE = PlanLimits(requests_per_minute=5)
FIVE_AND_THEN_NO_MORE = [200] * 5 + ["rate_limit_requests"] * 3


@pytest.mark.parametrize("variables", [{}, {"UPSTASH_REDIS_REST_URL": "http://127.0.0.1:1"}], ids=["redis", "no-redis"])
async def test_a_key_that_changes_itself_again_and_again_is_held_to_its_plan(
    start_gateway: Gateways, tenant: Tenants, variables: dict[str, str]
) -> None:
    owner = owner_of(start_gateway(**variables), tenant(limits=FIVE))
    path = f"{KEYS}/{owner.id}"
    outcomes = [outcome(await owner.call("PATCH", path, {"name": f"name {number}"})) for number in range(8)]
    assert outcomes == FIVE_AND_THEN_NO_MORE


async def test_a_secret_that_replaces_itself_again_and_again_is_held_to_its_plan(
    gateway: RunningGateway, tenant: Tenants
) -> None:
    owner = owner_of(gateway, tenant(limits=FIVE))
    outcomes = []
    for _ in range(8):
        answer = await owner.call("POST", f"{KEYS}/{owner.id}/rotate")
        outcomes.append(outcome(answer))
        if answer.status == 200:
            owner = Holder(gateway, answer.json["api_key"], owner.id)
    assert outcomes == FIVE_AND_THEN_NO_MORE


async def test_a_change_over_the_limit_at_a_key_s_first_sight_changes_nothing(
    gateway: RunningGateway, tenant: Tenants
) -> None:
    customer = tenant(limits=FIVE)
    owner = owner_of(gateway, customer)
    other = await owner.make(name="other", scopes=["account:write", "keys:write"])
    for _ in range(4):
        await owner.call("GET", "/user/balance")
    refused = await other.call("PATCH", "/user/profile", {"name": "Ada"})
    assert (outcome(refused), refused.headers["x-should-retry"]) == ("rate_limit_requests", "true")
    assert int(refused.headers["Retry-After"]) > 0
    assert outcome(await other.call("DELETE", f"{KEYS}/{other.id}")) == "rate_limit_requests"
    read_name = "select name from gateway.accounts where id = %s"
    assert run_sql(customer.database_url, read_name, customer.account_id) == [(None,)]
    read_secrets = "select count(*) from gateway.key_secrets where key_id = %s"
    assert run_sql(customer.database_url, read_secrets, int(other.id.removeprefix("key_"))) == [(1,)]


async def test_a_key_in_the_wrong_place_uses_up_nothing_of_its_owner_s(
    gateway: RunningGateway, tenant: Tenants, make_model: Models, redis: Redis
) -> None:
    customer, model = tenant(limits=PlanLimits(requests_per_minute=20, concurrency=3)), make_model("tokens=1")
    owner = owner_of(gateway, customer)
    elsewhere = await owner.make(name="elsewhere", ip_allowlist=["203.0.113.7"])
    on_a_page = await owner.make(name="on a page", allowed_domains=["app.example"])
    for _ in range(10):
        assert outcome(await elsewhere.call("GET", "/v1/key")) == "address_not_allowed"
        assert outcome(await elsewhere.complete(model)) == "address_not_allowed"
        assert outcome(await elsewhere.call("PATCH", f"{KEYS}/{owner.id}", {"name": "x"})) == "address_not_allowed"
        assert outcome(await on_a_page.complete(model)) == "domain_not_allowed"
    headers = {"Origin": "https://app.example"}
    assert outcome(await on_a_page.complete(model, headers=headers)) == 200
    # It is known now: its next request from elsewhere is counted, and no other.
    for _ in range(10):
        assert outcome(await on_a_page.complete(model)) == "domain_not_allowed"
    answer = await owner.call("GET", "/user/balance")
    assert (answer.status, answer.headers["x-ratelimit-remaining-requests"]) == (200, str(20 - 5))
    assert await count_leases(redis, customer) == 0
