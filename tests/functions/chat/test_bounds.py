"""What is set aside for a request, and that its answer stays within it."""

import asyncio
import json

import psycopg
import pytest

from infra.local.ports import LOOPBACK
from shared.core.money import NANOS_PER_DOLLAR
from tests.functions.chat.books import assert_settled, usage_line, wait_until_settled
from tests.functions.chat.client import HELLO, PATH, ask, words
from tests.functions.chat.raw_provider import STREAM_HEAD, RawProvider, chunk
from tests.harness.gateways import RunningGateway
from tests.harness.simulator import Simulator
from tests.harness.tenants import Models, Tenants

START = 10 * NANOS_PER_DOLLAR
NANOS_PER_TOKEN = 2_000
IMAGE = {"type": "image_url", "image_url": {"url": "https://images.example/1.png"}}


@pytest.mark.parametrize("is_stream", [False, True])
async def test_a_model_that_reasons_is_sent_the_bound_that_its_hold_pays_for(
    gateway: RunningGateway, tenant: Tenants, make_model: Models, simulator: Simulator, is_stream: bool
) -> None:
    customer = tenant()
    model = make_model(
        "tokens=10,reasoning_tokens=60000", max_output_tokens=100_000, supported_parameters=("reasoning",)
    )
    answer = await ask(gateway, customer, model, stream=is_stream)
    (served,) = simulator.requests(model.upstream_model)
    assert served["max_tokens"] == 16_384
    line = usage_line(customer, answer.generation_id)
    assert line["output_tokens"] == 16_384
    assert line["shortfall_nanos"] == 0
    assert assert_settled(customer, START) == line["cost_nanos"]


@pytest.mark.parametrize("budget", [{"reasoning": {"max_tokens": 9_000}}, {"thinking": {"budget_tokens": 9_000}}])
async def test_a_thinking_budget_is_set_aside_beside_the_answer(
    gateway: RunningGateway, tenant: Tenants, make_model: Models, budget: dict[str, object]
) -> None:
    customer, model = tenant(), make_model("tokens=3")
    await ask(gateway, customer, model, **budget)
    (hold,) = customer.books.holds()
    assert hold.amount_nanos >= (4_096 + 9_000) * NANOS_PER_TOKEN


async def test_a_stream_whose_hold_cannot_grow_still_delivers_all_that_is_paid_for(
    gateway: RunningGateway, tenant: Tenants, make_model: Models
) -> None:
    customer = tenant(credit_nanos=4_400 * NANOS_PER_TOKEN)
    model = make_model("tokens=15000,prompt_tokens=10", providers=("featherless",))
    answer = await ask(gateway, customer, model, stream=True)
    assert answer.chunks[-1]["error"]["code"] == "insufficient_credits"
    line = usage_line(customer, answer.generation_id)
    assert 4_096 <= line["output_tokens"] <= 4_100
    assert line["shortfall_nanos"] == 0


async def test_a_key_whose_own_limit_stops_its_hold_from_growing_is_told_so(
    gateway: RunningGateway, tenant: Tenants, make_model: Models
) -> None:
    customer = tenant()
    with psycopg.connect(customer.database_url, autocommit=True) as session:
        limit = 4_400 * NANOS_PER_TOKEN
        session.execute("update gateway.api_keys set spend_limit_nanos = %s where id = %s", (limit, customer.key_id))
    model = make_model("tokens=15000,prompt_tokens=10", providers=("featherless",))
    answer = await ask(gateway, customer, model, stream=True)
    error = answer.chunks[-1]["error"]
    assert (error["code"], error["retryable"]) == ("key_spend_limit_reached", False)
    assert 4_096 * NANOS_PER_TOKEN <= assert_settled(customer, START) <= limit


async def test_without_fallbacks_only_the_first_choice_is_set_aside(
    gateway: RunningGateway, tenant: Tenants, make_model: Models, database_url: str
) -> None:
    customer, model = tenant(credit_nanos=20_000_000), make_model("tokens=3", providers=("featherless", "openrouter"))
    dear = json.dumps({"input_tokens": 10**12, "output_tokens": 10**12})
    with psycopg.connect(database_url, autocommit=True) as session:
        session.execute(
            "select api.publish_offer(%s, 'openrouter', %s, %s, 0, true)", (model.id, model.upstream_model, dear)
        )
    assert (await ask(gateway, customer, model)).status == 402
    answer = await ask(gateway, customer, model, provider={"allow_fallbacks": False})
    assert (answer.status, answer.headers["X-Provider"]) == (200, "featherless")


async def test_an_image_rate_is_charged_for_each_image(
    gateway: RunningGateway, tenant: Tenants, make_model: Models
) -> None:
    customer = tenant()
    # 0.001 USD an image.
    model = make_model("tokens=3,prompt_tokens=10", image_input_tokens=100, other_rates={"images": 10**12})
    await ask(gateway, customer, model, messages=[{"role": "user", "content": [IMAGE, IMAGE]}])
    assert assert_settled(customer, START) == 10 * 1_000 + 3 * NANOS_PER_TOKEN + 2 * 1_000_000


async def test_who_leaves_is_not_read_on_for_past_what_the_hold_pays(
    gateway: RunningGateway, tenant: Tenants, make_model: Models
) -> None:
    customer = tenant()
    model = make_model("tokens=16000,prompt_tokens=10", providers=("featherless",))
    body = json.dumps({"model": model.id, "messages": HELLO, "stream": True}).encode()
    reader, writer = await asyncio.open_connection(LOOPBACK, gateway.port)
    writer.write(
        f"POST {PATH} HTTP/1.1\r\nHost: gateway\r\nAuthorization: Bearer {customer.api_key}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n".encode()
        + body
    )
    await reader.readexactly(2_000)
    writer.transport.abort()
    line = await asyncio.to_thread(wait_until_settled, customer)
    (hold,) = customer.books.holds()
    assert line["outcome"] == "abandoned"
    assert line["cost_nanos"] <= hold.amount_nanos < 16_000 * NANOS_PER_TOKEN


@pytest.mark.parametrize(
    "asked",
    [{"reasoning": {"enabled": True, "exclude": True}}, {"reasoning_effort": "high"}, {"enable_thinking": True}],
)
async def test_who_asks_for_reasoning_is_bounded_whatever_the_catalog_says_of_the_model(
    gateway: RunningGateway, tenant: Tenants, make_model: Models, simulator: Simulator, asked: dict[str, object]
) -> None:
    customer, model = tenant(), make_model("tokens=10,reasoning_tokens=60000", max_output_tokens=100_000)
    answer = await ask(gateway, customer, model, stream=True, **asked)
    (served,) = simulator.requests(model.upstream_model)
    assert served["max_tokens"] == 16_384
    assert usage_line(customer, answer.generation_id)["shortfall_nanos"] == 0


async def test_a_bound_under_another_name_is_a_bound_too(
    gateway: RunningGateway, tenant: Tenants, make_model: Models, simulator: Simulator
) -> None:
    model = make_model("tokens=50")
    answer = await ask(gateway, tenant(), model, max_output_tokens=7)
    (served,) = simulator.requests(model.upstream_model)
    assert served["max_tokens"] == 7
    assert "max_output_tokens" not in served["body_fields"]
    assert answer.json["choices"][0]["finish_reason"] == "length"


async def test_a_small_balance_is_used_up_to_its_end(
    gateway: RunningGateway, tenant: Tenants, make_model: Models
) -> None:
    # Pays for some 7,000 tokens as we count them: twice 4,096 is too much, one and a half times is not.
    customer = tenant(credit_nanos=7_000 * NANOS_PER_TOKEN)
    model = make_model("tokens=2900,prompt_tokens=10")
    answer = await ask(gateway, customer, model, stream=True)
    assert answer.payloads[-1] == "[DONE]"
    assert answer.text == words(2_900)


@pytest.mark.parametrize("ending", [b"", b"data: [DONE]\n\n"])
async def test_usage_that_comes_before_the_text_is_not_the_last_word(
    odd_gateway: RunningGateway, tenant: Tenants, make_model: Models, raw_provider: RawProvider, ending: bytes
) -> None:
    customer, model = tenant(), make_model(providers=("portkey",))
    early = b'data: {"choices":[{"delta":{}}],"usage":{"prompt_tokens":1,"completion_tokens":0}}\n\n'
    raw_provider.answers(model.upstream_model, STREAM_HEAD, early, chunk("x" * 4_000), ending)
    answer = await ask(odd_gateway, customer, model, stream=True)
    line = usage_line(customer, answer.generation_id)
    assert (line["usage_source"], line["output_tokens"]) == ("counted", 1_000)


async def test_a_model_without_a_price_is_refused_before_any_call(
    gateway: RunningGateway, tenant: Tenants, make_model: Models, simulator: Simulator, database_url: str
) -> None:
    customer, model = tenant(), make_model()
    with psycopg.connect(database_url, autocommit=True) as session:
        session.execute("update gateway.provider_offers set price_id = null where model_id = %s", (model.id,))
    answer = await ask(gateway, customer, model)
    assert (answer.status, answer.error["code"]) == (404, "no_provider_available")
    assert simulator.requests(model.upstream_model) == []
    assert assert_settled(customer, START) == 0
