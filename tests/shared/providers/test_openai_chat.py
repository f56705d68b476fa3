"""OpenAI's chat dialect."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.core.errors import InvalidRequest
from shared.core.money import Nanos
from shared.providers.featherless import FEATHERLESS
from shared.providers.openai_chat import (
    Chunk,
    build_request,
    complete_answer,
    error_event,
    read_chunk,
    read_completion,
    strip_usage,
    usage_chunk,
)
from shared.providers.openrouter import OPENROUTER
from shared.providers.portkey import PORTKEY
from shared.providers.raw_json import MalformedAnswer
from shared.providers.record import Provider
from shared.providers.sse import EventParser
from tests.shared.providers.recorded import (
    AZURE_FIRST_CHUNK,
    OPENROUTER_FAILED_COMPLETION,
    OPENROUTER_MID_STREAM_ERROR,
    OPENROUTER_STREAM,
    PORTKEY_ANTHROPIC_ERROR,
    VLLM_OLD_ERROR_EVENT,
    VLLM_REASONING_CHUNK,
)

MESSAGES = [{"role": "user", "content": "hi"}]
CHUNK = Chunk("gen-1", "m", 7, (), 0, None, None, has_choices=False)


def built(
    body: dict[str, Any], *, provider: Provider = PORTKEY, is_stream: bool = False, bound: int | None = None
) -> dict[str, Any]:
    sent = build_request(body, provider=provider, upstream_model="up", is_stream=is_stream, max_output_tokens=bound)
    request: dict[str, Any] = json.loads(sent)
    return request


class TestBuildRequest:
    def test_unknown_fields_pass_untouched(self) -> None:
        body = {"model": "x", "messages": MESSAGES, "seed": 1, "made_up": {"deep": [1, 2.5, None]}, "logprobs": True}
        assert built(body) == {**body, "model": "up", "stream": False}

    def test_gateway_fields_do_not_leave(self) -> None:
        body = {
            "messages": MESSAGES,
            "models": ["a"],
            "provider": {"order": ["x"], "max_price": 1},
            "session_id": "s",
            "service_tier": "auto",
            "plugins": [],
            "store": True,
            "debug": {},
        }
        assert built(body) == {"messages": MESSAGES, "model": "up", "stream": False}

    def test_client_body_is_not_changed(self) -> None:
        options = {"include_usage": False}
        body = {"messages": MESSAGES, "max_tokens": 9, "stream_options": options, "models": ["a"]}
        before = json.dumps(body)
        built(body, is_stream=True, bound=3)
        assert json.dumps(body) == before

    @pytest.mark.parametrize(
        "options", [None, {}, {"include_usage": False}, "x", [1], {"continuous_usage_stats": True}]
    )
    def test_streams_always_report_usage(self, options: object) -> None:
        request = built({"messages": MESSAGES, "stream_options": options}, is_stream=True)
        assert request["stream_options"] == {"include_usage": True}

    def test_other_stream_options_are_kept(self) -> None:
        request = built({"stream_options": {"include_obfuscation": False}}, is_stream=True)
        assert request["stream_options"] == {"include_obfuscation": False, "include_usage": True}

    def test_whole_answers_have_no_stream_options(self) -> None:
        assert "stream_options" not in built({"stream": True, "stream_options": {"include_usage": True}})

    @pytest.mark.parametrize(
        ("sent", "bound", "expected"),
        [
            ({}, 5, {"max_tokens": 5}),
            ({"max_tokens": 9}, 5, {"max_tokens": 5}),
            ({"max_completion_tokens": 9}, 5, {"max_completion_tokens": 5}),
            ({"max_completion_tokens": 2}, 5, {"max_completion_tokens": 2}),
            ({"max_tokens": 9, "max_completion_tokens": 8}, 5, {"max_tokens": 5}),
            ({"max_tokens": None, "max_completion_tokens": 8}, 5, {"max_completion_tokens": 5}),
            ({"max_tokens": None}, 5, {"max_tokens": 5}),
            ({"max_tokens": -1}, 5, {"max_tokens": 5}),
            ({"max_tokens": True}, 5, {"max_tokens": 5}),
            ({"max_tokens": 9}, None, {"max_tokens": 9}),
            ({}, None, {}),
        ],
    )
    def test_one_bound_on_output_leaves(
        self, sent: dict[str, Any], bound: int | None, expected: dict[str, int]
    ) -> None:
        request = built(sent, bound=bound)
        assert {name: value for name, value in request.items() if name.startswith("max_")} == expected

    @pytest.mark.parametrize("bound", [3, None])
    def test_provider_that_knows_one_name_gets_it(self, bound: int | None) -> None:
        request = built({"max_completion_tokens": 3}, provider=FEATHERLESS, bound=bound)
        assert request["max_tokens"] == 3
        assert "max_completion_tokens" not in request

    def test_data_collection_reaches_the_provider_that_honours_it(self) -> None:
        body = {"provider": {"data_collection": "deny", "order": ["azure"], "zdr": False}}
        assert built(body, provider=OPENROUTER)["provider"] == {"data_collection": "deny"}
        assert "provider" not in built(body, provider=PORTKEY)

    @pytest.mark.parametrize(
        "preferences", ["openrouter", {"data_collection": "maybe"}, {"data_collection": ["deny"]}, 3]
    )
    def test_other_preferences_do_not(self, preferences: object) -> None:
        assert "provider" not in built({"provider": preferences}, provider=OPENROUTER)

    def test_lone_surrogates_survive(self) -> None:
        sent = build_request(
            {"messages": [{"role": "user", "content": "\ud83d"}]},
            provider=PORTKEY,
            upstream_model="up",
            is_stream=False,
            max_output_tokens=None,
        )
        assert b'"\\ud83d"' in sent

    def test_nan_is_refused(self) -> None:
        with pytest.raises(InvalidRequest):
            built({"temperature": float("nan")})

    def test_depth_is_refused(self) -> None:
        deep: list[Any] = []
        for _ in range(100_000):
            deep = [deep]
        with pytest.raises(InvalidRequest):
            built({"metadata": deep})


class TestReadChunk:
    def test_openrouter_stream_is_read(self) -> None:
        events = EventParser().feed(OPENROUTER_STREAM)
        chunks = [read_chunk(event.data) for event in events[:-1]]
        assert [chunk.output_bytes for chunk in chunks] == [5, 0, 0]
        assert [chunk.finished for chunk in chunks] == [(), (0,), (0,)]
        assert [chunk.usage is not None for chunk in chunks] == [False, False, True]
        assert chunks[0][:3] == ("gen-1", "openai/gpt-4o-mini", 1778031306)
        assert all(chunk.has_choices and chunk.error is None for chunk in chunks)

    def test_chunk_without_choices_is_read(self) -> None:
        chunk = read_chunk(AZURE_FIRST_CHUNK)
        assert not chunk.has_choices
        assert chunk.usage is None

    def test_reasoning_sent_twice_counts_once(self) -> None:
        assert read_chunk(VLLM_REASONING_CHUNK).output_bytes == 8

    def test_tool_calls_and_refusals_count(self) -> None:
        data = b'{"choices":[{"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{}"}}],"refusal":"no!"}}]}'
        assert read_chunk(data).output_bytes == len(b'{"index":0,"function":{"arguments":"{}"}}') + 3

    def test_every_choice_of_a_chunk_counts(self) -> None:
        chunk = read_chunk(
            b'{"choices":[{"index":1,"delta":{"content":"ab"},"finish_reason":"stop"},'
            b'{"index":4,"delta":{"content":"cd"},"finish_reason":"length"},{"index":5,"delta":{"content":"e"}}]}'
        )
        assert (chunk.finished, chunk.output_bytes) == ((1, 4), 5)

    def test_openrouter_error_is_seen(self) -> None:
        (event,) = EventParser().feed(OPENROUTER_MID_STREAM_ERROR)
        assert json.loads(read_chunk(event.data).error or b"")["code"] == 429

    @pytest.mark.parametrize(
        "data",
        [
            PORTKEY_ANTHROPIC_ERROR,
            VLLM_OLD_ERROR_EVENT,
            b'{"error":{"message":"x"}}',
            b'{"error":"x"}',
            b'{"choices":[{"delta":{},"finish_reason":"error"}]}',
            b'{"choices":[{"delta":{},"finish_reason":"stop","error":{"code":502}}]}',
        ],
    )
    def test_every_way_to_say_error_is_seen(self, data: bytes) -> None:
        assert read_chunk(data).error is not None

    @pytest.mark.parametrize(
        "data",
        [
            b'{"choices":null,"usage":null,"error":null}',
            b"{}",
            b'{"choices":[{"delta":null}]}',
            b'{"id":7,"created":1.5}',
        ],
    )
    def test_nulls_and_gaps_are_no_failure(self, data: bytes) -> None:
        chunk = read_chunk(data)
        assert (chunk.usage, chunk.error, chunk.output_bytes) == (None, None, 0)

    @pytest.mark.parametrize(
        "data",
        [
            b"",
            b"[DONE]",
            b"null",
            b"[]",
            b'"x"',
            b"{",
            b'{"choices":{}}',
            b'{"choices":["x"]}',
            b'{"choices":[{"delta":"x"}]}',
            b'{"choices":[{"finish_reason":1}]}',
            b"<html>502 Bad Gateway</html>",
            b'{"model":"\xff"}',
            b'{"id":' + b"[" * 100_000,
            b'{"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        ],
    )
    def test_garbage_is_malformed(self, data: bytes) -> None:
        with pytest.raises(MalformedAnswer):
            read_chunk(data)

    @pytest.mark.parametrize("text", [rb"a\ud83d", rb"\ude00b", rb"\uD83Dx", rb"\ud83d\ud83d\ude00", rb"\\\ud83d"])
    def test_emoji_cut_between_two_chunks_is_no_failure(self, text: bytes) -> None:
        chunk = read_chunk(b'{"choices":[{"delta":{"content":"' + text + b'"}}]}')
        assert chunk.output_bytes > 0

    @given(st.binary(max_size=60))
    def test_nothing_but_malformed_comes_of_anything(self, data: bytes) -> None:
        try:
            read_chunk(data)
        except MalformedAnswer:
            return


class TestUsageChunks:
    def test_usage_beside_choices_is_taken_out_and_the_rest_stays(self) -> None:
        data = b'{"id":"a","choices":[{"index":0,"x":1.50}],"usage":{"prompt_tokens":1},"system_fingerprint":null}'
        assert strip_usage(data) == b'data: {"id":"a","choices":[{"index":0,"x":1.50}],"system_fingerprint":null}\n\n'

    def test_lone_surrogate_stays_when_usage_is_taken_out(self) -> None:
        data = rb'{"choices":[{"delta":{"content":"~lone0~\\ud83d \ud83d \ud83d\ude00"}}],"usage":{}}'
        assert rb"~lone0~\\ud83d \ud83d \ud83d\ude00" in strip_usage(data)

    def test_payload_of_several_lines_becomes_one(self) -> None:
        event = strip_usage(b'{"choices":[{\n"delta":{}\r\n}],\n"usage":{}}')
        assert event == b'data: {"choices":[{"delta":{}}]}\n\n'

    def test_last_chunk_says_what_was_charged_and_not_what_we_paid(self) -> None:
        usage = (
            b'{"prompt_tokens":3,"cost":0.5,"cost_details":{"upstream_inference_cost":0.5},"is_byok":false,"odd":1.0}'
        )
        event = usage_chunk(CHUNK, usage=usage).with_cost(Nanos(123_000))
        assert event == (
            b'data: {"id":"gen-1","object":"chat.completion.chunk","created":7,"model":"m","choices":[],'
            b'"usage":{"prompt_tokens":3,"odd":1.0,"cost":0.000123}}\n\n'
        )

    def test_what_cost_nothing_says_so(self) -> None:
        assert usage_chunk(CHUNK, usage=b"{}").with_cost(Nanos(0)).endswith(b'"usage":{"cost":0}}\n\n')

    def test_cost_that_nobody_knows_is_left_out_and_the_provider_s_own_is_no_stand_in(self) -> None:
        event = usage_chunk(CHUNK, usage=b'{"prompt_tokens":3,"cost":0.5}').with_cost(None)
        assert event.endswith(b'"usage":{"prompt_tokens":3}}\n\n')

    def test_usage_over_several_lines_does_not_break_the_event(self) -> None:
        event = usage_chunk(CHUNK, usage=b'{"a":{\n"b":1},\r\n"c":2}').with_cost(Nanos(1))
        assert event.count(b"\n") == 2

    def test_usage_that_is_no_object_is_malformed(self) -> None:
        with pytest.raises(MalformedAnswer):
            usage_chunk(CHUNK, usage=b"[1]").with_cost(Nanos(1))

    def test_error_becomes_an_event(self) -> None:
        assert error_event({"error": {"message": "line\nbreak"}}) == b'data: {"error":{"message":"line\\nbreak"}}\n\n'


class TestCompletions:
    def test_whole_answer_is_read(self) -> None:
        body = b"""{"id":"a","model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"hello",
            "tool_calls":null,"annotations":[]},"finish_reason":"stop"},{"index":1,"message":{"content":"ab"}}],
            "usage":{"prompt_tokens":1}}"""
        completion = read_completion(body)
        assert (completion.choices, completion.output_bytes, completion.error) == (2, 7, None)
        assert completion.usage == b'{"prompt_tokens":1}'

    def test_failed_answer_with_status_200_is_seen(self) -> None:
        completion = read_completion(OPENROUTER_FAILED_COMPLETION)
        assert completion.error is not None
        assert completion.choices == 0

    @pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"choices":3}'])
    def test_garbage_is_malformed(self, body: bytes) -> None:
        with pytest.raises(MalformedAnswer):
            read_completion(body)
        with pytest.raises(MalformedAnswer):
            complete_answer(body if body != b'{"choices":3}' else b"{", usage=b"{}")

    def test_cost_goes_in_and_every_other_digit_stays(self) -> None:
        body = (
            b'{"id":"a","logprob":-0.10000000000000000555,"big":123456789012345678901234567890,'
            b'"text":"\\u00e9 \\ud83d","usage":{"prompt_tokens":1,"cost":9e-7,"x":{"y":1.0}},"odd":[1,{"z":null}]}'
        )
        usage = b'{"prompt_tokens":1,"cost":9e-7,"x":{"y":1.0}}'
        assert complete_answer(body, usage=usage).with_cost(Nanos(1_500_000_000)) == (
            b'{"id":"a","logprob":-0.10000000000000000555,"big":123456789012345678901234567890,'
            b'"text":"\\u00e9 \\ud83d","usage":{"prompt_tokens":1,"x":{"y":1.0},"cost":1.5},"odd":[1,{"z":null}]}'
        )

    @pytest.mark.parametrize("body", [b'{"id":"a"}', b'{"id":"a","usage":null}', b'{"id":"a","usage":{"x":-5}}'])
    def test_the_usage_that_was_charged_replaces_what_the_body_has(self, body: bytes) -> None:
        answer = complete_answer(body, usage=b'{"prompt_tokens":4}').with_cost(Nanos(10))
        assert answer == b'{"id":"a","usage":{"prompt_tokens":4,"cost":0.00000001}}'

    def test_unknown_cost_is_left_out(self) -> None:
        answer = complete_answer(b'{"id":"a","usage":{"cost":0.5}}', usage=b'{"prompt_tokens":4,"cost":0.5}').with_cost(
            None
        )
        assert answer == b'{"id":"a","usage":{"prompt_tokens":4}}'

    @given(st.dictionaries(st.text(), st.recursive(st.none() | st.integers() | st.text(), st.lists, max_leaves=5)))
    def test_fields_are_what_they_were(self, fields: dict[str, Any]) -> None:
        fields.pop("usage", None)
        answer = json.loads(complete_answer(json.dumps(fields).encode(), usage=b"{}").with_cost(Nanos(1)))
        assert answer == {**fields, "usage": {"cost": 1e-09}}
