"""Responses requests as the chat requests that ask for the same."""

from typing import Any

import msgspec
import pytest
from openai.types.responses import Response

from functions.chat.schemas import read_chat_request
from shared.providers.openai_chat import build_request
from shared.providers.openrouter import OPENROUTER
from shared.providers.request_fields import refuse_unpriced_fields
from shared.providers.responses.fields import FIELDS
from shared.providers.responses.output import Ending, response_object
from shared.providers.responses.reasoning import seal_details
from shared.providers.responses.request import read_references, to_chat
from tests.shared.providers.responses.grammar import check_response
from tests.shared.providers.responses.support import NOW, OPENING

MODEL = "openai/gpt-4o-mini"
TOOL = {"type": "function", "name": "f", "parameters": {"type": "object"}, "strict": True, "description": "F."}
CHAT_TOOL = {
    "type": "function",
    "function": {"name": "f", "parameters": {"type": "object"}, "strict": True, "description": "F."},
}
CALL = {"type": "function_call", "id": "fc_1", "call_id": "c1", "name": "f", "arguments": "{}", "status": "completed"}
OUTPUT = {"type": "function_call_output", "call_id": "c1", "output": "42"}
CHAT_CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}


def body(given: object = "hi", **fields: object) -> dict[str, Any]:
    return {"model": MODEL, "input": given, **fields}


def chat(given: object = "hi", **fields: object) -> dict[str, Any]:
    return to_chat(body(given, **fields)).chat_body


def messages(*items: object) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = chat(list(items))["messages"]
    return listed


def said(text: str, item_id: str = "msg_1") -> dict[str, Any]:
    content = [{"type": "output_text", "text": text, "annotations": [], "logprobs": []}]
    return {"type": "message", "id": item_id, "role": "assistant", "status": "completed", "content": content}


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
        assert translated.input_items[0] == said("Hello")

    def test_a_reference_to_what_comes_earlier_anyway_adds_nothing(self) -> None:
        given = [{"id": "msg_1"}, {"role": "user", "content": "More"}]
        translated = to_chat(body(given, previous_response_id="r"), earlier_items=[said("Hello")])
        assert [message["content"] for message in translated.chat_body["messages"]] == ["Hello", "More"]

    def test_what_has_to_be_looked_up_is_named_before(self) -> None:
        given = [{"type": "item_reference", "id": "msg_1"}, {"id": "fc_1"}, said("a")]
        references = read_references(body(given, previous_response_id="resp_1"))
        assert (references.previous_response_id, references.item_ids) == ("resp_1", ("msg_1", "fc_1"))
        assert read_references(body()).item_ids == ()


class TestFields:
    @pytest.mark.parametrize(
        ("fields", "expected"),
        [
            ({"temperature": 0.5, "top_p": 1}, {"temperature": 0.5, "top_p": 1}),
            ({"presence_penalty": -1.5, "frequency_penalty": 0}, {"presence_penalty": -1.5, "frequency_penalty": 0}),
            ({"max_output_tokens": 7}, {"max_output_tokens": 7}),
            ({"stop": ["x"], "seed": 1, "top_k": 3}, {"stop": ["x"], "seed": 1, "top_k": 3}),
            ({"user": "u", "safety_identifier": "s"}, {"user": "u", "safety_identifier": "s"}),
            ({"prompt_cache_key": "k", "stream": True}, {"prompt_cache_key": "k", "stream": True}),
            ({"models": ["a/b"], "provider": "openrouter"}, {"models": ["a/b"], "provider": "openrouter"}),
            ({"text": {"format": {"type": "text"}}}, {}),
            ({"text": {"format": {"type": "json_object"}}}, {"response_format": {"type": "json_object"}}),
            ({"text": {"verbosity": "low", "format": None}}, {"verbosity": "low"}),
            (
                {"text": {"format": {"type": "json_schema", "name": "n", "schema": {"a": 1}, "strict": True}}},
                {
                    "response_format": {
                        "type": "json_schema",
                        "json_schema": {"name": "n", "schema": {"a": 1}, "strict": True},
                    }
                },
            ),
            ({"reasoning": {"effort": "high", "summary": "auto"}}, {"reasoning_effort": "high"}),
            ({"reasoning": {"generate_summary": "concise", "mode": "standard", "context": "auto"}}, {}),
            ({"top_logprobs": 2}, {"logprobs": True, "top_logprobs": 2}),
            ({"include": ["message.output_text.logprobs"]}, {"logprobs": True}),
            ({"include": ["reasoning.encrypted_content"], "top_logprobs": 0}, {}),
            ({"metadata": {"a": "b"}, "store": False, "truncation": "auto", "max_tool_calls": 3}, {}),
            ({"service_tier": "auto", "background": False, "stream_options": {"include_obfuscation": False}}, {}),
            ({"tools": [], "tool_choice": "auto", "parallel_tool_calls": True}, {}),
        ],
    )
    def test_a_field_becomes_what_chat_calls_it(self, fields: dict[str, Any], expected: dict[str, Any]) -> None:
        assert chat("hi", **fields) == chat("hi") | expected

    @pytest.mark.parametrize("field", FIELDS, ids=lambda field: field.name)
    def test_null_asks_for_nothing(self, field: Any) -> None:
        if field.name not in ("model", "input"):
            assert chat("hi", **{field.name: None}) == chat("hi")

    def test_every_field_has_a_reason_and_a_source(self) -> None:
        assert all(field.reason and field.source for field in FIELDS)
        assert len({field.name for field in FIELDS}) == len(FIELDS)

    def test_the_answer_repeats_what_was_asked(self) -> None:
        fields: dict[str, Any] = {
            "instructions": "Be brief.",
            "temperature": 0.5,
            "max_output_tokens": 100,
            "max_tool_calls": 2,
            "metadata": {"a": "b"},
            "store": False,
            "truncation": "auto",
            "parallel_tool_calls": False,
            "safety_identifier": "s",
            "prompt_cache_key": "k",
            "tools": [TOOL, {"type": "custom", "name": "patch", "format": {"type": "text"}}],
            "tool_choice": {"type": "function", "name": "f"},
            "reasoning": {"effort": "low", "summary": "detailed"},
            "text": {"format": {"type": "json_schema", "name": "n", "schema": {}}, "verbosity": "low"},
        }
        response = response_object(
            OPENING, to_chat(body(**fields)).echo, [], Ending(status="completed", completed_at=NOW)
        )
        check_response(response)
        shown = {name: response[name] for name in fields}
        filled = {"type": "json_schema", "name": "n", "schema": {}, "strict": False, "description": None}
        assert shown == fields | {"text": {"format": filled, "verbosity": "low"}}

    def test_what_nobody_asked_is_as_the_reference_has_it(self) -> None:
        response = response_object(OPENING, to_chat(body()).echo, [], Ending(status="completed", completed_at=NOW))
        parsed = Response.model_validate(response, strict=True)
        assert (parsed.temperature, parsed.top_p, parsed.truncation, parsed.tool_choice) == (
            1.0,
            1.0,
            "disabled",
            "auto",
        )
        assert (response["store"], response["metadata"], response["service_tier"]) == (True, {}, "default")


class TestTools:
    def test_functions_and_custom_tools_are_chats(self) -> None:
        grammar = {"type": "grammar", "definition": "start: x", "syntax": "lark"}
        custom = {"type": "custom", "name": "patch", "description": "P.", "format": grammar}
        tools = [TOOL, custom, {"type": "custom", "name": "plain", "defer_loading": False, "async": False}]
        assert chat(tools=tools, parallel_tool_calls=False) == chat() | {
            "tools": [
                CHAT_TOOL,
                {
                    "type": "custom",
                    "custom": {
                        "name": "patch",
                        "description": "P.",
                        "format": {"type": "grammar", "grammar": {"definition": "start: x", "syntax": "lark"}},
                    },
                },
                {"type": "custom", "custom": {"name": "plain"}},
            ],
            "parallel_tool_calls": False,
        }

    @pytest.mark.parametrize(
        ("choice", "expected"),
        [
            ("auto", "auto"),
            ("none", "none"),
            ("required", "required"),
            ({"type": "function", "name": "f"}, {"type": "function", "function": {"name": "f"}}),
        ],
    )
    def test_a_choice_is_chats(self, choice: object, expected: object) -> None:
        assert chat(tools=[TOOL], tool_choice=choice)["tool_choice"] == expected

    @pytest.mark.parametrize(("mode", "expected"), [({"mode": "required"}, "required"), ({}, "auto")])
    def test_only_the_tools_that_are_allowed_are_sent(self, mode: dict[str, str], expected: str) -> None:
        choice = {"type": "allowed_tools", "tools": [{"type": "function", "name": "f"}], **mode}
        translated = to_chat(body(tools=[TOOL, TOOL | {"name": "g"}], tool_choice=choice))
        assert translated.chat_body["tools"] == [CHAT_TOOL]
        assert translated.chat_body["tool_choice"] == expected
        assert len(translated.echo["tools"]) == 2
        assert translated.echo["tool_choice"] == choice | {"mode": expected}


def test_the_same_prompt_sends_the_same_upstream_request_as_chat() -> None:
    tool = {"name": "f", "parameters": {"type": "object"}, "strict": True, "description": "F."}
    by_chat = {
        "model": MODEL,
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "1"},
            {"role": "assistant", "content": None, "tool_calls": [CHAT_CALL]},
            {"role": "tool", "tool_call_id": "c1", "content": "42"},
        ],
        "tools": [{"type": "function", "function": tool}],
        "reasoning_effort": "low",
        "temperature": 0.5,
        "max_tokens": 100,
        "stream": True,
        "response_format": {"type": "json_object"},
    }
    by_responses = to_chat(
        {
            "model": MODEL,
            "instructions": "Be brief.",
            "input": [{"role": "user", "content": "1"}, CALL, OUTPUT],
            "tools": [{"type": "function", **tool}],
            "reasoning": {"effort": "low"},
            "temperature": 0.5,
            "max_output_tokens": 100,
            "stream": True,
            "text": {"format": {"type": "json_object"}},
            "store": False,
            "metadata": {"a": "b"},
        }
    ).chat_body
    sent = []
    for asked in (by_chat, by_responses):
        refuse_unpriced_fields(asked)
        request = read_chat_request(asked, None)
        sent.append(
            build_request(
                request.body,
                provider=OPENROUTER,
                upstream_model="up",
                is_stream=request.is_stream,
                max_output_tokens=request.max_output_tokens,
            )
        )
    assert msgspec.json.decode(sent[0]) == msgspec.json.decode(sent[1])
