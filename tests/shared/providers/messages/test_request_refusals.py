"""What a Messages request may not ask for, each refused by its name."""

from typing import Any

import pytest

from shared.core.errors import InvalidRequest
from shared.providers.messages.fields import MESSAGE_FIELDS
from shared.providers.request_fields import UnpricedField
from tests.shared.providers.messages.requests import (
    IMAGE,
    LONG_CACHED,
    RESULT,
    THOUGHT,
    TOOL,
    USE,
    asked,
    text,
)


def user(*blocks: object) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": list(blocks)}]}


def assistant(*blocks: object) -> dict[str, Any]:
    return {"messages": [{"role": "assistant", "content": list(blocks)}]}


FIRST = "messages[0].content[0]"
UNSAYABLE: list[tuple[dict[str, Any], str]] = [
    ({"max_tokens": 0}, "max_tokens"),
    ({"service_tier": "priority"}, "service_tier"),
    ({"speed": "fast"}, "speed"),
    ({"inference_geo": "us"}, "inference_geo"),
    ({"container": "c"}, "container"),
    ({"mcp_servers": [{"url": "https://x"}]}, "mcp_servers"),
    ({"context_management": {"edits": [{"type": "clear_tool_uses_20250919"}]}}, "context_management"),
    ({"compaction": {}}, "compaction"),
    ({"thread": {"type": "create"}}, "thread"),
    ({"fallbacks": ["n"]}, "fallbacks"),
    ({"fallback_credit_token": "x"}, "fallback_credit_token"),
    ({"billing_policy": {"bill_to": "user_profile"}}, "billing_policy"),
    ({"diagnostics": {"previous_message_id": "msg_1"}}, "diagnostics"),
    ({"session_id": "s"}, "session_id"),
    ({"thinking": {"type": "between_tools"}}, "thinking.type"),
    ({"output_config": {"task_budget": {"total": 1}}}, "output_config.task_budget"),
    ({"tools": [TOOL, {"type": "web_search_20250305", "name": "web_search"}]}, "tools[1].type"),
    ({"tools": [{"type": "bash_20250124", "name": "bash"}]}, "tools[0].type"),
    ({"tools": [{**TOOL, "allowed_callers": ["code_execution_20250825"]}]}, "tools[0].allowed_callers"),
    ({"tools": [{**TOOL, "defer_loading": True}]}, "tools[0].defer_loading"),
    ({"tools": [{**TOOL, "input_examples": [{"x": 1}]}]}, "tools[0].input_examples"),
    ({"tools": [{**TOOL, "cache_control": LONG_CACHED}]}, "tools[0].cache_control.ttl"),
    ({"cache_control": LONG_CACHED}, "cache_control.ttl"),
    ({"system": [text("a"), text("b", cache_control=LONG_CACHED)]}, "system[1].cache_control.ttl"),
    (user(text("a", cache_control=LONG_CACHED)), f"{FIRST}.cache_control.ttl"),
    (user({**RESULT, "cache_control": LONG_CACHED}), f"{FIRST}.cache_control.ttl"),
    (assistant({**USE, "cache_control": LONG_CACHED}), f"{FIRST}.cache_control.ttl"),
    (assistant({**USE, "caller": {"type": "code_execution_20250825"}}), f"{FIRST}.caller"),
    (user({"type": "document", "source": {"type": "text", "data": "x"}}), f"{FIRST}.type"),
    (user({"type": "search_result", "content": []}), f"{FIRST}.type"),
    (user({**RESULT, "content": [{"type": "document"}]}), f"{FIRST}.content[0].type"),
    (assistant({"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}}), f"{FIRST}.type"),
    (assistant({"type": "compaction", "content": "x"}), f"{FIRST}.type"),
    (user({"type": "brand_new"}), f"{FIRST}.type"),
    (user({"type": "image", "source": {"type": "file", "file_id": "f"}}), f"{FIRST}.source.type"),
    (user({**IMAGE, "transformations": {"oversized_image": "error"}}), f"{FIRST}.transformations"),
]
MALFORMED: list[tuple[dict[str, Any], str]] = [
    ({"model": None}, "model"),
    ({"model": ""}, "model"),
    ({"max_tokens": None}, "max_tokens"),
    ({"max_tokens": -1}, "max_tokens"),
    ({"max_tokens": True}, "max_tokens"),
    ({"max_tokens": 5.0}, "max_tokens"),
    ({"messages": None}, "messages"),
    ({"messages": []}, "messages"),
    ({"messages": ["hi"]}, "messages[0]"),
    ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].role"),
    ({"messages": [{"role": ["user"], "content": "x"}]}, "messages[0].role"),
    ({"messages": [{"role": "user"}]}, "messages[0].content"),
    ({"messages": [{"role": "user", "content": {}}]}, "messages[0].content"),
    ({"messages": [{"role": "user", "content": []}]}, "messages[0].content"),
    ({"messages": [{"role": "user", "content": "x", "name": "bob"}]}, "messages[0].name"),
    (user("text"), FIRST),
    (user({"text": "x"}), f"{FIRST}.type"),
    (user({"type": "text"}), f"{FIRST}.text"),
    (user(text("x", bold=True)), f"{FIRST}.bold"),
    (user(text("x", cache_control=True)), f"{FIRST}.cache_control"),
    (user(text("x", cache_control={"type": "forever"})), f"{FIRST}.cache_control.type"),
    (user(text("x", cache_control={"type": "ephemeral", "scope": "all"})), f"{FIRST}.cache_control.scope"),
    (user(THOUGHT), f"{FIRST}.type"),
    (user(USE), f"{FIRST}.type"),
    (user(text("x"), RESULT), "messages[0].content[1]"),
    (user(RESULT, text("x"), RESULT), "messages[0].content[2]"),
    (user({**RESULT, "tool_use_id": ""}), f"{FIRST}.tool_use_id"),
    (user({**RESULT, "is_error": "yes"}), f"{FIRST}.is_error"),
    (user({**RESULT, "content": 5}), f"{FIRST}.content"),
    (user({**RESULT, "content": [USE]}), f"{FIRST}.content[0].type"),
    (user({"type": "image"}), f"{FIRST}.source"),
    (user({"type": "image", "source": {"type": "base64", "media_type": "image/bmp"}}), f"{FIRST}.source.media_type"),
    (user({"type": "image", "source": {"type": "base64", "media_type": "image/png"}}), f"{FIRST}.source.data"),
    (user({"type": "image", "source": {"type": "url", "url": "file:///etc"}}), f"{FIRST}.source.url"),
    (user({"type": "image", "source": {"type": "ftp"}}), f"{FIRST}.source.type"),
    (assistant(IMAGE), f"{FIRST}.type"),
    (assistant(RESULT), f"{FIRST}.type"),
    (assistant({**USE, "input": "x"}), f"{FIRST}.input"),
    (assistant({**USE, "input": {"x": float("nan")}}), f"{FIRST}.input"),
    (assistant({**USE, "id": None}), f"{FIRST}.id"),
    (assistant({**USE, "name": 5}), f"{FIRST}.name"),
    (assistant({"type": "thinking", "signature": "s"}), f"{FIRST}.thinking"),
    (assistant({**THOUGHT, "signature": "gw1.changed"}), f"{FIRST}.signature"),
    (assistant({**THOUGHT, "signature": "gw1.eyJ4IjoxfQ=="}), f"{FIRST}.signature"),
    (assistant({**THOUGHT, "signature": "gw1.eyJ0eXBlIjoieCJ9"}), f"{FIRST}.signature"),
    (assistant({**THOUGHT, "signature": "gw1.eyJ0!ZXh0IjoieCJ9"}), f"{FIRST}.signature"),
    (assistant({"type": "redacted_thinking", "data": "gw1.W10="}), f"{FIRST}.data"),
    ({"system": 5}, "system"),
    ({"system": [IMAGE]}, "system[0].type"),
    ({"stop_sequences": "END"}, "stop_sequences"),
    ({"stop_sequences": ["END", ""]}, "stop_sequences[1]"),
    ({"temperature": "hot"}, "temperature"),
    ({"top_p": True}, "top_p"),
    ({"top_k": 1.5}, "top_k"),
    ({"stream": "yes"}, "stream"),
    ({"metadata": "u"}, "metadata"),
    ({"metadata": {"user_id": 5}}, "metadata.user_id"),
    ({"metadata": {"team": "x"}}, "metadata.team"),
    ({"tools": {}}, "tools"),
    ({"tools": [None]}, "tools[0]"),
    ({"tools": [{"name": "f"}]}, "tools[0].input_schema"),
    ({"tools": [{"input_schema": {}}]}, "tools[0].name"),
    ({"tools": [{**TOOL, "parameters": {}}]}, "tools[0].parameters"),
    ({"tools": [{**TOOL, "strict": 1}]}, "tools[0].strict"),
    ({"tools": [{**TOOL, "description": 1}]}, "tools[0].description"),
    ({"tool_choice": {"type": "auto"}}, "tool_choice"),
    ({"tools": [TOOL], "tool_choice": "auto"}, "tool_choice"),
    ({"tools": [TOOL], "tool_choice": {"type": "required"}}, "tool_choice.type"),
    ({"tools": [TOOL], "tool_choice": {"type": "tool"}}, "tool_choice.name"),
    (
        {"tools": [TOOL], "tool_choice": {"type": "auto", "disable_parallel_tool_use": 1}},
        "tool_choice.disable_parallel_tool_use",
    ),
    ({"thinking": "on"}, "thinking"),
    ({"thinking": {"type": "on"}}, "thinking.type"),
    ({"thinking": {"type": "enabled"}}, "thinking.budget_tokens"),
    ({"thinking": {"type": "enabled", "budget_tokens": 1023}}, "thinking.budget_tokens"),
    ({"thinking": {"type": "enabled", "budget_tokens": 2000}}, "thinking.budget_tokens"),
    ({"thinking": {"type": "adaptive", "budget_tokens": 1024}}, "thinking.budget_tokens"),
    ({"thinking": {"type": "adaptive", "display": "loud"}}, "thinking.display"),
    ({"output_config": []}, "output_config"),
    ({"output_config": {"effort": "huge"}}, "output_config.effort"),
    ({"output_config": {"style": "x"}}, "output_config.style"),
    ({"output_config": {"format": {"type": "json_object"}}}, "output_config.format.type"),
    ({"output_config": {"format": {"type": "json_schema"}}}, "output_config.format.schema"),
    ({"output_format": "json"}, "output_format"),
    (
        {"output_format": {"type": "json_schema", "schema": {}}, "output_config": {"format": {"type": "json_schema"}}},
        "output_format",
    ),
    ({"n": 5}, "n"),
    ({"functions": []}, "functions"),
    ({"response_format": {"type": "json_object"}}, "response_format"),
]


@pytest.mark.parametrize(("fields", "param"), UNSAYABLE)
def test_what_chat_cannot_say_is_refused_by_name(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(UnpricedField) as refused:
        asked(**fields)
    assert refused.value.param == param and param in refused.value.message


@pytest.mark.parametrize(("fields", "param"), MALFORMED)
def test_what_is_malformed_is_refused_by_name(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        asked(**fields)
    assert refused.value.param == param and param in refused.value.message


def test_a_thread_is_refused_by_the_code_on_which_official_clients_send_the_whole_conversation() -> None:
    with pytest.raises(UnpricedField) as refused:
        asked(thread={"type": "create"})
    assert refused.value.code == "thread_unsupported_request"


def test_every_field_that_is_refused_has_a_test() -> None:
    tested = {param.split(".")[0].split("[")[0] for _, param in UNSAYABLE}
    assert {field.name for field in MESSAGE_FIELDS if field.action == "refuse"} <= tested


def test_input_that_is_too_deep_is_refused() -> None:
    deep: dict[str, Any] = {}
    for _ in range(200_000):
        deep = {"x": deep}
    with pytest.raises(InvalidRequest) as refused:
        asked(**assistant({**USE, "input": deep}))
    assert refused.value.param == f"{FIRST}.input"
    while deep:
        deep = deep.pop("x")
