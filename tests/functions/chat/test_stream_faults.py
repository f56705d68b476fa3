import asyncio
import time

import aiohttp
import pytest

from shared.core.money import NANOS_PER_DOLLAR
from tests.functions.chat.books import assert_settled, usage_line
from tests.functions.chat.client import HELLO, PATH, TIMEOUT, Answer, ask, words
from tests.functions.chat.raw_provider import STREAM_HEAD, RawProvider, chunk
from tests.harness.gateways import RunningGateway
from tests.harness.tenants import Models, Tenant, Tenants, TestModel

START = 10 * NANOS_PER_DOLLAR
DONE = b"data: [DONE]\n\n"


def assert_cut(answer: Answer, code: str = "stream_interrupted") -> None:
    """Check that a stream ends with an error event, and that nothing in it says that it is complete."""
    assert answer.status == 200
    error = answer.chunks[-1]["error"]
    assert set(error) == {"message", "type", "code", "param", "request_id", "retryable"}
    assert error["code"] == code
    assert error["request_id"] == answer.headers["X-Request-Id"]
    assert "[DONE]" not in answer.payloads
    assert b'"finish_reason":"' not in answer.raw
    assert b"secret-provider-detail" not in answer.raw


@pytest.mark.parametrize("fault", ["cut=clean", "cut=mid_stream", "garbage=1", "error_event=1"])
async def test_a_stream_that_the_provider_breaks_ends_with_an_error_and_is_charged_for_what_arrived(
    gateway: RunningGateway, tenant: Tenants, make_model: Models, fault: str
) -> None:
    customer, model = tenant(), make_model(f"tokens=90,at=60,{fault}", providers=("featherless",))
    answer = await ask(gateway, customer, model, stream=True, stream_options={"include_usage": True})
    assert_cut(answer, "provider_unavailable" if "error_event" in fault else "stream_interrupted")
    assert answer.text == words(60)
    line = usage_line(customer, answer.generation_id)
    assert (line["outcome"], line["usage_source"], line["is_late"]) == ("interrupted", "counted", False)
    assert line["attempts"][-1]["is_success"]
    assert 60 < line["output_tokens"] < 120
    assert line["cost_nanos"] == assert_settled(customer, START) > 0


async def test_a_provider_that_falls_silent_is_left_when_patience_ends(
    odd_gateway: RunningGateway, tenant: Tenants, make_model: Models
) -> None:
    customer = tenant()
    started_s = time.monotonic()
    answer = await ask(odd_gateway, customer, make_model("tokens=9,at=3,hang=mid_stream"), stream=True)
    assert 1.9 < time.monotonic() - started_s < 6
    assert_cut(answer)
    assert answer.text == words(3)
    assert usage_line(customer, answer.generation_id)["outcome"] == "interrupted"
    assert assert_settled(customer, START) > 0


async def test_a_stream_ends_before_the_platform_would_end_it(
    short_gateway: RunningGateway, tenant: Tenants, make_model: Models
) -> None:
    customer = tenant()
    answer = await ask(short_gateway, customer, make_model("tokens=1000,pace_ms=50"), stream=True)
    assert_cut(answer, "time_limit_reached")
    assert answer.text
    line = usage_line(customer, answer.generation_id)
    assert line["outcome"] == "interrupted"
    assert 1_900 <= line["duration_ms"] < 6_000
    assert assert_settled(customer, START) == line["cost_nanos"] > 0


async def test_a_provider_that_says_nothing_until_our_time_is_over_costs_the_customer_nothing_and_the_house_its_bill(
    short_gateway: RunningGateway, tenant: Tenants, make_model: Models
) -> None:
    customers = {tenant(): False, tenant(): True}
    model = make_model("hang=before_headers", providers=("openrouter", "featherless"))
    asked = (ask(short_gateway, customer, model, stream=is_stream) for customer, is_stream in customers.items())
    for customer, answer in zip(customers, await asyncio.gather(*asked), strict=True):
        assert answer.status == 504
        assert (answer.error["code"], answer.error["retryable"]) == ("time_limit_reached", False)
        line = usage_line(customer, answer.generation_id)
        assert (line["outcome"], line["usage_source"], line["waived_reason"]) == ("failed", "counted", "time_limit")
        assert line["provider_cost_nanos"] > 0
        assert assert_settled(customer, START) == line["charged_nanos"] == 0
        # Two seconds were not enough to blame it, and there was no time left for the other one.
        tried = [(each["provider"], each["status"], each["is_request_at_fault"]) for each in line["attempts"]]
        assert tried == [("featherless", None, True)]


async def test_headers_go_out_after_five_seconds_of_silence_and_what_follows_is_an_event(
    gateway: RunningGateway, tenant: Tenants, make_model: Models
) -> None:
    slow, failing = tenant(), tenant()
    answers = await asyncio.gather(
        _ask_and_time_headers(gateway, slow, make_model("tokens=3,first_byte_ms=5600")),
        _ask_and_time_headers(gateway, failing, make_model("status=503,first_byte_ms=5600")),
    )
    for answer, headers_s in answers:
        assert 4.9 < headers_s < 5.5
        assert answer.raw.startswith(b": ping\ndata: {")
        assert answer.raw.count(b": ping") == 1
        assert answer.generation_id
    answered, failed = (answer for answer, _ in answers)
    assert answered.text == words(3)
    assert answered.payloads[-1] == "[DONE]"
    assert assert_settled(slow, START) > 0
    assert_cut(failed, "provider_overloaded")
    assert usage_line(failing, failed.generation_id)["waived_reason"] == "no_answer"
    assert assert_settled(failing, START) == 0


async def _ask_and_time_headers(gateway: RunningGateway, tenant: Tenant, model: TestModel) -> tuple[Answer, float]:
    started_s = time.monotonic()
    async with (
        aiohttp.ClientSession(headers=tenant.headers, timeout=TIMEOUT) as session,
        session.post(gateway.url + PATH, json={"model": model.id, "messages": HELLO, "stream": True}) as response,
    ):
        headers_s = time.monotonic() - started_s
        return Answer(response.status, response.headers.copy(), await response.read()), headers_s


@pytest.mark.parametrize(
    "first",
    [
        b'data: {"error":{"code":429,"message":"secret-provider-detail"}}\n\n',
        b"data: <html>secret-provider-detail</html>\n\n",
        b"\xff\xfe\x00",
        b": only a comment\n\n",
        b"",
        b"data: " + b"x" * 1_100_000,
    ],
)
async def test_an_answer_that_never_begins_is_asked_of_the_next_provider(
    odd_gateway: RunningGateway, tenant: Tenants, make_model: Models, raw_provider: RawProvider, first: bytes
) -> None:
    customer, model = tenant(), make_model("tokens=3", providers=("portkey", "featherless"))
    raw_provider.answers(model.upstream_model, STREAM_HEAD, first)
    answer = await ask(odd_gateway, customer, model, stream=True, provider={"order": ["portkey"]})
    assert answer.text == words(3)
    assert answer.headers["X-Provider"] == "featherless"
    assert b"secret-provider-detail" not in answer.raw
    line = usage_line(customer, answer.generation_id)
    assert [attempt["is_success"] for attempt in line["attempts"]] == [False, True]
    assert line["provider"] == "featherless"
    assert assert_settled(customer, START) == line["cost_nanos"]


@pytest.mark.parametrize("later", [b"data: " + b"x" * 1_100_000, b"data: [1]\n\n", b"data: null\n\n"])
async def test_what_is_no_chunk_ends_a_stream(
    odd_gateway: RunningGateway, tenant: Tenants, make_model: Models, raw_provider: RawProvider, later: bytes
) -> None:
    customer, model = tenant(), make_model(providers=("portkey",))
    raw_provider.answers(model.upstream_model, STREAM_HEAD, chunk("one"), (0.1, later), DONE)
    answer = await ask(odd_gateway, customer, model, stream=True)
    assert_cut(answer)
    assert answer.text == "one"
    assert assert_settled(customer, START) > 0


@pytest.mark.parametrize("event", [b"id: 7\nretry: 1\nevent: x\n", b"event: message\nid: 1\n", b": hello\nunknown\n"])
async def test_fields_that_crash_official_clients_are_not_passed_on(
    odd_gateway: RunningGateway, tenant: Tenants, make_model: Models, raw_provider: RawProvider, event: bytes
) -> None:
    model = make_model(providers=("portkey",))
    pieces = (event + chunk("one"), b"data:\n\n", b"data: \n\n", event + chunk("two", "stop"), DONE)
    raw_provider.answers(model.upstream_model, STREAM_HEAD, *pieces)
    answer = await ask(odd_gateway, tenant(), model, stream=True)
    assert answer.text == "onetwo"
    assert answer.raw.endswith(DONE)


async def test_a_client_hears_pings_while_the_provider_sends_only_comments(
    odd_gateway: RunningGateway, tenant: Tenants, make_model: Models, raw_provider: RawProvider
) -> None:
    model = make_model(providers=("portkey",))
    comments = [(1.0, b": OPENROUTER PROCESSING\n\n")] * 6
    raw_provider.answers(model.upstream_model, STREAM_HEAD, chunk("one"), *comments, chunk("two", "stop"), DONE)
    answer = await ask(odd_gateway, tenant(), model, stream=True)
    assert answer.text == "onetwo"
    assert answer.raw.count(b": ping\n") == 1


@pytest.mark.parametrize("silence_s", [0.0, 3.0])
async def test_an_answer_that_has_finished_is_complete_however_its_stream_ends(
    odd_gateway: RunningGateway, tenant: Tenants, make_model: Models, raw_provider: RawProvider, silence_s: float
) -> None:
    customer, model = tenant(), make_model(providers=("portkey",))
    head = STREAM_HEAD.replace(b"Connection: close", b"Content-Length: 100000")
    raw_provider.answers(model.upstream_model, head, chunk("all of it"), chunk("", "stop"), (silence_s, b""))
    answer = await ask(odd_gateway, customer, model, stream=True)
    assert answer.payloads[-1] == "[DONE]"
    assert usage_line(customer, answer.generation_id)["outcome"] == "completed"
