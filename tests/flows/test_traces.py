"""What becomes of a trace: what is passed on to providers, and which spans a collector gets of a call."""

import itertools
import secrets
from collections.abc import Iterator
from dataclasses import dataclass

import aiohttp
import pytest
from opentelemetry.proto.trace.v1 import trace_pb2

from infra.local.stack import LocalStack
from tests.flows.calls import GREETING, PATH, WAIT_LIMIT_S, Answer, ask, chat, wait_until
from tests.harness.collector import CLIENT, ERROR, INTERNAL, SERVER, CollectorDouble, read_attributes
from tests.harness.gateways import Gateways, RunningGateway
from tests.harness.simulator import Simulator
from tests.harness.tenants import Models, Tenant, Tenants, TestModel

PARENT_ID = "00f067aa0ba902b7"
STATE = "vendor=1"


@dataclass(frozen=True, slots=True)
class Bench:
    """A gateway and its collector, asked by clients that trace."""

    gateway: RunningGateway
    collector: CollectorDouble
    simulator: Simulator
    tenant: Tenants
    make_model: Models

    async def ask(
        self, body: dict[str, object], trace_id: str | None = None, flags: str = "01", customer: Tenant | None = None
    ) -> Answer:
        """Ask for a chat completion, as part of a trace if one is named."""
        async with client_in(trace_id, flags) as session:
            return await ask(session, self.gateway.url, customer or self.tenant(), body)

    def passed_on(self, model: TestModel) -> dict[str, str]:
        """Return what the model's provider was told of a trace."""
        (served,) = self.simulator.requests(model.upstream_model)
        return {name: value for name, value in served["headers"].items() if name.startswith("trace")}


def client_in(trace_id: str | None, flags: str = "01") -> aiohttp.ClientSession:
    place = {} if trace_id is None else {"traceparent": f"00-{trace_id}-{PARENT_ID}-{flags}", "tracestate": STATE}
    return aiohttp.ClientSession(headers=place, timeout=aiohttp.ClientTimeout(total=WAIT_LIMIT_S))


def told(span: trace_pb2.Span) -> dict[str, object]:
    return read_attributes(span.attributes)


def is_within(inner: trace_pb2.Span, outer: trace_pb2.Span) -> bool:
    starts_within = outer.start_time_unix_nano <= inner.start_time_unix_nano <= inner.end_time_unix_nano
    return starts_within and inner.end_time_unix_nano <= outer.end_time_unix_nano


@pytest.fixture(scope="module")
def collector() -> Iterator[CollectorDouble]:
    opened = CollectorDouble().open()
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def traced_gateway(stack: LocalStack, collector: CollectorDouble) -> Iterator[RunningGateway]:
    gateways = Gateways(stack)
    try:
        yield gateways(OTEL_EXPORTER_OTLP_ENDPOINT=collector.url, OTEL_SERVICE_NAME="traced")
    finally:
        gateways.stop_all()


@pytest.fixture
def traced(
    traced_gateway: RunningGateway,
    collector: CollectorDouble,
    simulator: Simulator,
    tenant: Tenants,
    make_model: Models,
) -> Bench:
    return Bench(traced_gateway, collector, simulator, tenant, make_model)


@pytest.fixture
def untraced(
    gateway: RunningGateway, collector: CollectorDouble, simulator: Simulator, tenant: Tenants, make_model: Models
) -> Bench:
    """The gateway that has no collector."""
    return Bench(gateway, collector, simulator, tenant, make_model)


@pytest.fixture
def trace_id() -> str:
    return secrets.token_hex(16)


async def test_without_a_collector_the_clients_place_is_passed_on_as_it_came(untraced: Bench, trace_id: str) -> None:
    for flags, is_stream in itertools.product(("00", "01"), (False, True)):
        model = untraced.make_model("tokens=2")
        assert (await untraced.ask(chat(model, stream=is_stream), trace_id, flags)).status == 200
        expected = {"traceparent": f"00-{trace_id}-{PARENT_ID}-{flags}", "tracestate": STATE}
        assert untraced.passed_on(model) == expected


async def test_without_a_collector_and_a_place_no_provider_is_told_of_one(untraced: Bench) -> None:
    model = untraced.make_model("tokens=2")
    await untraced.ask(chat(model))
    assert untraced.passed_on(model) == {}


@pytest.mark.parametrize("is_stream", [False, True])
async def test_a_call_is_a_span_and_its_attempts_are_spans_below_it(
    traced: Bench, trace_id: str, is_stream: bool
) -> None:
    failing, model = traced.make_model("status=503"), traced.make_model("tokens=5,first_byte_ms=30")
    body = chat(failing, models=[model.id], stream=is_stream, max_tokens=50)
    answer = await traced.ask(body, trace_id)
    assert answer.status == 200

    request, failed, answered = traced.collector.of_trace(trace_id)
    assert (request.parent_span_id.hex(), request.kind, request.name) == (PARENT_ID, SERVER, "gateway chat")
    assert request.trace_state == STATE
    assert request.status.code != ERROR
    about_request = told(request)
    assert about_request["gateway.generation.id"] == answer.headers["X-Generation-Id"]
    assert about_request["gateway.request.id"] == answer.headers["X-Request-Id"]
    assert about_request["gateway.outcome"] == "completed"
    # Whoever sums over spans must not count twice.
    assert not [name for name in about_request if name.startswith("gen_ai.")]

    for span, asked in ((failed, failing), (answered, model)):
        assert (span.parent_span_id, span.kind) == (request.span_id, CLIENT)
        assert span.name == f"chat {asked.upstream_model}"
        assert is_within(span, request)
        sent = {"traceparent": f"00-{trace_id}-{span.span_id.hex()}-01", "tracestate": STATE}
        assert traced.passed_on(asked) == sent
        about = told(span)
        assert about["gen_ai.operation.name"] == "chat"
        assert about["gen_ai.provider.name"] == "openrouter"
        assert about["gen_ai.request.model"] == asked.upstream_model
        assert about["gen_ai.request.max_tokens"] == 50
        assert about.get("gen_ai.request.stream", False) is is_stream
        assert (about["server.address"], about["server.port"]) == ("127.0.0.1", traced.simulator.port)
    assert failed.status.code == ERROR
    assert told(failed)["http.response.status_code"] == 503
    assert told(failed)["error.type"]
    assert "gen_ai.usage.input_tokens" not in told(failed)

    (served,) = traced.simulator.requests(model.upstream_model)
    about = told(answered)
    assert answered.status.code != ERROR
    assert about["gen_ai.usage.input_tokens"] == served["prompt_tokens"]
    assert about["gen_ai.usage.output_tokens"] == served["completion_tokens"] == 5
    assert about["gen_ai.response.id"]
    assert answered.end_time_unix_nano - answered.start_time_unix_nano >= 30_000_000
    assert ("gen_ai.response.time_to_first_chunk" in about) is is_stream
    assert failed.end_time_unix_nano <= answered.end_time_unix_nano


async def test_cached_and_reasoning_tokens_are_told_within_the_sums(traced: Bench, trace_id: str) -> None:
    model = traced.make_model("tokens=5,prompt_tokens=9,cached_tokens=3,reasoning_tokens=4")
    await traced.ask(chat(model), trace_id)
    (served,) = traced.simulator.requests(model.upstream_model)
    about = told(traced.collector.of_trace(trace_id)[-1])
    assert about["gen_ai.usage.input_tokens"] == served["prompt_tokens"] == 9
    assert about["gen_ai.usage.output_tokens"] == served["completion_tokens"]
    assert about["gen_ai.usage.cache_read.input_tokens"] == 3
    assert about["gen_ai.usage.reasoning.output_tokens"] == 4


async def test_embeddings_and_images_are_spans_too(traced: Bench) -> None:
    embeds, draws = traced.make_model.embedding_model(), traced.make_model.image_model()
    calls: tuple[tuple[TestModel, str, dict[str, object], str], ...] = (
        (embeds, "/v1/embeddings", {"input": ["one", "two"]}, "embeddings"),
        (draws, "/v1/images/generations", {"prompt": "a horse", "n": 2}, "generate_content"),
    )
    for model, path, fields, operation in calls:
        trace_id = secrets.token_hex(16)
        body, headers = {"model": model.id, **fields}, traced.tenant().headers
        async with (
            client_in(trace_id) as session,
            session.post(f"{traced.gateway.url}{path}", json=body, headers=headers) as response,
        ):
            assert response.status == 200, await response.text()
            await response.read()
        request, span = traced.collector.of_trace(trace_id)
        assert (request.name, span.name) == (f"gateway {operation}", f"{operation} {model.upstream_model}")
        assert traced.passed_on(model)["traceparent"] == f"00-{trace_id}-{span.span_id.hex()}-01"
        about = told(span)
        assert "gen_ai.usage.output_tokens" not in about
        if operation == "embeddings":
            (served,) = traced.simulator.requests(model.upstream_model)
            assert about["gen_ai.usage.input_tokens"] == served["prompt_tokens"]
        else:
            assert (about["gen_ai.output.type"], about["gen_ai.request.choice.count"]) == ("image", 2)
            assert "gen_ai.usage.input_tokens" not in about


async def test_a_trace_that_nobody_began_has_the_generations_own_id(traced: Bench) -> None:
    model = traced.make_model("tokens=2")
    answer = await traced.ask(chat(model))
    trace_id = answer.headers["X-Generation-Id"].removeprefix("gen_")
    request, span = traced.collector.of_trace(trace_id)
    assert (request.parent_span_id, request.trace_state) == (b"", "")
    assert traced.passed_on(model) == {"traceparent": f"00-{trace_id}-{span.span_id.hex()}-01"}
    assert traced.collector.received[-1].resource == {"service.name": "traced"}


async def test_what_a_client_does_not_record_is_not_recorded(traced: Bench, trace_id: str) -> None:
    model = traced.make_model("tokens=2")
    await traced.ask(chat(model), trace_id, "00")
    assert traced.passed_on(model)["traceparent"] == f"00-{trace_id}-{PARENT_ID}-00"
    assert traced.collector.of_trace(trace_id) == []


async def test_a_call_that_none_answers_is_an_error(traced: Bench, trace_id: str) -> None:
    assert (await traced.ask(chat(traced.make_model("status=500")), trace_id)).status == 502
    request, span = traced.collector.of_trace(trace_id)
    assert request.status.code == span.status.code == ERROR
    assert told(request)["gateway.outcome"] == "failed"


async def test_a_stream_that_is_cut_says_so(traced: Bench, trace_id: str) -> None:
    await traced.ask(chat(traced.make_model("tokens=9,cut=mid_stream"), stream=True), trace_id)
    await wait_until(lambda: len(traced.collector.of_trace(trace_id)) == 2)
    request, span = traced.collector.of_trace(trace_id)
    assert told(request)["gateway.outcome"] == "interrupted"
    assert request.status.code == span.status.code == ERROR
    assert (told(request)["error.type"], told(span)["error.type"]) == ("stream_interrupted", "unavailable")


async def test_a_stream_that_ends_with_its_client_s_credit_is_no_error(traced: Bench, trace_id: str) -> None:
    model = traced.make_model("tokens=15000,prompt_tokens=10", providers=("featherless",))
    await traced.ask(chat(model, stream=True), trace_id, customer=traced.tenant(credit_nanos=4_400 * 2_000))
    await wait_until(lambda: len(traced.collector.of_trace(trace_id)) == 2)
    request, span = traced.collector.of_trace(trace_id)
    assert told(request)["gateway.outcome"] == "interrupted"
    assert ERROR not in {request.status.code, span.status.code}


async def test_a_stream_that_its_client_leaves_says_so(traced: Bench, trace_id: str) -> None:
    body, headers = chat(traced.make_model("tokens=200,pace_ms=20"), stream=True), traced.tenant().headers
    async with (
        client_in(trace_id) as session,
        session.post(f"{traced.gateway.url}{PATH}", json=body, headers=headers) as response,
    ):
        await response.content.readany()
        response.close()
    await wait_until(lambda: len(traced.collector.of_trace(trace_id)) == 2)
    spans = traced.collector.of_trace(trace_id)
    assert told(spans[0])["gateway.outcome"] == "abandoned"
    # That is nobody's failure.
    assert ERROR not in {span.status.code for span in spans}


async def test_what_a_test_key_is_answered_is_made_inside(traced: Bench, trace_id: str) -> None:
    customer = traced.tenant(environment="test")
    assert (await traced.ask(chat(traced.make_model()), trace_id, customer=customer)).status == 200
    _, span = traced.collector.of_trace(trace_id)
    assert span.kind == INTERNAL
    assert "server.address" not in told(span)


async def test_what_is_not_admitted_is_no_span(traced: Bench, trace_id: str) -> None:
    poor = traced.tenant(credit_nanos=0)
    assert (await traced.ask(chat(traced.make_model()), trace_id, customer=poor)).status == 402
    assert traced.collector.of_trace(trace_id) == []


async def test_no_span_holds_a_prompt_an_answer_or_a_key(traced: Bench) -> None:
    customer, mark = traced.tenant(), "quetzalcoatlus"
    for script in ("tokens=3", "status=400", "status=500", "garbage=1", "tool_calls=2"):
        said = [{"role": "user", "content": f"{mark} {GREETING}"}]
        model = traced.make_model(script)
        await traced.ask(
            {"model": model.id, "messages": said, "user": mark, "metadata": {"note": mark}}, customer=customer
        )
    sent = b"".join(received.body for received in traced.collector.received)
    assert sent
    assert [text for text in (mark, GREETING, customer.api_key) if text.encode() in sent] == []


async def test_the_spans_of_a_stream_are_there_before_its_last_bytes(traced: Bench, trace_id: str) -> None:
    body, headers = chat(traced.make_model("tokens=3"), stream=True), traced.tenant().headers
    traced.collector.delay_s = 0.2
    try:
        async with (
            client_in(trace_id) as session,
            session.post(f"{traced.gateway.url}{PATH}", json=body, headers=headers) as response,
        ):
            lines = [(line, len(traced.collector.of_trace(trace_id))) async for line in response.content]
    finally:
        traced.collector.delay_s = 0
    assert [spans for line, spans in lines if line.startswith(b"data: [DONE]")] == [2]
