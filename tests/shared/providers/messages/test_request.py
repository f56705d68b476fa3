"""A Messages request in chat's words, and what cannot be said."""

import json
from typing import Any

import pytest

from shared.core.errors import InvalidRequest
from shared.providers.messages.fields import MESSAGE_FIELDS
from shared.providers.messages.request import to_chat
from shared.providers.openai_chat import build_request
from shared.providers.openrouter import OPENROUTER
from shared.providers.request_fields import refuse_unpriced_fields
from tests.shared.providers.messages.requests import (
    CACHED,
    IMAGE,
    IMAGE_PART,
    PLAIN,
    RESULT,
    THOUGHT,
    TOOL,
    USE,
    asked,
    text,
)


def test_plain_request_is_the_chat_request_that_one_would_write() -> None:
    assert asked() == {"model": "m", "max_tokens": 2000, "messages": [{"role": "user", "content": "hi"}]}


def test_tools_are_function_tools() -> None:
    tool = {**TOOL, "type": "custom", "description": "does f", "strict": True, "eager_input_streaming": True}
    harmless = {"defer_loading": False, "allowed_callers": ["direct"], "input_examples": []}
    assert asked(tools=[tool | harmless])["tools"] == [
        {
            "type": "function",
            "function": {"name": "f", "description": "does f", "parameters": {"type": "object"}, "strict": True},
        }
    ]
    assert "tools" not in asked(tools=[])


@pytest.mark.parametrize(
    ("choice", "fields"),
    [
        ({"type": "auto"}, {"tool_choice": "auto"}),
        ({"type": "any"}, {"tool_choice": "required"}),
        ({"type": "none"}, {"tool_choice": "none"}),
        ({"type": "tool", "name": "f"}, {"tool_choice": {"type": "function", "function": {"name": "f"}}}),
        ({"type": "auto", "disable_parallel_tool_use": True}, {"tool_choice": "auto", "parallel_tool_calls": False}),
        ({"type": "any", "disable_parallel_tool_use": False}, {"tool_choice": "required"}),
    ],
)
def test_choice_among_tools_is_said_in_chats_words(choice: dict[str, Any], fields: dict[str, Any]) -> None:
    request = asked(tools=[TOOL], tool_choice=choice)
    assert {name: request[name] for name in ("tool_choice", "parallel_tool_calls") if name in request} == fields


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"thinking": {"type": "enabled", "budget_tokens": 1024}}, {"reasoning": {"max_tokens": 1024}}),
        ({"thinking": {"type": "adaptive"}}, {"reasoning": {"enabled": True}}),
        ({"thinking": {"type": "adaptive", "display": "summarized"}}, {"reasoning": {"enabled": True}}),
        ({"thinking": {"type": "disabled"}}, {"reasoning": {"enabled": False}}),
        (
            {"thinking": {"type": "adaptive"}, "output_config": {"effort": "max"}},
            {"reasoning": {"enabled": True, "effort": "max"}},
        ),
        (
            {"thinking": {"type": "enabled", "budget_tokens": 1024}, "output_config": {"effort": "low"}},
            {"reasoning": {"max_tokens": 1024}, "verbosity": "low"},
        ),
        ({"output_config": {"effort": "medium"}}, {"verbosity": "medium"}),
        ({"stop_sequences": ["END", "\n\n"]}, {"stop": ["END", "\n\n"]}),
        ({"stop_sequences": []}, {}),
        ({"temperature": 0.5, "top_p": 1, "top_k": 40}, {"temperature": 0.5, "top_p": 1, "top_k": 40}),
        ({"metadata": {"user_id": "u-1"}}, {"user": "u-1"}),
        ({"metadata": {}}, {}),
        ({"models": ["n"], "provider": "openrouter"}, {"models": ["n"], "provider": "openrouter"}),
        ({"stream": True}, {"stream": True}),
        ({"stream": False}, {}),
        ({"service_tier": "standard_only", "speed": "standard", "mcp_servers": [], "container": None}, {}),
        ({"context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]}}, {}),
    ],
)
def test_field_is_said_in_chats_words(fields: dict[str, Any], said: dict[str, Any]) -> None:
    assert asked(**fields) == asked() | said


@pytest.mark.parametrize("fields", [{"output_config": {"format": None}}, {"output_format": None}])
def test_schema_of_the_answer_is_a_strict_response_format(fields: dict[str, Any]) -> None:
    schema = {"type": "object", "properties": {}, "additionalProperties": False}
    wanted = {"type": "json_schema", "schema": schema}
    given = {"output_config": {"format": wanted}} if "output_config" in fields else {"output_format": wanted}
    said = {"type": "json_schema", "json_schema": {"name": "answer", "strict": True, "schema": schema}}
    assert asked(**fields) == asked()
    assert asked(**given)["response_format"] == said


def test_what_the_answer_has_to_know_is_kept() -> None:
    translated = to_chat(
        PLAIN | {"stop_sequences": ["END"], "stream": True, "thinking": {"type": "adaptive", "display": "omitted"}}
    )
    assert translated.is_stream and translated.echo.is_thinking_omitted
    assert translated.echo.stop_sequences == ("END",)


@pytest.mark.parametrize("name", [field.name for field in MESSAGE_FIELDS])
def test_null_asks_for_nothing_wherever_it_may_stand(name: str) -> None:
    if name in ("model", "messages", "max_tokens"):
        with pytest.raises(InvalidRequest):
            asked(**{name: None})
    else:
        assert asked(**{name: None}) == asked()


def test_translated_request_passes_the_refusals_of_chat() -> None:
    request = asked(
        system=[text("s", cache_control=CACHED)],
        messages=[
            {"role": "user", "content": [text("a"), IMAGE]},
            {"role": "assistant", "content": [THOUGHT, USE]},
            {"role": "user", "content": [{**RESULT, "content": [IMAGE]}]},
        ],
        tools=[TOOL],
    )
    refuse_unpriced_fields(request)


def sent(body: dict[str, Any]) -> dict[str, Any]:
    """Return what OpenRouter is asked for a chat request."""
    request = build_request(
        body, provider=OPENROUTER, upstream_model="vendor/m", is_stream=bool(body.get("stream")), max_output_tokens=2000
    )
    read: dict[str, Any] = json.loads(request)
    return read


def test_provider_is_asked_the_same_whichever_dialect_asks() -> None:
    schema = {"type": "object", "properties": {"x": {"type": "number"}}}
    messages = {
        "model": "m",
        "max_tokens": 2000,
        "temperature": 0.2,
        "stream": True,
        "system": "be brief",
        "stop_sequences": ["END"],
        "tools": [{"name": "f", "description": "does f", "input_schema": schema}],
        "tool_choice": {"type": "any", "disable_parallel_tool_use": True},
        "thinking": {"type": "enabled", "budget_tokens": 1024},
        "metadata": {"user_id": "u"},
        "messages": [
            {"role": "user", "content": [text("see"), IMAGE]},
            {"role": "assistant", "content": [text("so"), USE]},
            {"role": "user", "content": [RESULT, text("and?")]},
        ],
    }
    chat = {
        "model": "m",
        "max_tokens": 2000,
        "temperature": 0.2,
        "stream": True,
        "stop": ["END"],
        "tools": [{"type": "function", "function": {"name": "f", "description": "does f", "parameters": schema}}],
        "tool_choice": "required",
        "parallel_tool_calls": False,
        "reasoning": {"max_tokens": 1024},
        "user": "u",
        "messages": [
            {"role": "system", "content": "be brief"},
            {"role": "user", "content": [text("see"), IMAGE_PART]},
            {
                "role": "assistant",
                "content": "so",
                "tool_calls": [{"id": "t1", "type": "function", "function": {"name": "f", "arguments": '{"x":1}'}}],
            },
            {"role": "tool", "tool_call_id": "t1", "content": "42"},
            {"role": "user", "content": "and?"},
        ],
    }
    assert sent(to_chat(messages).chat_body) == sent(chat)


def test_request_as_claude_code_sends_it_can_be_said() -> None:
    # github.com/MadAppGang/claudish ai_docs/PROTOCOL_SPECIFICATION.md; context_management as later versions have it.
    request = asked(
        max_tokens=32000,
        stream=True,
        temperature=1,
        metadata={"user_id": "user_0f_account__session_00000000-0000-0000-0000-000000000000"},
        system=[text("You are a coding tool.", cache_control=CACHED), text("Rules.", cache_control=CACHED)],
        messages=[
            {"role": "user", "content": [text("<system-reminder>"), text("fix it", cache_control=CACHED)]},
            {"role": "assistant", "content": [THOUGHT, text("I look."), USE]},
            {"role": "user", "content": [{**RESULT, "is_error": False, "cache_control": CACHED}]},
        ],
        tools=[{**TOOL, "description": "Runs."}],
        thinking={"type": "adaptive"},
        context_management={"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
        output_config={"effort": "high"},
    )
    assert [message["role"] for message in request["messages"]] == ["system", "user", "assistant", "tool"]
    assert request["reasoning"] == {"enabled": True, "effort": "high"}
