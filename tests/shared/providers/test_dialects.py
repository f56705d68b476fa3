"""What the engine asks of each dialect: bytes as they came, a ping and a failure at any time, nothing unreadable."""

import json
from collections.abc import Callable

import pytest

from shared.core.errors import GatewayError
from shared.core.ids import GenerationId, ModelId, new_generation_id
from shared.core.money import Nanos
from shared.flows.forward_chat import StreamInterrupted
from shared.providers.chat_dialect import ChatDialect
from shared.providers.dialect import Dialect, Served, Used
from shared.providers.messages.dialect import MessagesDialect
from shared.providers.messages.request import Echo
from shared.providers.openai_chat import read_chunk
from shared.providers.raw_json import MalformedAnswer
from shared.providers.responses.dialect import ResponsesDialect
from shared.providers.responses.request import to_chat
from shared.providers.sse import Event, EventParser
from shared.providers.usage import UsageReport, encode_usage
from tests.shared.providers.messages import grammar as messages_grammar
from tests.shared.providers.responses import grammar as responses_grammar

REPORT = UsageReport(input_tokens=10, cached_input_tokens=0, cache_write_tokens=0, output_tokens=2, reasoning_tokens=0)
USED = Used(report=REPORT, shown=encode_usage(REPORT), ended_at_s=1_750_000_001)
COST = Nanos(26_000)
CHUNKS = [
    b'data: {"id":"gen-1","object":"chat.completion.chunk","choices":[{"index":0,"delta":{"role":"assistant",'
    b'"content":"Hello \\ud83d"},"finish_reason":null}]}\n\n',
    b'data: {"id":"gen-1","object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":"\\ude00"},'
    b'"finish_reason":"stop"}],"usage":{"prompt_tokens":10,"completion_tokens":2}}\n\n',
]
WHOLE = (
    b'{"id":"gen-1","object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant",'
    b'"content":"Hello"},"finish_reason":"stop"}]}'
)


def chat() -> Dialect:
    return ChatDialect(is_usage_wanted=False)


def messages() -> Dialect:
    return MessagesDialect(Echo())


def responses() -> ResponsesDialect:
    return ResponsesDialect(to_chat({"model": "m", "input": "Hello"}).echo, model="m", asked_at_s=1_750_000_000)


EACH = pytest.mark.parametrize("make", [chat, messages, responses])
TRANSLATING = pytest.mark.parametrize("make", [messages, responses])


def served(generation_id: GenerationId | None = None) -> Served:
    return Served(
        generation_id=generation_id or new_generation_id(),
        model=ModelId("maker/model"),
        input_tokens=9,
        began_at_s=1_750_000_000,
    )


def events(data: bytes) -> list[Event]:
    return EventParser().feed(data)


def passed(dialect: Dialect, data: bytes) -> bytes:
    return b"".join(dialect.take(event, read_chunk(event.data)) for event in events(data))


def read_failure(make: Callable[[], Dialect], data: bytes) -> dict[str, object]:
    if make is chat:
        error: dict[str, object] = json.loads(data.removeprefix(b"data: "))["error"]
        return error
    if make is messages:
        checker = messages_grammar.StreamChecker()
        checker.feed(data)
        assert checker.error is not None
        return {"code": checker.error["error"]["details"]["error_code"]}
    response = responses_grammar.check_stream(data)
    assert response["status"] == "failed"
    (failure,) = [event for event in responses_grammar.read_events(data) if event["type"] == "error"]
    return failure


def test_chat_is_passed_on_as_it_came_but_for_its_usage() -> None:
    dialect = chat()
    dialect.begin(served())
    assert passed(dialect, CHUNKS[0]) == CHUNKS[0]
    assert b"usage" not in passed(dialect, CHUNKS[1])
    assert dialect.end(None, USED).with_cost(COST) == b"data: [DONE]\n\n"


@TRANSLATING
def test_a_stream_is_grammatical_and_puts_an_emoji_together(make: Callable[[], Dialect]) -> None:
    dialect = make()
    dialect.begin(served())
    data = passed(dialect, b"".join(CHUNKS)) + dialect.end(None, USED).with_cost(COST)
    if make is messages:
        message = messages_grammar.check_stream(data)
        assert (message["content"][0]["text"], message["usage"]["cost"]) == ("Hello \U0001f600", 0.000026)
    else:
        response = responses_grammar.check_stream(data)
        assert response["output"][0]["content"][0]["text"].encode("utf-16", "surrogatepass").decode("utf-16") == (
            "Hello \U0001f600"
        )
        assert response["usage"]["cost"] == 0.000026


@EACH
@pytest.mark.parametrize("chunks", [None, 0, 1], ids=["before a provider", "before a chunk", "in the middle"])
def test_a_failure_can_be_told_at_any_time(make: Callable[[], Dialect], chunks: int | None) -> None:
    dialect, data = make(), b""
    if chunks is not None:
        dialect.begin(served())
        data = passed(dialect, b"".join(CHUNKS[:chunks]))
    failure: GatewayError = StreamInterrupted()
    told = dialect.fail(failure, "req_0123456789ab", None if chunks is None else USED).with_cost(None)
    assert read_failure(make, told if make is chat else data + told)["code"] == "stream_interrupted"


@EACH
def test_a_ping_can_be_sent_at_any_time(make: Callable[[], Dialect]) -> None:
    dialect = make()
    before = dialect.ping()
    dialect.begin(served())
    assert dialect.ping() == before == (b'event: ping\ndata: {"type":"ping"}\n\n' if make is messages else b": ping\n")


@TRANSLATING
@pytest.mark.parametrize("body", [b"", b"[]", b'{"a":', b"\xff\xfe{}", b"[" * 100_000])
def test_what_cannot_be_read_is_the_provider_s_fault(make: Callable[[], Dialect], body: bytes) -> None:
    dialect = make()
    dialect.begin(served())
    with pytest.raises(MalformedAnswer):
        dialect.read(body)
    event = Event(data=body, raw=body)
    with pytest.raises(MalformedAnswer):
        dialect.take(event, read_chunk(b"{}"))


@EACH
def test_a_whole_answer_names_what_it_cost(make: Callable[[], Dialect]) -> None:
    dialect = make()
    dialect.read(WHOLE)
    assert json.loads(dialect.answer(WHOLE, served(), USED).with_cost(COST))["usage"]["cost"] == 0.000026


def test_only_a_response_that_has_ended_may_be_stored() -> None:
    ended, broken, whole = responses(), responses(), responses()
    for dialect in (ended, broken):
        dialect.begin(served())
        passed(dialect, CHUNKS[0])
        assert dialect.response is None
    ended.end(None, USED)
    broken.fail(StreamInterrupted(), "req_0123456789ab", USED)
    whole.read(WHOLE)
    whole.answer(WHOLE, served(), USED)
    assert ended.response is not None and whole.response is not None
    assert ended.response["output"][0]["type"] == whole.response["output"][0]["type"] == "message"
    assert broken.response is None
