"""The fields of a Responses request, beside its input, in chat's words."""

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
from shared.providers.responses.request import to_chat
from tests.shared.providers.responses.asking import (
    CALL,
    CHAT_CALL,
    CHAT_TOOL,
    MODEL,
    OUTPUT,
    TOOL,
    body,
    chat,
)
from tests.shared.providers.responses.grammar import check_response
from tests.shared.providers.responses.support import NOW, OPENING


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
