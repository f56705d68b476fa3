"""What counts against a provider: its own failures alone, so that nobody's requests shut it for the others."""

import asyncio

import aiohttp
import pytest
from aiohttp import web

from shared.clients.redis import Redis
from shared.core.clock import wall_clock_ms
from shared.flows.judge_provider import SURELY_LONG_S
from shared.providers.sse import MAX_EVENT_BYTES
from shared.routing.offer_health import FAILURES_TO_OPEN, Breaker
from tests.flows.blame import MOST_TOKENS, ChoosyProvider, begin_stream, refuse, serve_by
from tests.flows.breakers import assert_left_alone, fail, read_record, read_record_when_told
from tests.flows.calls import PATH, ask, ask_at_once, chat
from tests.flows.test_measured_providers import read_slowly
from tests.flows.test_probes import TOOLS
from tests.functions.chat.raw_provider import chunk
from tests.harness.gateways import Gateways
from tests.harness.tenants import Models, Tenants

STREAM: dict[str, object] = {"stream": True, "max_tokens": 60}


@pytest.mark.parametrize(
    ("asked", "status", "code"),
    [
        ({"tools": TOOLS}, 400, "provider_rejected_request"),
        ({"max_tokens": 16 * MOST_TOKENS}, 502, "provider_account_problem"),
        ({"temperature": "model is cold"}, 503, "provider_overloaded"),
        ({"messages": [{"role": "user", "content": "drop table users"}]}, 502, "provider_account_problem"),
    ],
)
async def test_what_one_customer_asks_for_shuts_no_provider_for_another(
    *,
    asked: dict[str, object],
    status: int,
    code: str,
    choosy_provider: ChoosyProvider,
    start_gateway: Gateways,
    tenant: Tenants,
    make_model: Models,
    session: aiohttp.ClientSession,
) -> None:
    url = start_gateway(OPENROUTER_BASE_URL=choosy_provider.url).url
    one, other, model = tenant(), tenant(), make_model("tokens=2")
    for is_stream in (False, True):
        for _ in range(FAILURES_TO_OPEN):
            answer = await ask(session, url, one, chat(model, stream=is_stream, **asked))
            assert (answer.status, answer.code) == (status, code)
    assert (await ask(session, url, other, chat(model, max_tokens=5))).status == 200
    assert one.balance()["held_nanos"] == 0


async def test_an_empty_account_of_the_house_shuts_it(
    *,
    choosy_provider: ChoosyProvider,
    start_gateway: Gateways,
    tenant: Tenants,
    make_model: Models,
    session: aiohttp.ClientSession,
) -> None:
    choosy_provider.is_empty = True
    url = start_gateway(OPENROUTER_BASE_URL=choosy_provider.url).url
    customer, model = tenant(), make_model("tokens=2")
    for _ in range(FAILURES_TO_OPEN):
        answer = await ask(session, url, customer, chat(model))
        assert (answer.status, answer.code) == (502, "provider_account_problem")
    assert_left_alone(await ask(session, url, customer, chat(model)))


@pytest.mark.parametrize("fault", ["cut=mid_stream", "cut=clean", "error_event=1", "garbage=1"])
async def test_a_provider_that_breaks_off_every_stream_is_left_alone(
    *,
    fault: str,
    two_gateways: tuple[str, str],
    tenant: Tenants,
    make_model: Models,
    session: aiohttp.ClientSession,
    redis: Redis,
) -> None:
    customer, model = tenant(), make_model(f"tokens=20,at=3,{fault}")
    for _ in range(FAILURES_TO_OPEN):
        answer = await ask(session, two_gateways[0], customer, chat(model, **STREAM))
        assert (answer.status, answer.is_done) == (200, False)
    assert (await read_record(redis, model)).failures == FAILURES_TO_OPEN
    for url in two_gateways:
        assert_left_alone(await ask(session, url, customer, chat(model, **STREAM)))


async def test_a_provider_that_falls_silent_in_every_stream_is_left_alone(
    *,
    start_gateway: Gateways,
    tenant: Tenants,
    make_model: Models,
    session: aiohttp.ClientSession,
) -> None:
    url = start_gateway(PROVIDER_SILENCE_LIMIT_S="1").url
    customer, model = tenant(), make_model("tokens=20,at=3,hang=mid_stream")
    await ask_at_once(session, (url,), customer, chat(model, **STREAM), count=FAILURES_TO_OPEN)
    assert_left_alone(await ask(session, url, customer, chat(model, **STREAM)))


async def test_one_whole_stream_begins_the_count_anew(
    *,
    two_gateways: tuple[str, str],
    tenant: Tenants,
    make_model: Models,
    session: aiohttp.ClientSession,
    redis: Redis,
) -> None:
    customer, model = tenant(), make_model("tokens=2,status=500,fail_times=4")
    for _ in range(FAILURES_TO_OPEN - 1):
        await ask(session, two_gateways[0], customer, chat(model, **STREAM))
    assert (await read_record(redis, model)).failures == FAILURES_TO_OPEN - 1
    assert (await ask(session, two_gateways[0], customer, chat(model, **STREAM))).is_done
    assert (await read_record(redis, model)).failures == 0


async def test_clients_that_hang_up_shut_nobody(
    *,
    two_gateways: tuple[str, str],
    tenant: Tenants,
    make_model: Models,
    session: aiohttp.ClientSession,
    redis: Redis,
) -> None:
    url, customer, model = two_gateways[0], tenant(), make_model("tokens=200,pace_ms=20")
    for _ in range(FAILURES_TO_OPEN):
        async with session.post(f"{url}{PATH}", json=chat(model, stream=True), headers=customer.headers) as response:
            await response.content.readany()
            response.close()
    await read_record_when_told(redis, model)
    # The last of them has a moment more.
    await asyncio.sleep(1)
    record = await read_record(redis, model)
    assert (record.failures, record.tokens_per_second_at_ms) == (0, 0)


async def test_a_provider_that_gives_up_since_a_client_reads_nothing_is_blamed_by_nobody(
    *,
    start_gateway: Gateways,
    tenant: Tenants,
    make_model: Models,
    redis: Redis,
) -> None:
    given_up = []

    async def answer(request: web.Request) -> web.StreamResponse:
        response = await begin_stream(request)
        try:
            while True:
                async with asyncio.timeout(2):
                    await response.write(chunk("word " * 20))
        except TimeoutError:
            given_up.append(request)
            assert request.transport is not None
            request.transport.abort()
        return response

    async with serve_by(answer) as provider_url:
        url = start_gateway(OPENROUTER_BASE_URL=provider_url).url
        customer, model = tenant(), make_model("tokens=2", max_output_tokens=200_000)
        readers = (asyncio.to_thread(read_slowly, url, customer, model) for _ in range(FAILURES_TO_OPEN))
        await asyncio.gather(*readers)
    assert len(given_up) == FAILURES_TO_OPEN
    assert (await read_record(redis, model)).failures == 0


async def test_a_stream_from_before_an_outage_lets_nobody_in(
    *,
    start_gateway: Gateways,
    tenant: Tenants,
    make_model: Models,
    session: aiohttp.ClientSession,
) -> None:
    is_down, asked = asyncio.Event(), []

    async def answer(request: web.Request) -> web.StreamResponse:
        asked.append(request)
        if is_down.is_set():
            return refuse(500, "No")
        response = await begin_stream(request)
        await response.write(chunk("a"))
        await is_down.wait()
        await asyncio.sleep(2)
        await response.write(chunk("b", "stop") + b"data: [DONE]\n\n")
        return response

    async with serve_by(answer) as provider_url:
        url = start_gateway(OPENROUTER_BASE_URL=provider_url).url
        customer, model = tenant(), make_model("tokens=2")
        stream = asyncio.ensure_future(ask(session, url, customer, chat(model, **STREAM)))
        await asyncio.sleep(1)
        is_down.set()
        await fail(session, url, customer, model, times=FAILURES_TO_OPEN)
        assert_left_alone(await ask(session, url, customer, chat(model)))
        assert (await stream).is_done
        for _ in range(2):
            assert_left_alone(await ask(session, url, customer, chat(model)))
    assert len(asked) == 1 + FAILURES_TO_OPEN


async def test_our_own_time_limit_is_blamed_on_nobody_but_who_hangs(
    *,
    start_gateway: Gateways,
    tenant: Tenants,
    make_model: Models,
    session: aiohttp.ClientSession,
    redis: Redis,
) -> None:
    url = start_gateway(PROVIDER_SILENCE_LIMIT_S="2", FUNCTION_TIME_LIMIT_S="25").url
    customer = tenant()
    long, paced, hangs = (
        make_model("first_byte_ms=9000"),
        make_model("tokens=900,pace_ms=20"),
        make_model("hang=before_headers"),
    )
    asked = (chat(long, max_tokens=16_000), chat(paced, stream=True), chat(hangs, max_tokens=5))
    answers = await asyncio.gather(
        *(ask_at_once(session, (url,), customer, body, count=FAILURES_TO_OPEN) for body in asked)
    )
    assert {(answer.status, answer.code) for answer in answers[0]} == {(504, "time_limit_reached")}
    assert {answer.is_done for answer in answers[1]} == {False}
    assert {(answer.status, answer.code) for answer in answers[2]} == {(504, "time_limit_reached")}
    records = [await read_record(redis, model) for model in (long, paced, hangs)]
    assert [record.failures for record in records] == [0, 0, FAILURES_TO_OPEN]
    assert_left_alone(await ask(session, url, customer, chat(hangs, max_tokens=5)))


async def test_a_proxy_that_waits_no_longer_for_a_long_answer_is_blamed_for_short_ones_alone(
    *,
    start_gateway: Gateways,
    tenant: Tenants,
    make_model: Models,
    session: aiohttp.ClientSession,
    redis: Redis,
) -> None:
    url, customer = start_gateway(PROVIDER_SILENCE_LIMIT_S="2").url, tenant()
    script = f"first_byte_ms={int(SURELY_LONG_S * 1000) + 500},status=524"
    long, short = make_model(script), make_model(script)
    asked = (chat(long, max_tokens=16_000), chat(short, max_tokens=5))
    answers = await asyncio.gather(
        *(ask_at_once(session, (url,), customer, body, count=FAILURES_TO_OPEN) for body in asked)
    )
    assert {answer.code for some in answers for answer in some} == {"provider_timeout"}
    assert (await read_record(redis, long)).failures == 0
    assert (await read_record(redis, short)).breaker(wall_clock_ms()) is Breaker.OPEN


async def test_an_event_that_is_larger_than_is_read_shuts_nobody(
    *,
    two_gateways: tuple[str, str],
    tenant: Tenants,
    make_model: Models,
    session: aiohttp.ClientSession,
    redis: Redis,
) -> None:
    customer = tenant()
    model = make_model(f"tokens=2,event_bytes={2 * MAX_EVENT_BYTES}")
    for _ in range(FAILURES_TO_OPEN):
        answer = await ask(session, two_gateways[0], customer, chat(model, **STREAM))
        assert not answer.is_done
    assert (await read_record(redis, model)).failures == 0


@pytest.mark.parametrize("script", ["image_form=nothing", "image_form=url"])
async def test_images_that_one_client_cannot_be_given_shut_nobody(
    *,
    script: str,
    two_gateways: tuple[str, str],
    tenant: Tenants,
    make_model: Models,
    session: aiohttp.ClientSession,
    redis: Redis,
) -> None:
    customer, model = tenant(), make_model.image_model(script)
    body = {"model": model.id, "prompt": "a horse", "response_format": "b64_json"}
    for _ in range(FAILURES_TO_OPEN):
        url = f"{two_gateways[0]}/v1/images/generations"
        async with session.post(url, json=body, headers=customer.headers) as response:
            assert response.status == 502, await response.text()
    assert (await read_record(redis, model)).failures == 0
