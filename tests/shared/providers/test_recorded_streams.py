"""Every recorded stream through every dialect: grammatical, and the same said in each."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from shared.core.ids import ModelId, new_generation_id
from shared.core.money import Nanos
from shared.flows.forward_chat import StreamInterrupted
from shared.providers.chat_dialect import ChatDialect
from shared.providers.dialect import Dialect, Served, Used
from shared.providers.messages.dialect import MessagesDialect
from shared.providers.messages.request import Echo
from shared.providers.openai_chat import DONE_PAYLOAD, Chunk, read_chunk
from shared.providers.responses.dialect import ResponsesDialect
from shared.providers.responses.request import to_chat
from shared.providers.sse import Event, EventParser
from shared.providers.usage import UsageBounds, UsageReport, encode_usage, read_usage
from tests.shared.providers import chat_grammar
from tests.shared.providers.messages import grammar as messages_grammar
from tests.shared.providers.messages import recorded as messages_recorded
from tests.shared.providers.recorded_streams import ALL, Recorded
from tests.shared.providers.responses import grammar as responses_grammar
from tests.shared.providers.responses import recorded as responses_recorded

REPORT = UsageReport(input_tokens=10, cached_input_tokens=0, cache_write_tokens=0, output_tokens=2, reasoning_tokens=0)
USED = Used(report=REPORT, shown=encode_usage(REPORT), ended_at_s=1_750_000_001)
COST = Nanos(26_000)
BOUNDS = UsageBounds(max_input_tokens=10_000, max_output_tokens_total=10_000)

EACH = pytest.mark.parametrize("recorded", ALL, ids=lambda recorded: recorded.name)
# Recorded for one of the dialects alone, and told by the other too.
OTHERS = {
    **{name: _bytes for name, _bytes in vars(responses_recorded).items() if isinstance(_bytes, bytes)},
    **{
        name: b"".join(b"data: %b\n\n" % json.dumps(chunk).encode() for chunk in chunks) + b"data: [DONE]\n\n"
        for name, chunks in messages_recorded.ALL.items()
    },
}


@dataclass(frozen=True, slots=True)
class Said:
    """What a client of a dialect has after a stream."""

    text: str
    thoughts: str
    calls: tuple[tuple[str, str], ...]
    is_cut: bool
    has_failed: bool


@dataclass(frozen=True, slots=True)
class Passed:
    """What became of a stream: its bytes, and the last usage that the provider told."""

    data: bytes
    usage: bytes | None


def read(stream: bytes) -> Iterator[tuple[Event, Chunk]]:
    """Yield the chunks as the engine reads them, up to [DONE]."""
    for event in EventParser().feed(stream):
        if event.data == DONE_PAYLOAD:
            return
        yield event, read_chunk(event.data)


def pass_on(dialect: Dialect, stream: bytes) -> Passed:
    """Pass a stream on as the engine does."""
    served = Served(
        generation_id=new_generation_id(), model=ModelId("maker/model"), input_tokens=9, began_at_s=1_750_000_000
    )
    dialect.begin(served)
    data, usage, last_chunk = b"", None, None
    for event, chunk in read(stream):
        if chunk.error is not None:
            return Passed(data + dialect.fail(StreamInterrupted(), "req_0123456789ab", USED).with_cost(COST), usage)
        last_chunk, usage = chunk, chunk.usage or usage
        data += dialect.take(event, chunk)
    return Passed(data + dialect.end(last_chunk, USED).with_cost(COST), usage)


def said_in_messages(stream: bytes) -> Said:
    data = pass_on(MessagesDialect(Echo()), stream).data
    messages_grammar.check_sent(data, is_whole=True)
    checker = messages_grammar.StreamChecker()
    checker.feed(data)
    blocks: list[dict[str, Any]] = checker.message.get("content", [])
    return Said(
        text="".join(block["text"] for block in blocks if block["type"] == "text"),
        thoughts="".join(block["thinking"] for block in blocks if block["type"] == "thinking"),
        calls=tuple((block["name"], json.dumps(block["input"])) for block in blocks if block["type"] == "tool_use"),
        is_cut=checker.message.get("stop_reason") == "max_tokens",
        has_failed=checker.error is not None,
    )


def said_in_responses(stream: bytes) -> Said:
    echo = to_chat({"model": "m", "input": "Hello"}).echo
    data = pass_on(ResponsesDialect(echo, model="m", asked_at_s=1_750_000_000), stream).data
    response = responses_grammar.check_stream(data)
    items = response["output"]
    parts = [(item["type"], part) for item in items if "content" in item for part in item["content"]]
    parts += [("reasoning", part) for item in items for part in item.get("summary", ())]
    return Said(
        text="".join(part["text"] for kind, part in parts if kind == "message"),
        thoughts="".join(part["text"] for kind, part in parts if kind == "reasoning"),
        calls=tuple(
            (item["name"], json.dumps(json.loads(item["arguments"])))
            for item in items
            if item["type"] == "function_call"
        ),
        is_cut=response["status"] == "incomplete",
        has_failed=response["status"] == "failed",
    )


@EACH
@pytest.mark.parametrize("said", [said_in_messages, said_in_responses])
def test_a_recorded_stream_says_what_its_provider_said(recorded: Recorded, said: Any) -> None:
    assert said(recorded.stream) == Said(
        recorded.text, recorded.thoughts, recorded.calls, recorded.is_cut, recorded.has_failed
    )


@EACH
@pytest.mark.parametrize("is_usage_wanted", [False, True])
def test_chat_passes_a_recorded_stream_on_as_it_came_but_for_its_usage(
    recorded: Recorded, is_usage_wanted: bool
) -> None:
    data = pass_on(ChatDialect(is_usage_wanted=is_usage_wanted), recorded.stream).data
    chat_grammar.check_sent(data, is_whole=True)
    told = [json.loads(payload) for payload in chat_grammar.read_payloads(data) if payload != chat_grammar.DONE]
    came = [json.loads(event.data) for event, chunk in read(recorded.stream) if chunk.error is None]
    if recorded.has_failed:
        assert set(told.pop()) == {"error"}
    elif is_usage_wanted:
        assert told.pop()["usage"]["cost"] == 0.000026
    assert told == [_without_usage(chunk) for chunk in came if chunk["choices"] or chunk.get("usage") is None]


@EACH
def test_what_a_recorded_stream_used_is_what_its_provider_told_last(recorded: Recorded) -> None:
    report = read_usage(pass_on(ChatDialect(is_usage_wanted=False), recorded.stream).usage, bounds=BOUNDS)
    told = None
    if report is not None:
        inputs = (report.input_tokens, report.cached_input_tokens, report.cache_write_tokens)
        told = (sum(inputs), report.output_tokens)
    assert told == recorded.tokens


@pytest.mark.parametrize("name", OTHERS)
def test_both_translated_dialects_say_the_same(name: str) -> None:
    assert said_in_messages(OTHERS[name]) == said_in_responses(OTHERS[name])


def _without_usage(chunk: dict[str, Any]) -> dict[str, Any]:
    return chunk if chunk.get("usage") is None else {name: chunk[name] for name in chunk if name != "usage"}
