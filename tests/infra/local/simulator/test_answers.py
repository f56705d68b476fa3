"""What answers say, streamed and not."""

import json
from typing import Any

import pytest

from tests.infra.local.simulator.conftest import Sim, text_of

WORDS = "tok0 tok1 tok2 tok3 tok4 tok5 tok6 tok7"
PARAMETERS = {"type": "object", "properties": {"city": {"type": "string"}}}
TOOLS = [{"type": "function", "function": {"name": name, "parameters": PARAMETERS}} for name in ("weather", "time")]
SCHEMA = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
    "required": ["name"],
}
RESPONSE_FORMAT = {"type": "json_schema", "json_schema": {"name": "person", "schema": SCHEMA}}


async def test_a_default_answer_is_eight_words(sim: Sim) -> None:
    status, body = await sim.post({})
    assert status == 200
    assert body["id"].startswith("gen-sim-")
    assert body["choices"][0]["message"] == {"role": "assistant", "content": WORDS, "refusal": None}
    assert body["choices"][0]["finish_reason"] == "stop"
    assert body["usage"]["prompt_tokens"] == 2
    assert body["usage"]["completion_tokens"] == 8
    assert body["usage"]["cost"] == 0.000018
    assert body["provider"] == "SimUpstream"


async def test_only_openrouter_reports_a_cost_and_its_upstream(sim: Sim) -> None:
    for provider in ("portkey", "featherless", "chutes"):
        _, body = await sim.post({}, provider=provider)
        assert "cost" not in body["usage"]
        assert "provider" not in body


async def test_a_stream_is_one_chunk_a_token_then_finish_then_done(sim: Sim) -> None:
    events = await sim.events({"model": "sim/tokens=64"}, provider="chutes")
    assert len(events) == 64 + 1 + 1
    assert text_of(events) == " ".join(f"tok{index}" for index in range(64))
    assert events[0]["choices"][0]["delta"]["role"] == "assistant"
    assert "role" not in events[1]["choices"][0]["delta"]
    assert events[-2]["choices"][0]["finish_reason"] == "stop"
    assert events[-1] == "[DONE]"


async def test_stream_usage_comes_only_when_asked_except_at_openrouter(sim: Sim) -> None:
    silent = await sim.events({}, provider="chutes")
    assert not any("usage" in event for event in silent[:-1])
    asked = await sim.events({"stream_options": {"include_usage": True}}, provider="chutes")
    assert asked[-2]["choices"] == []
    assert asked[-2]["usage"]["total_tokens"] == 10
    unasked = await sim.events({})
    assert unasked[-2]["usage"]["cost"] == 0.000018


async def test_usage_can_ride_on_the_chunk_that_finishes(sim: Sim) -> None:
    events = await sim.events({"model": "sim/usage=in_last_chunk"}, provider="chutes")
    assert events[-2]["choices"][0]["finish_reason"] == "stop"
    assert events[-2]["usage"]["completion_tokens"] == 8


@pytest.mark.parametrize(
    ("mode", "value", "cost"),
    [("zero", 0, 0), ("negative", -5, 0.000018), ("huge", 10**9, 0.000018), ("garbage", "many", "much")],
)
async def test_usage_can_lie(sim: Sim, mode: str, value: object, cost: object) -> None:
    _, body = await sim.post({"model": f"sim/usage={mode}"})
    assert body["usage"]["prompt_tokens"] == value
    assert body["usage"]["prompt_tokens_details"]["cached_tokens"] == value
    assert body["usage"]["cost"] == cost
    assert (await sim.last())["completion_tokens"] == 8


async def test_usage_can_be_missing(sim: Sim) -> None:
    _, body = await sim.post({"model": "sim/usage=missing"})
    assert "usage" not in body
    events = await sim.events({"model": "sim/usage=missing", "stream_options": {"include_usage": True}})
    assert not any("usage" in event for event in events[:-1])


async def test_scripted_quantities_and_cost_are_reported_and_billed(sim: Sim) -> None:
    script = "prompt_tokens=1000,cached_tokens=400,reasoning_tokens=50"
    _, body = await sim.post({"model": "openai/gpt-5-mini"}, headers={"X-Simulate": script})
    usage = body["usage"]
    assert (usage["prompt_tokens"], usage["completion_tokens"]) == (1000, 58)
    assert usage["prompt_tokens_details"] == {"cached_tokens": 400}
    assert usage["completion_tokens_details"] == {"reasoning_tokens": 50}
    # 600 x 0.25 + 400 x 0.025 + 58 x 2 dollars per million.
    assert usage["cost"] == 0.000276
    assert (await sim.last())["cost"] == "0.000276"
    _, body = await sim.post({"simulate": {"cost": "0.0039"}})
    assert body["usage"]["cost"] == 0.0039
    assert (await sim.last())["cost"] == "0.0039"


@pytest.mark.parametrize("field", ["max_tokens", "max_completion_tokens"])
async def test_max_tokens_cuts_the_answer_with_finish_reason_length(sim: Sim, field: str) -> None:
    _, body = await sim.post({field: 3})
    assert body["choices"][0]["message"]["content"] == "tok0 tok1 tok2"
    assert body["choices"][0]["finish_reason"] == "length"
    assert body["usage"]["completion_tokens"] == 3
    events = await sim.events({field: 3})
    assert text_of(events) == "tok0 tok1 tok2"
    assert events[-3]["choices"][0]["finish_reason"] == "length"


async def test_hidden_reasoning_counts_against_max_tokens(sim: Sim) -> None:
    _, body = await sim.post({"model": "sim/reasoning_tokens=20", "max_tokens": 5})
    assert body["choices"][0]["message"]["content"] == ""
    assert body["usage"]["completion_tokens"] == 5


async def test_n_choices_say_the_same_and_are_all_billed(sim: Sim) -> None:
    _, body = await sim.post({"n": 3})
    assert [choice["index"] for choice in body["choices"]] == [0, 1, 2]
    assert body["usage"]["completion_tokens"] == 24
    events = await sim.events({"n": 3})
    assert [text_of(events, choice=index) for index in range(3)] == [WORDS] * 3
    assert len([e for e in events[:-1] if e["choices"] and e["choices"][0]["finish_reason"]]) == 3


@pytest.mark.parametrize("streamed", [False, True])
async def test_logprobs_come_per_token_when_asked(sim: Sim, streamed: bool) -> None:
    request = {"logprobs": True, "top_logprobs": 2}
    if streamed:
        events = await sim.events(request, provider="chutes")
        entries = [entry for event in events[:8] for entry in event["choices"][0]["logprobs"]["content"]]
    else:
        _, body = await sim.post(request)
        entries = body["choices"][0]["logprobs"]["content"]
    assert [entry["token"] for entry in entries] == ["tok0", *(f" tok{index}" for index in range(1, 8))]
    assert all(len(entry["top_logprobs"]) == 2 and entry["logprob"] < 0 for entry in entries)


def join_calls(events: list[Any]) -> dict[int, dict[str, str]]:
    calls: dict[int, dict[str, str]] = {}
    for event in events:
        for choice in event["choices"]:
            for call in choice["delta"].get("tool_calls", []):
                joined = calls.setdefault(call["index"], {"id": "", "name": "", "arguments": ""})
                joined["id"] += call.get("id", "")
                joined["name"] += call["function"].get("name", "")
                joined["arguments"] += call["function"]["arguments"]
    return calls


async def test_tool_calls_are_parallel_and_streamed_in_fragments(sim: Sim) -> None:
    request = {"model": "sim/tool_calls=2", "tools": TOOLS}
    _, body = await sim.post(request)
    message = body["choices"][0]["message"]
    assert message["content"] is None
    assert [call["function"]["name"] for call in message["tool_calls"]] == ["weather", "time"]
    assert body["choices"][0]["finish_reason"] == "tool_calls"
    events = await sim.events(request)
    calls = join_calls(events[:-1])
    assert [call["name"] for call in calls.values()] == ["weather", "time"]
    assert all(json.loads(call["arguments"]) == {"city": "text"} for call in calls.values())
    assert calls[0]["id"] != calls[1]["id"]
    assert len(events) > 6
    assert events[-3]["choices"][0]["finish_reason"] == "tool_calls"


async def test_structured_output_satisfies_the_schema(sim: Sim) -> None:
    _, body = await sim.post({"response_format": RESPONSE_FORMAT})
    assert json.loads(body["choices"][0]["message"]["content"]) == {"name": "text", "age": 1}
    events = await sim.events({"response_format": RESPONSE_FORMAT})
    assert json.loads(text_of(events)) == {"name": "text", "age": 1}


@pytest.mark.parametrize("request_fields", [{"model": "sim/json=1"}, {"response_format": {"type": "json_object"}}])
async def test_json_without_a_schema_is_some_object(sim: Sim, request_fields: dict[str, Any]) -> None:
    _, body = await sim.post(request_fields)
    assert json.loads(body["choices"][0]["message"]["content"]) == {"answer": "text"}


async def test_the_same_request_gets_the_same_answer_but_for_its_id(sim: Sim) -> None:
    first, second = [(await sim.post({"model": "sim/tokens=5,wide=1"}))[1] for _ in range(2)]
    assert first.pop("id") != second.pop("id")
    assert first == second


async def test_prompt_tokens_are_a_quarter_of_the_texts_bytes_rounded_up(sim: Sim) -> None:
    content = [
        {"type": "text", "text": "éé1"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}},
    ]
    messages = [{"role": "system", "content": "12345678"}, {"role": "user", "content": content}]
    _, body = await sim.post({"messages": messages})
    assert body["usage"]["prompt_tokens"] == 4
    assert (await sim.last())["image_parts"] == 1
