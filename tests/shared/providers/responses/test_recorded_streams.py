"""Streams as providers send them, quirks included."""

from typing import Any

import pytest

from shared.providers.responses.reasoning import open_details
from tests.shared.providers.recorded import AZURE_FIRST_CHUNK, OPENROUTER_STREAM, VLLM_REASONING_CHUNK
from tests.shared.providers.responses import recorded
from tests.shared.providers.responses.grammar import check_stream
from tests.shared.providers.responses.support import chunks_of, kinds, stream_of


def response_of(stream: bytes) -> dict[str, Any]:
    return check_stream(stream_of(chunks_of(stream)))


def calls_of(response: dict[str, Any]) -> list[tuple[str, str, str]]:
    return [
        (item["call_id"], item["name"], item["arguments"])
        for item in response["output"]
        if item["type"] == "function_call"
    ]


def test_openrouters_repeated_finish_and_usage_beside_a_choice_end_one_message() -> None:
    response = response_of(OPENROUTER_STREAM)
    assert kinds(response) == ["message"]
    assert response["output"][0]["content"][0]["text"] == "Hello"


def test_openrouters_reasoning_becomes_an_item_before_the_message() -> None:
    response = response_of(recorded.OPENROUTER_REASONING)
    assert kinds(response) == ["reasoning", "message"]
    assert response["output"][0]["content"] == [{"type": "reasoning_text", "text": "Okay, so I need"}]


def test_a_summary_is_a_summary_and_encrypted_thoughts_come_with_it() -> None:
    item = response_of(recorded.OPENROUTER_SUMMARY_AND_ENCRYPTED)["output"][0]
    assert item["summary"] == [{"type": "summary_text", "text": "**Adding up**"}]
    assert item["content"] == []
    assert open_details(item["encrypted_content"]) == [
        {"type": "reasoning.summary", "summary": "**Adding up**", "format": "openai-responses-v1", "index": 0},
        {
            "type": "reasoning.encrypted",
            "data": "gAAAAAB",
            "id": "rs_0d13f4",
            "format": "openai-responses-v1",
            "index": 0,
        },
    ]


def test_a_signature_stays_with_the_thoughts_that_it_signs() -> None:
    response = response_of(recorded.OPENROUTER_SIGNED_THOUGHTS)
    assert kinds(response) == ["reasoning", "function_call"]
    assert response["output"][0]["content"][0]["text"] == "Let me look"
    assert open_details(response["output"][0]["encrypted_content"]) == [
        {
            "type": "reasoning.text",
            "text": "Let me look",
            "signature": "ErUBCkYI",
            "format": "anthropic-claude-v1",
            "index": 0,
        }
    ]
    assert calls_of(response) == [("toolu_01", "look", '{"at": 1}')]


def test_parallel_calls_keep_their_ids_and_arguments() -> None:
    assert calls_of(response_of(recorded.OPENAI_PARALLEL_CALLS)) == [
        ("call_DdmO9pD3xa9XTPNJ32zg2hcA", "get_weather", '{"location":"Paris, France"}'),
        ("call_2", "get_time", "{}"),
    ]


def test_calls_that_are_all_numbered_zero_are_told_apart_by_their_ids() -> None:
    assert calls_of(response_of(recorded.VLLM_ALL_CALLS_ZERO)) == [
        ("chatcmpl-tool-c9", "func_name", '{"n":1}'),
        ("chatcmpl-tool-Hf", "func_name", '{"n":2}'),
    ]


def test_a_call_whose_last_piece_names_it_anew_is_one_call() -> None:
    response = response_of(recorded.VLLM_REPEATED_NAME)
    assert calls_of(response) == [("chatcmpl-tool-1", "glob", '{"path":"src"}')]
    assert response["output"][0]["content"][0]["text"] == "Hm"


@pytest.mark.parametrize("recorded_chunk", [AZURE_FIRST_CHUNK, VLLM_REASONING_CHUNK])
def test_a_single_odd_chunk_is_read(recorded_chunk: bytes) -> None:
    response = response_of(b"data: " + recorded_chunk + b"\n\n")
    assert kinds(response) == (["reasoning"] if b"reasoning" in recorded_chunk else [])
