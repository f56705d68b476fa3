"""Responses requests as the chat requests that ask for the same."""

from typing import Any

import pytest

from shared.providers.responses.reasoning import seal_details
from shared.providers.responses.request import read_references, to_chat
from shared.providers.responses.stored_items import stored_form
from tests.shared.providers.responses.asking import (
    CALL,
    CHAT_CALL,
    MODEL,
    OUTPUT,
    body,
    chat,
    messages,
    said,
)


class TestInput:
    def test_a_string_is_a_user_message(self) -> None:
        assert chat("hi") == {"model": MODEL, "messages": [{"role": "user", "content": "hi"}]}

    def test_a_message_may_leave_its_type_out(self) -> None:
        assert messages({"role": "developer", "content": "Be brief."}) == [
            {"role": "developer", "content": "Be brief."}
        ]

    def test_instructions_are_the_first_message(self) -> None:
        assert chat("hi", instructions="Be brief.")["messages"] == [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "hi"},
        ]

    def test_parts_are_chats_parts(self) -> None:
        parts = [
            {"type": "input_text", "text": "What?", "cache_control": {"type": "ephemeral"}},
            {"type": "input_image", "image_url": "https://x/y.png", "detail": "high"},
            {"type": "input_image", "image_url": "data:image/png;base64,AAAA", "detail": None},
        ]
        assert messages({"role": "user", "content": parts})[0]["content"] == [
            {"type": "text", "text": "What?", "cache_control": {"type": "ephemeral"}},
            {"type": "image_url", "image_url": {"url": "https://x/y.png", "detail": "high"}},
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
        ]

    def test_an_answer_sent_back_is_a_plain_assistant_message(self) -> None:
        assert messages(said("Hello"), {"role": "user", "content": "More"}) == [
            {"role": "assistant", "content": "Hello"},
            {"role": "user", "content": "More"},
        ]

    def test_a_refusal_sent_back_stays_one(self) -> None:
        refusal = {"type": "refusal", "refusal": "No."}
        item = {"type": "message", "role": "assistant", "content": [refusal]}
        assert messages(item) == [{"role": "assistant", "content": [refusal]}]

    def test_parallel_calls_are_one_message_and_their_outputs_follow(self) -> None:
        second = CALL | {"call_id": "c2", "id": "fc_2"}
        assert messages({"role": "user", "content": "hi"}, CALL, second, OUTPUT, OUTPUT | {"call_id": "c2"}) == [
            {"role": "user", "content": "hi"},
            {"role": "assistant", "content": None, "tool_calls": [CHAT_CALL, CHAT_CALL | {"id": "c2"}]},
            {"role": "tool", "tool_call_id": "c1", "content": "42"},
            {"role": "tool", "tool_call_id": "c2", "content": "42"},
        ]

    @pytest.mark.parametrize("items", [(said("Let me see."), CALL), (CALL, said("Let me see."))])
    def test_words_beside_a_call_are_in_its_message(self, items: tuple[Any, ...]) -> None:
        assert messages(*items, OUTPUT)[0] == {
            "role": "assistant",
            "content": "Let me see.",
            "tool_calls": [CHAT_CALL],
        }

    def test_two_messages_of_the_model_in_a_row_are_two(self) -> None:
        assert [message["content"] for message in messages(said("a"), said("b", "msg_2"))] == ["a", "b"]

    def test_an_output_in_parts_is_texts(self) -> None:
        output = OUTPUT | {"output": [{"type": "input_text", "text": "4"}, {"type": "input_text", "text": "2"}]}
        assert messages(CALL, output)[1]["content"] == [{"type": "text", "text": "4"}, {"type": "text", "text": "2"}]

    def test_custom_calls_and_their_outputs_are_chats_own(self) -> None:
        call = {"type": "custom_tool_call", "call_id": "c1", "name": "patch", "input": "***"}
        assert messages(call, {"type": "custom_tool_call_output", "call_id": "c1", "output": "done"}) == [
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [{"id": "c1", "type": "custom", "custom": {"name": "patch", "input": "***"}}],
            },
            {"role": "tool", "tool_call_id": "c1", "content": "done"},
        ]


class TestReasoningItems:
    def test_thoughts_that_can_be_read_go_back_as_reasoning(self) -> None:
        thoughts: dict[str, Any] = {
            "type": "reasoning",
            "id": "rs_1",
            "summary": [],
            "content": [{"type": "reasoning_text", "text": "Hm"}],
        }
        assert messages(thoughts, said("Hello")) == [{"role": "assistant", "content": "Hello", "reasoning": "Hm"}]

    def test_sealed_thoughts_go_back_as_the_details_that_they_were(self) -> None:
        details = [{"type": "reasoning.text", "text": "Hm", "signature": "s", "index": 0}]
        thoughts: dict[str, Any] = {"type": "reasoning", "summary": [], "encrypted_content": seal_details(details)}
        plain = {"type": "reasoning", "summary": [{"type": "summary_text", "text": "So"}]}
        assert messages(thoughts, CALL, plain) == [
            {
                "role": "assistant",
                "content": None,
                "reasoning_details": [*details, {"type": "reasoning.text", "text": "So"}],
                "tool_calls": [CHAT_CALL],
            }
        ]

    def test_a_reasoning_item_that_says_nothing_adds_nothing(self) -> None:
        empty: dict[str, Any] = {
            "type": "reasoning",
            "id": "rs_1",
            "summary": [],
            "encrypted_content": None,
            "status": None,
        }
        assert messages(empty, said("a")) == [{"role": "assistant", "content": "a"}]


class TestHistory:
    def test_earlier_items_come_between_instructions_and_input(self) -> None:
        earlier = [{"type": "message", "role": "user", "content": "1"}, said("2")]
        translated = to_chat(body("3", previous_response_id="resp_1", instructions="Be brief."), earlier_items=earlier)
        assert [message["content"] for message in translated.chat_body["messages"]] == ["Be brief.", "1", "2", "3"]
        assert translated.echo["previous_response_id"] == "resp_1"
        assert translated.input_items == ({"type": "message", "role": "user", "content": "3"},)

    def test_the_outputs_of_earlier_calls_find_them(self) -> None:
        translated = to_chat(body([OUTPUT], previous_response_id="resp_1"), earlier_items=[CALL])
        assert [message["role"] for message in translated.chat_body["messages"]] == ["assistant", "tool"]

    def test_an_earlier_response_needs_no_new_input(self) -> None:
        assert to_chat({"model": MODEL, "previous_response_id": "resp_1"}, earlier_items=[said("a")]).input_items == ()

    def test_a_reference_is_the_item_that_is_stored(self) -> None:
        given = [{"type": "item_reference", "id": "msg_1"}, {"role": "user", "content": "More"}]
        translated = to_chat(body(given), stored_items={"msg_1": said("Hello")})
        assert [message["content"] for message in translated.chat_body["messages"]] == ["Hello", "More"]
        assert translated.input_items[0] == stored_form(said("Hello"))

    def test_a_reference_to_what_comes_earlier_anyway_adds_nothing(self) -> None:
        given = [{"id": "msg_1"}, {"role": "user", "content": "More"}]
        translated = to_chat(body(given, previous_response_id="r"), earlier_items=[said("Hello")])
        assert [message["content"] for message in translated.chat_body["messages"]] == ["Hello", "More"]

    def test_what_has_to_be_looked_up_is_named_before(self) -> None:
        given = [{"type": "item_reference", "id": "msg_1"}, {"id": "fc_1"}, said("a")]
        references = read_references(body(given, previous_response_id="resp_1"))
        assert (references.previous_response_id, references.item_ids) == ("resp_1", ("msg_1", "fc_1"))
        assert read_references(body()).item_ids == ()
