"""What a customer may know of a request afterwards, and have erased: its own, exactly, and never a word of a prompt."""

import uuid
from collections.abc import Callable, Mapping
from decimal import ROUND_CEILING, Decimal
from typing import Any

import aiohttp
import psycopg
import pytest

from infra.local.stack import LocalStack
from shared.core.ids import format_generation_id, new_generation_id
from shared.core.money import NANOS_PER_DOLLAR
from shared.keys.format import generate_secret
from tests.flows.calls import wait_until
from tests.functions.chat.books import usage_line
from tests.functions.chat.client import TIMEOUT, Answer, ask, post
from tests.harness.gateways import Gateways, RunningGateway
from tests.harness.simulator import Simulator
from tests.harness.tenants import Models, PlanLimits, Tenant, Tenants
from tests.harness.wire import Fault, Wire

START = 10 * NANOS_PER_DOLLAR
PROMPT = "a secret of the person who asks"
NANO = Decimal("0.000000001")
SET_SCOPES = "update gateway.api_keys set scopes = '{models:read,account:read}' where id = %s"
SET_DOMAINS = "update gateway.api_keys set allowed_domains = '{app.example}' where id = %s"
SUSPEND = "update gateway.accounts set status = 'suspended' where id = %s"
USE_UP = "update gateway.api_keys set max_requests = requests_used where id = %s"
AS_BEFORE = """
    update gateway.usage_lines
       set request = null, upstream_id = null,
           attempts = (select jsonb_agg(attempt - 'started_ms') from jsonb_array_elements(attempts) as attempt)
     where account_id = %s
"""
READ_KEPT = "select answer is not null from gateway.replays where account_id = %s"

each_way = pytest.mark.parametrize("way", [("GET", ""), ("DELETE", "/answer")], ids=["read", "erase"])
Way = tuple[str, str]


async def look(
    gateway: RunningGateway, headers: Mapping[str, str], generation_id: str, way: Way = ("GET", "")
) -> Answer:
    method, rest = way
    async with (
        aiohttp.ClientSession(timeout=TIMEOUT) as session,
        session.request(method, f"{gateway.url}/v1/generations/{generation_id}{rest}", headers=headers) as response,
    ):
        return Answer(response.status, response.headers.copy(), await response.read())


async def erase(gateway: RunningGateway, tenant: Tenant, generation_id: str) -> Answer:
    return await look(gateway, tenant.headers, generation_id, ("DELETE", "/answer"))


async def ask_with_key(gateway: RunningGateway, tenant: Tenant, model: str, key: str) -> Answer:
    body = {"model": model, "messages": [{"role": "user", "content": PROMPT}]}
    return await post(gateway.url, body, {**tenant.headers, "Idempotency-Key": key})


def run(tenant: Tenant, statement: str, argument: int) -> list[tuple[Any, ...]]:
    with psycopg.connect(tenant.database_url, autocommit=True) as session:
        cursor = session.execute(statement.encode(), (argument,))
        return cursor.fetchall() if cursor.description else []


def refused(answer: Answer) -> tuple[int, str]:
    return answer.status, answer.error["code"]


def without_request_id(answer: Answer) -> dict[str, Any]:
    return {name: value for name, value in answer.error.items() if name != "request_id"}


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
            assert answer.headers["x-ratelimit-limit-requests"] == "60"


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


@pytest.mark.parametrize("is_stream", [False, True])
async def test_a_settled_generation_shows_its_bill_and_the_bill_adds_up(
    gateway: RunningGateway, tenant: Tenants, make_model: Models, simulator: Simulator, is_stream: bool
) -> None:
    customer = tenant()
    model = make_model(
        "tokens=7,prompt_tokens=90,cached_tokens=64",
        input_usd_per_mtok=Decimal("1.234567"),
        output_usd_per_mtok=Decimal("2.5"),
        markup_ppm=55_000,
        other_rates={"cached_input_tokens": NANOS_PER_DOLLAR // 10},
    )
    asked = await ask(
        gateway, customer, model, messages=[{"role": "user", "content": PROMPT}], stream=is_stream, max_tokens=50
    )
    answer = await look(gateway, customer.headers, asked.generation_id)
    shown, line = answer.json, usage_line(customer, asked.generation_id)
    (served,) = simulator.requests(model.upstream_model)

    assert (answer.status, answer.headers["Content-Type"]) == (200, "application/json")
    assert (shown["id"], shown["object"], shown["status"]) == (asked.generation_id, "generation", "settled")
    assert shown["model"] == shown["served_model"] == model.id
    assert shown["models"] == [model.id]
    assert shown["provider"] == asked.headers["X-Provider"] == "openrouter"
    assert shown["upstream_id"] == served["id"]
    assert shown["is_stream"] is is_stream
    assert shown["request"]["choices"] == 1
    assert shown["request"]["max_output_tokens"] == 50
    assert shown["request"]["image_count"] == 0
    assert shown["request"]["prompt_bytes"] >= len(PROMPT)
    assert shown["quantities"] == {
        "input_tokens": served["prompt_tokens"] - served["cached_tokens"],
        "cached_input_tokens": served["cached_tokens"],
        "cache_write_tokens": 0,
        "output_tokens": served["completion_tokens"],
        "images": 0,
        "requests": 1,
    }
    assert (shown["usage_source"], shown["outcome"], shown["waived_reason"]) == ("provider", "completed", None)
    assert (shown["is_late"], shown["superseded_by"], shown["kept_answer"]) == (False, None, None)
    assert shown["price"]["version"] == model.price_ids["openrouter"]
    assert shown["price"]["rates"]["output_tokens"] == "2.637500000"
    assert charged_by(shown) == shown["cost"] == shown["charged"] == dollars(line["charged_nanos"])
    assert shown["shortfall"] == "0.000000000"
    (hold,) = customer.books.holds()
    assert shown["hold"]["amount"] == dollars(hold.amount_nanos)
    assert (shown["hold"]["state"], shown["hold"]["extensions"]) == ("settled", 0)
    assert 0 <= shown["timings"]["first_byte_ms"] <= shown["timings"]["duration_ms"]


async def test_of_the_prompt_the_answer_and_our_own_costs_nothing_is_shown(
    gateway: RunningGateway, tenant: Tenants, make_model: Models
) -> None:
    customer, model = tenant(), make_model("tokens=3,cost=0.5", markup_ppm=500_000)
    asked = await ask(gateway, customer, model, messages=[{"role": "user", "content": PROMPT}])
    assert usage_line(customer, asked.generation_id)["cost_excess_nanos"] > 0
    answer = await look(gateway, customer.headers, asked.generation_id)
    for word in (PROMPT, "tok0", "provider_cost", "excess", "markup", "nanos", "key_id", "hmac", customer.api_key):
        assert word not in answer.raw.decode()
    assert model.upstream_model not in answer.raw.decode()


async def test_each_attempt_is_shown_with_its_provider_status_and_time(
    gateway: RunningGateway, tenant: Tenants, make_model: Models
) -> None:
    customer = tenant()
    failing = make_model("status=503", providers=("openrouter", "featherless"))
    answering = make_model("tokens=2,first_byte_ms=120")
    asked = await ask(gateway, customer, failing, models=[answering.id])
    assert asked.status == 200
    shown = (await look(gateway, customer.headers, asked.generation_id)).json
    assert [(each["model"], each["status"]) for each in shown["attempts"]] == [
        (failing.id, 503),
        (failing.id, 503),
        (answering.id, 200),
    ]
    assert {each["provider"] for each in shown["attempts"][:2]} == {"openrouter", "featherless"}
    assert (shown["model"], shown["models"]) == (failing.id, [failing.id, answering.id])
    assert (shown["served_model"], shown["provider"]) == (answering.id, "openrouter")
    ends = [each["started_ms"] + each["duration_ms"] for each in shown["attempts"]]
    starts = [each["started_ms"] for each in shown["attempts"]]
    assert all(end <= start + 1 for end, start in zip(ends, starts[1:], strict=False))
    assert shown["attempts"][2]["duration_ms"] >= 120
    assert ends[2] <= shown["timings"]["duration_ms"]


async def test_a_request_that_nobody_answered_is_shown_at_no_charge(
    gateway: RunningGateway, odd_gateway: RunningGateway, tenant: Tenants, make_model: Models
) -> None:
    customer = tenant()
    failed = await ask(gateway, customer, make_model("status=500"))
    shown = (await look(gateway, customer.headers, failed.generation_id)).json
    assert (shown["status"], shown["outcome"], shown["attempts"][0]["status"]) == ("settled", "failed", 500)
    assert (shown["cost"], shown["charged"]) == ("0.000000000", "0.000000000")

    unreached = await ask(odd_gateway, customer, make_model(providers=("chutes",)))
    shown = (await look(gateway, customer.headers, unreached.generation_id)).json
    assert (shown["status"], shown["hold"]["state"]) == ("voided", "voided")
    assert (shown["cost"], shown["outcome"], shown["attempts"]) == (None, None, [])


async def test_a_generation_under_way_shows_its_hold_and_no_bill_and_an_overdue_one_is_expired(
    *,
    gateway: RunningGateway,
    tenant: Tenants,
    make_model: Models,
    simulator: Simulator,
) -> None:
    customer, model = tenant(), make_model("tokens=3,gate=generations")
    simulator.close_gate("generations")
    try:
        async with aiohttp.ClientSession(timeout=TIMEOUT) as session:
            body = {"model": model.id, "messages": [{"role": "user", "content": PROMPT}], "stream": True}
            request = session.post(f"{gateway.url}/v1/chat/completions", json=body, headers=customer.headers)
            async with request as response:
                await wait_until(lambda: len(customer.books.holds("held")) == 1)
                (hold,) = customer.books.holds("held")
                shown = (await look(gateway, customer.headers, f"gen_{uuid.UUID(hold.id).hex}")).json
                customer.books.make_holds_overdue()
                overdue = (await look(gateway, customer.headers, shown["id"])).json
                simulator.open_gate("generations")
                await response.read()
    finally:
        simulator.open_gate("generations")
    assert (shown["status"], shown["model"], shown["models"]) == ("in_progress", model.id, [model.id])
    assert shown["hold"]["amount"] == dollars(hold.amount_nanos)
    assert shown["hold"]["state"] == "held"
    assert {shown[name] for name in ("cost", "charged", "price", "quantities", "outcome", "provider")} == {None}
    assert (overdue["status"], overdue["hold"]["state"]) == ("expired", "expired")
    late = (await look(gateway, customer.headers, shown["id"])).json
    assert (late["status"], late["hold"]["state"], late["is_late"]) == ("settled", "settled_late", True)


async def test_a_line_from_before_its_facts_were_kept_is_shown_without_them(
    gateway: RunningGateway, tenant: Tenants, make_model: Models
) -> None:
    customer, model = tenant(), make_model("tokens=2")
    asked = await ask(gateway, customer, model)
    run(customer, AS_BEFORE, customer.account_id)
    shown = (await look(gateway, customer.headers, asked.generation_id)).json
    assert (shown["request"], shown["upstream_id"]) == (None, None)
    assert (shown["model"], shown["models"]) == (model.id, [model.id])
    assert [(each["status"], each["started_ms"]) for each in shown["attempts"]] == [(200, None)]


async def test_a_key_without_requests_left_still_sees_what_its_requests_cost(
    gateway: RunningGateway, tenant: Tenants, make_model: Models
) -> None:
    customer, model = tenant(), make_model("tokens=2")
    asked = await ask(gateway, customer, model)
    run(customer, USE_UP, customer.key_id)
    assert refused(await ask(gateway, customer, model)) == (429, "key_requests_exhausted")
    assert (await look(gateway, customer.headers, asked.generation_id)).json["charged"] != "0.000000000"


async def test_an_erased_answer_is_not_given_again_and_its_bill_stays(
    gateway: RunningGateway, tenant: Tenants, make_model: Models, simulator: Simulator
) -> None:
    customer, other, model = tenant(), tenant(), make_model("tokens=2")
    asked = await ask_with_key(gateway, customer, model.id, "once")
    again = await ask_with_key(gateway, customer, model.id, "once")
    assert (asked.status, again.raw) == (200, asked.raw)
    before = (await look(gateway, customer.headers, asked.generation_id)).json
    assert before["kept_answer"]["replays"] == 1

    assert refused(await erase(gateway, other, asked.generation_id)) == (404, "generation_not_found")
    assert run(customer, READ_KEPT, customer.account_id) == [(True,)]
    for _ in range(2):
        erased = await erase(gateway, customer, asked.generation_id)
        assert (erased.status, erased.raw) == (204, b"")
        assert "Content-Type" not in erased.headers
    assert run(customer, READ_KEPT, customer.account_id) == [(False,)]

    assert refused(await ask_with_key(gateway, customer, model.id, "once")) == (409, "answer_not_stored")
    after = (await look(gateway, customer.headers, asked.generation_id)).json
    assert after == {**before, "kept_answer": None}
    assert len(simulator.requests(model.upstream_model)) == 1


async def test_an_answer_erased_while_it_is_under_way_is_never_kept(
    gateway: RunningGateway, tenant: Tenants, make_model: Models, simulator: Simulator
) -> None:
    customer, model = tenant(), make_model("tokens=3,gate=erased")
    simulator.close_gate("erased")
    try:
        async with aiohttp.ClientSession(timeout=TIMEOUT) as session:
            body = {"model": model.id, "messages": [{"role": "user", "content": PROMPT}], "stream": True}
            headers = {**customer.headers, "Idempotency-Key": "once"}
            async with session.post(f"{gateway.url}/v1/chat/completions", json=body, headers=headers) as response:
                await wait_until(lambda: len(customer.books.holds("held")) == 1)
                (hold,) = customer.books.holds("held")
                erased = await erase(gateway, customer, f"gen_{uuid.UUID(hold.id).hex}")
                simulator.open_gate("erased")
                assert b"[DONE]" in await response.read()
    finally:
        simulator.open_gate("erased")
    assert erased.status == 204
    assert run(customer, READ_KEPT, customer.account_id) == [(False,)]


def charged_by(shown: Mapping[str, Any]) -> str:
    """Work the bill out from what is shown, as its reader can: quantities times rates, rounded up once."""
    rates, quantities = shown["price"]["rates"], shown["quantities"]
    total = sum((Decimal(rates[unit]) * quantities[unit] for unit in quantities), Decimal(0)) / 1_000_000
    return str(total.quantize(NANO, rounding=ROUND_CEILING))


def dollars(nanos: int) -> str:
    return str((Decimal(nanos) * NANO).quantize(NANO))
