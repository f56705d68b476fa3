"""A response's stream, event by event."""

from typing import Any

import pytest

from shared.providers.responses.reasoning import open_details
from tests.shared.providers.responses.grammar import check_stream, follow, read_partial
from tests.shared.providers.responses.support import (
    begun,
    chunk,
    chunks_of,
    kinds,
    piece,
    stream_of,
    texts_of,
    types_of,
)


class TestWords:
    def test_a_text_has_the_events_of_the_specification_in_their_order(self) -> None:
        stream = stream_of([chunk(role="assistant", content=""), chunk(content="a"), chunk(content="b"), chunk("stop")])
        check_stream(stream)
        assert types_of(stream) == [
            "created",
            "in_progress",
            "output_item.added",
            "content_part.added",
            "output_text.delta",
            "output_text.delta",
            "output_text.done",
            "content_part.done",
            "output_item.done",
            "completed",
        ]

    def test_an_item_is_closed_when_its_end_is_known_and_not_when_the_money_is_settled(self) -> None:
        _, sent = begun([chunk(content="a"), chunk("stop")])
        assert read_partial(sent)[-1]["type"] == "response.output_item.done"

    def test_thoughts_have_events_of_their_own(self) -> None:
        stream = stream_of([chunk(reasoning="a"), chunk(reasoning_content="b"), chunk("stop")])
        assert check_stream(stream)["output"][0]["content"][0]["text"] == "ab"
        assert types_of(stream)[2:-1] == [
            "output_item.added",
            "content_part.added",
            "reasoning_text.delta",
            "reasoning_text.delta",
            "reasoning_text.done",
            "content_part.done",
            "output_item.done",
        ]

    def test_a_summary_has_events_of_its_own_and_a_part_for_each_block(self) -> None:
        details = [{"type": "reasoning.summary", "summary": text, "index": index} for index, text in enumerate("xy")]
        stream = stream_of([chunk(reasoning="xy", reasoning_details=details), chunk("stop")])
        summary = check_stream(stream)["output"][0]["summary"]
        assert [part["text"] for part in summary] == ["x", "y"]
        part = ["summary_part.added", "summary_text.delta", "summary_text.done", "summary_part.done"]
        assert types_of(stream)[3:-2] == [f"reasoning_{event}" for event in part * 2]

    def test_thoughts_between_two_texts_part_them(self) -> None:
        response = check_stream(
            stream_of([chunk(reasoning="1"), chunk(content="a"), chunk(reasoning="2"), chunk(content="b")])
        )
        assert kinds(response) == ["reasoning", "message", "reasoning", "message"]
        assert texts_of(response) == ["a", "b"]

    def test_a_seal_among_words_leaves_them_in_one_item(self) -> None:
        seal = {"type": "reasoning.encrypted", "data": "x", "index": 0}
        chunks = [
            chunk(content='{"a'),
            chunk(content='":', reasoning_details=[seal]),
            chunk(content="1}"),
            chunk("stop"),
        ]
        response = check_stream(stream_of(chunks))
        assert kinds(response) == ["message", "reasoning"]
        assert texts_of(response) == ['{"a":1}']
        assert open_details(response["output"][1]["encrypted_content"]) == [seal]

    def test_a_refusal_is_a_part_of_its_message(self) -> None:
        stream = stream_of([chunk(content="Well. "), chunk(refusal="I can"), chunk(refusal="not."), chunk("stop")])
        content = check_stream(stream)["output"][0]["content"]
        assert content[1] == {"type": "refusal", "refusal": "I cannot."}
        assert [event for event in types_of(stream) if "refusal" in event] == [
            "refusal.delta",
            "refusal.delta",
            "refusal.done",
        ]

    def test_an_answer_without_a_word_has_no_items(self) -> None:
        assert (
            check_stream(stream_of([chunk(role="assistant", content=""), chunk("stop", content=None)]))["output"] == []
        )

    def test_annotations_belong_to_the_text_that_is_open(self) -> None:
        cited = {"type": "url_citation", "url_citation": {"url": "https://x", "title": "X", "start_index": 0}}
        stream = stream_of([chunk(annotations=[cited]), chunk(content="a"), chunk("stop", annotations=[cited, {}, 7])])
        expected = {"type": "url_citation", "url": "https://x", "title": "X", "start_index": 0, "end_index": 0}
        assert check_stream(stream)["output"][0]["content"][0]["annotations"] == [expected, expected]

    def test_log_probabilities_come_with_their_text(self) -> None:
        token = {"token": "é", "logprob": -0.25, "bytes": None, "top_logprobs": [{"token": "e", "logprob": -1e400}]}
        probable = chunk(content="é")
        probable["choices"][0]["logprobs"] = {"content": [token], "refusal": None}
        stream = stream_of([probable, chunk("stop")])
        assert check_stream(stream)["output"][0]["content"][0]["logprobs"] == [
            {
                "token": "é",
                "logprob": -0.25,
                "bytes": [195, 169],
                "top_logprobs": [{"token": "e", "logprob": -9999.0, "bytes": [101]}],
            }
        ]

    def test_log_probabilities_of_each_delta_are_said_once(self) -> None:
        chunks = []
        for text in ("a", "b"):
            probable = chunk(content=text)
            probable["choices"][0]["logprobs"] = {"content": [{"token": text, "logprob": 0, "top_logprobs": []}]}
            chunks.append(probable)
        logprobs = check_stream(stream_of(chunks))["output"][0]["content"][0]["logprobs"]
        assert [entry["token"] for entry in logprobs] == ["a", "b"]

    def test_thoughts_that_were_signed_apart_stay_apart(self) -> None:
        signed = [{"type": "reasoning.text", "text": text, "signature": text} for text in "xy"]
        response = check_stream(stream_of([chunk(reasoning_details=[detail]) for detail in signed]))
        assert open_details(response["output"][0]["encrypted_content"]) == signed

    def test_halves_of_an_emoji_in_two_chunks_are_whole_in_the_end(self) -> None:
        halves = [b'data: {"choices":[{"delta":{"content":"%b"}}]}\n\n' % half for half in (b"\\ud83d", b"\\ude00")]
        recorded = b"".join(halves)
        assert texts_of(follow(stream_of(chunks_of(recorded)))) == ["\U0001f600"]

    def test_a_text_in_any_language_is_sent_as_it_is(self) -> None:
        assert "漢字\u2028".encode() in stream_of([chunk(content="漢字\u2028")])


class TestCalls:
    def test_a_call_has_the_events_of_the_specification_in_their_order(self) -> None:
        stream = stream_of([chunk(tool_calls=[piece(0, call_id="c", name="f", text="{}")]), chunk("tool_calls")])
        check_stream(stream)
        assert types_of(stream)[2:-1] == [
            "output_item.added",
            "function_call_arguments.delta",
            "function_call_arguments.done",
            "output_item.done",
        ]

    def test_the_pieces_of_two_calls_may_alternate(self) -> None:
        chunks = [
            chunk(tool_calls=[piece(0, call_id="a", name="f"), piece(1, call_id="b", name="g")]),
            chunk(tool_calls=[piece(1, text="{")]),
            chunk(tool_calls=[piece(0, text="{"), piece(1, text="}")]),
            chunk("tool_calls", tool_calls=[piece(0, text="}")]),
        ]
        output = check_stream(stream_of(chunks))["output"]
        assert [(item["call_id"], item["arguments"]) for item in output] == [("a", "{}"), ("b", "{}")]

    def test_a_text_after_calls_is_an_item_after_theirs(self) -> None:
        chunks = [
            chunk(content="before"),
            chunk(tool_calls=[piece(0, call_id="a", name="f", text="{")]),
            chunk(content="after"),
            chunk(content="!", tool_calls=[piece(0, text="}")]),
            chunk("tool_calls"),
        ]
        response = check_stream(stream_of(chunks))
        assert kinds(response) == ["message", "function_call", "message"]
        assert texts_of(response) == ["before", "after!"]
        assert response["output"][1]["arguments"] == "{}"

    def test_a_call_waits_for_its_name(self) -> None:
        chunks = [
            chunk(tool_calls=[piece(0, call_id="a")]),
            chunk(tool_calls=[piece(0, text="{")]),
            chunk(tool_calls=[piece(0, name="f", text="}")]),
        ]
        output = check_stream(stream_of(chunks))["output"]
        assert [(item["call_id"], item["name"], item["arguments"]) for item in output] == [("a", "f", "{}")]

    def test_a_call_that_never_gets_a_name_is_still_delivered(self) -> None:
        output = check_stream(stream_of([chunk(tool_calls=[piece(0, call_id="a", text="{}")]), chunk("stop")]))[
            "output"
        ]
        assert [(item["call_id"], item["name"], item["arguments"]) for item in output] == [("a", "", "{}")]

    def test_a_call_without_an_id_gets_one(self) -> None:
        output = check_stream(stream_of([chunk(tool_calls=[piece(None, name="f", text="{}")])]))["output"]
        assert output[0]["call_id"] == "call_00ff_0"

    def test_calls_without_an_index_are_told_apart(self) -> None:
        chunks = [
            chunk(tool_calls=[piece(None, call_id="a", name="f", text="{"), piece(None, text="}")]),
            chunk(tool_calls=[piece(None, call_id="b", name="f", text="{")]),
            chunk(tool_calls=[piece(None, call_id="b", text="}")]),
        ]
        output = check_stream(stream_of(chunks))["output"]
        assert [(item["call_id"], item["arguments"]) for item in output] == [("a", "{}"), ("b", "{}")]

    def test_arguments_that_come_as_an_object_become_its_json(self) -> None:
        call = {"index": 0, "id": "a", "function": {"name": "f", "arguments": {"n": 1}}}
        assert check_stream(stream_of([chunk(tool_calls=[call])]))["output"][0]["arguments"] == '{"n":1}'

    def test_a_custom_call_has_input_and_events_of_its_own(self) -> None:
        first = {"index": 0, "id": "a", "type": "custom", "custom": {"name": "patch", "input": "*** "}}
        then = {"index": 0, "custom": {"input": "End"}}
        stream = stream_of([chunk(tool_calls=[first]), chunk(tool_calls=[then]), chunk("tool_calls")])
        item = check_stream(stream)["output"][0]
        assert (item["type"], item["name"], item["input"]) == ("custom_tool_call", "patch", "*** End")
        assert types_of(stream)[3:-2] == ["custom_tool_call_input.delta"] * 2 + ["custom_tool_call_input.done"]

    def test_the_old_function_call_is_a_call(self) -> None:
        chunks = [chunk(function_call={"name": "f", "arguments": ""}), chunk(function_call={"arguments": "{}"})]
        output = check_stream(stream_of([*chunks, chunk("function_call")]))["output"]
        assert [(item["name"], item["arguments"]) for item in output] == [("f", "{}")]


class TestTolerance:
    @pytest.mark.parametrize(
        "odd",
        [
            {},
            {"choices": None},
            {"choices": [None, 7, {}]},
            {"choices": [{"delta": None}]},
            {"choices": [{"index": 0, "delta": {"content": 7, "tool_calls": [None, {}], "reasoning_details": [None]}}]},
            {"choices": [{"index": 1, "delta": {"content": "another choice"}}]},
            {"choices": [], "usage": {"prompt_tokens": 1}},
            {"choices": [{"delta": {"annotations": {}, "function_call": "f", "refusal": []}, "logprobs": "x"}]},
        ],
    )
    def test_a_chunk_that_says_nothing_readable_is_passed_over(self, odd: dict[str, Any]) -> None:
        response = check_stream(stream_of([chunk(content="a"), odd, chunk(content="b"), chunk("stop")]))
        assert kinds(response) == ["message"]
        assert texts_of(response) == ["ab"]

    def test_a_text_in_parts_is_a_text(self) -> None:
        parts = [{"type": "text", "text": "a"}, {"type": "other"}, {"type": "text", "text": "b"}]
        assert texts_of(check_stream(stream_of([chunk(content=parts)]))) == ["ab"]
