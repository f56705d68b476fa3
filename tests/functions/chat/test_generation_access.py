"""Who may know of a request afterwards, and what it takes to ask."""

import uuid
from collections.abc import Callable

import pytest

from infra.local.stack import LocalStack
from shared.core.ids import format_generation_id, new_generation_id
from shared.keys.format import generate_secret
from tests.functions.chat.client import ask
from tests.functions.chat.looked_up import (
    SET_DOMAINS,
    SET_SCOPES,
    SUSPEND,
    Way,
    each_way,
    look,
    refused,
    run,
    without_request_id,
)
from tests.harness.gateways import Gateways, RunningGateway
from tests.harness.tenants import Models, PlanLimits, Tenants
from tests.harness.wire import Fault, Wire


@each_way
async def test_another_accounts_generation_answers_like_one_that_never_was(
    gateway: RunningGateway, tenant: Tenants, make_model: Models, way: Way
) -> None:
    owner, other = tenant(), tenant()
    generation_id = (await ask(gateway, owner, make_model("tokens=2"))).generation_id
    foreign = await look(gateway, other.headers, generation_id, way)
    unknown = await look(gateway, other.headers, format_generation_id(new_generation_id()), way)
    assert refused(foreign) == refused(unknown) == (404, "generation_not_found")
    assert without_request_id(foreign) == without_request_id(unknown)
    assert (await look(gateway, owner.headers, generation_id, way)).status in (200, 204)


@each_way
@pytest.mark.parametrize(
    "shown",
    [
        "gen_",
        "gen_123",
        "nothing",
        str(uuid.UUID(int=7)),
        f"gen_{'A' * 32}",
        f"gen_{'0' * 33}",
        f"gen_{uuid.UUID(int=7)}",
        "gen_%00" + "0" * 31,
        "gen_" + "0" * 31 + "%27",
        "gen_" + "%C3%A9" * 32,
    ],
)
async def test_what_is_no_id_is_not_found(gateway: RunningGateway, tenant: Tenants, way: Way, shown: str) -> None:
    assert refused(await look(gateway, tenant().headers, shown, way)) == (404, "generation_not_found")


@each_way
@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({}, "missing_api_key"),
        ({"Authorization": "Bearer nonsense"}, "invalid_api_key"),
        ({"Authorization": f"Bearer {generate_secret('live')}"}, "invalid_api_key"),
        ({"x-api-key": generate_secret("test")}, "invalid_api_key"),
    ],
    ids=["missing", "mistyped", "unknown", "unknown-x"],
)
async def test_without_a_key_that_exists_nothing_is_told(
    *,
    gateway: RunningGateway,
    tenant: Tenants,
    make_model: Models,
    way: Way,
    headers: dict[str, str],
    code: str,
) -> None:
    generation_id = (await ask(gateway, tenant(), make_model("tokens=2"))).generation_id
    for shown in (generation_id, generation_id, "gen_1" if code == "missing_api_key" else generation_id):
        answer = await look(gateway, headers, shown, way)
        assert refused(answer) == (401, code)
        assert answer.headers["WWW-Authenticate"] == "Bearer"


@each_way
async def test_a_wrong_id_asks_no_store_and_an_unknown_key_the_ledger_only_once_a_minute(
    *,
    stack: LocalStack,
    start_gateway: Gateways,
    tenant: Tenants,
    open_wire: Callable[[str], Wire],
    way: Way,
) -> None:
    database, redis = open_wire(stack.supabase_url), open_wire(stack.redis_rest_url)
    gateway = start_gateway(SUPABASE_URL=database.url, UPSTASH_REDIS_REST_URL=redis.url)
    assert refused(await look(gateway, tenant().headers, "gen_1", way)) == (404, "generation_not_found")
    assert database.exchanges() == redis.exchanges() == []
    unknown = {"Authorization": f"Bearer {generate_secret('live')}"}
    for _ in range(3):
        answer = await look(gateway, unknown, format_generation_id(new_generation_id()), way)
        assert refused(answer) == (401, "invalid_api_key")
    assert len(database.exchanges("/rpc/")) == 1


@each_way
async def test_a_key_that_may_not_be_used_so_tells_nothing_and_erases_nothing(
    gateway: RunningGateway, tenant: Tenants, make_model: Models, way: Way
) -> None:
    limits = PlanLimits(requests_per_minute=60)
    unscoped, elsewhere, suspended = tenant(limits=limits), tenant(limits=limits), tenant(limits=limits)
    model = make_model("tokens=2")
    ids = {
        each.account_id: (await ask(gateway, each, model)).generation_id for each in (unscoped, elsewhere, suspended)
    }
    run(unscoped, SET_SCOPES, unscoped.key_id)
    elsewhere.allow_addresses("203.0.113.7/32")
    run(suspended, SUSPEND, suspended.account_id)
    for customer, code in (
        (unscoped, "missing_scope"),
        (elsewhere, "address_not_allowed"),
        (suspended, "account_suspended"),
    ):
        for generation_id in (ids[customer.account_id], format_generation_id(new_generation_id())):
            answer = await look(gateway, customer.headers, generation_id, way)
            assert refused(answer) == (403, code)
            told = answer.headers.get("x-ratelimit-limit-requests")
        # Who comes from elsewhere may be anybody: he is held to his address's limit, and not told of the key's.
        assert told == (None if code == "address_not_allowed" else "60")


@each_way
async def test_a_key_that_is_bound_to_an_address_and_an_origin_is_good_there_alone(
    gateway: RunningGateway, tenant: Tenants, make_model: Models, way: Way
) -> None:
    customer = tenant()
    generation_id = (await ask(gateway, customer, make_model("tokens=2"))).generation_id
    customer.allow_addresses("127.0.0.1/32")
    run(customer, SET_DOMAINS, customer.key_id)
    at_home = {**customer.headers, "Origin": "https://app.example"}
    assert (await look(gateway, at_home, generation_id, way)).status in (200, 204)
    for elsewhere in (customer.headers, {**customer.headers, "Origin": "https://other.example"}):
        assert refused(await look(gateway, elsewhere, generation_id, way)) == (403, "domain_not_allowed")


@each_way
async def test_it_counts_as_a_request_and_leaves_no_lease(
    gateway: RunningGateway, tenant: Tenants, make_model: Models, way: Way
) -> None:
    customer = tenant(limits=PlanLimits(requests_per_minute=8, tokens_per_minute=100_000, concurrency=1))
    generation_id = (await ask(gateway, customer, make_model("tokens=2"))).generation_id
    answers = [await look(gateway, customer.headers, generation_id, way) for _ in range(8)]
    assert [answer.status for answer in answers[:7]] == [200 if way[0] == "GET" else 204] * 7
    left = [int(answer.headers["x-ratelimit-remaining-requests"]) for answer in answers[:7]]
    assert left == [6, 5, 4, 3, 2, 1, 0]
    assert len({answer.headers["x-ratelimit-remaining-tokens"] for answer in answers[:7]}) == 1
    assert refused(answers[7]) == (429, "rate_limit_requests")
    assert int(answers[7].headers["Retry-After"]) > 0
    assert customer.books.counted_requests().by_keys == 1


@each_way
async def test_without_redis_it_is_answered_and_refused_all_the_same(
    *,
    stack: LocalStack,
    start_gateway: Gateways,
    tenant: Tenants,
    make_model: Models,
    open_wire: Callable[[str], Wire],
    way: Way,
) -> None:
    redis = open_wire(stack.redis_rest_url)
    gateway = start_gateway(UPSTASH_REDIS_REST_URL=redis.url)
    owner, other = tenant(limits=PlanLimits(requests_per_minute=5)), tenant()
    generation_id = (await ask(gateway, owner, make_model("tokens=2"))).generation_id
    with redis.broken(Fault(refuses=True)):
        assert refused(await look(gateway, other.headers, generation_id, way)) == (404, "generation_not_found")
        nobody = {"Authorization": f"Bearer {generate_secret('live')}"}
        assert refused(await look(gateway, nobody, generation_id, way)) == (401, "invalid_api_key")
        answers = [await look(gateway, owner.headers, generation_id, way) for _ in range(6)]
    assert [answer.status for answer in answers] == [200 if way[0] == "GET" else 204] * 5 + [429]


@each_way
async def test_without_the_ledger_it_is_our_own_failure_and_leaves_no_lease(
    *,
    stack: LocalStack,
    start_gateway: Gateways,
    tenant: Tenants,
    make_model: Models,
    open_wire: Callable[[str], Wire],
    way: Way,
) -> None:
    database = open_wire(stack.supabase_url)
    gateway = start_gateway(SUPABASE_URL=database.url)
    customer = tenant(limits=PlanLimits(concurrency=1))
    generation_id = (await ask(gateway, customer, make_model("tokens=2"))).generation_id
    with database.broken(Fault(status=500)):
        for who in (customer, tenant()):
            answer = await look(gateway, who.headers, generation_id, way)
            assert refused(answer) == (503, "storage_unavailable")
            assert int(answer.headers["Retry-After"]) > 0
    assert (await look(gateway, customer.headers, generation_id, way)).status in (200, 204)
