"""Every refusal of a Responses request names its field as the client wrote it."""

from typing import Any

import pytest

from shared.core.errors import InvalidRequest
from shared.providers.request_fields import UnpricedField
from shared.providers.responses.request import read_references, to_chat

MODEL = "openai/gpt-4o-mini"
TOOL = {"type": "function", "name": "f"}
CALL = {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}
IMAGE = {"type": "input_image", "image_url": "https://x/y.png"}


def user(*parts: object) -> dict[str, Any]:
    return {"input": [{"role": "user", "content": list(parts)}]}


def items(*given: object) -> dict[str, Any]:
    return {"input": list(given)}


def assistant(*parts: object) -> dict[str, Any]:
    return items({"role": "assistant", "content": list(parts)})


def reasoning(**fields: object) -> dict[str, Any]:
    return items({"type": "reasoning", "summary": [], **fields})


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"model": None}, "model"),
        ({"model": 7}, "model"),
        ({"input": None}, "input"),
        ({"input": []}, "input"),
        ({"input": 7}, "input"),
        ({"input": [7]}, "input[0]"),
        ({"instructions": ["x"]}, "instructions"),
        ({"previous_response_id": 7}, "previous_response_id"),
        ({"previous_response_id": ""}, "previous_response_id"),
        (items({"role": "critic", "content": "x"}), "input[0].role"),
        (items({"type": "message", "content": "x"}), "input[0].role"),
        (items({"role": "user"}), "input[0].content"),
        (items({"role": "user", "content": 7}), "input[0].content"),
        (user("x"), "input[0].content[0]"),
        (user({"type": "input_text"}), "input[0].content[0].text"),
        (user({"type": "input_image"}), "input[0].content[0].image_url"),
        (user({"type": "input_image", "image_url": {"url": "x"}}), "input[0].content[0].image_url"),
        (user({"type": "input_image", "image_url": "file:///etc/passwd"}), "input[0].content[0].image_url"),
        (user({"type": "input_image", "image_url": "data:text/html,x"}), "input[0].content[0].image_url"),
        (user(IMAGE | {"detail": "huge"}), "input[0].content[0].detail"),
        (user({"type": "input_text", "text": "x", "cache_control": 7}), "input[0].content[0].cache_control"),
        (items({"type": "item_reference", "id": "msg_9"}), "input[0].id"),
        (items({"type": "item_reference"}), "input[0].id"),
        (items(CALL | {"call_id": ""}), "input[0].call_id"),
        (items(CALL | {"name": None}), "input[0].name"),
        (items(CALL | {"arguments": {}}), "input[0].arguments"),
        (items({"type": "function_call_output", "call_id": "c", "output": "x"}), "input[0].call_id"),
        (items(CALL, {"type": "function_call_output", "call_id": "d", "output": "x"}), "input[1].call_id"),
        (items(CALL, {"type": "function_call_output", "call_id": "c"}), "input[1].output"),
        (items(CALL, {"type": "function_call_output", "call_id": "c", "output": 7}), "input[1].output"),
        (reasoning(summary=7), "input[0].summary"),
        (reasoning(content=[{"type": "reasoning_text"}]), "input[0].content[0].text"),
        (reasoning(encrypted_content=7), "input[0].encrypted_content"),
        (reasoning(encrypted_content="gAAAAAB-of-another-house"), "input[0].encrypted_content"),
        (reasoning(encrypted_content="rd1.!!"), "input[0].encrypted_content"),
        (reasoning(encrypted_content="rd1.e30="), "input[0].encrypted_content"),
        ({"stream": "yes"}, "stream"),
        ({"store": 1}, "store"),
        ({"temperature": 3}, "temperature"),
        ({"temperature": True}, "temperature"),
        ({"temperature": "1"}, "temperature"),
        ({"temperature": float("nan")}, "temperature"),
        ({"top_p": 1.5}, "top_p"),
        ({"presence_penalty": -3}, "presence_penalty"),
        ({"frequency_penalty": "x"}, "frequency_penalty"),
        ({"max_output_tokens": 0}, "max_output_tokens"),
        ({"max_output_tokens": 1.5}, "max_output_tokens"),
        ({"max_output_tokens": True}, "max_output_tokens"),
        ({"max_tool_calls": 0}, "max_tool_calls"),
        ({"top_logprobs": 21}, "top_logprobs"),
        ({"include": "x"}, "include"),
        ({"include": ["reasoning.encrypted_content", "everything"]}, "include[1]"),
        ({"include": [["x"]]}, "include[0]"),
        ({"truncation": "middle"}, "truncation"),
        ({"metadata": []}, "metadata"),
        ({"metadata": {str(key): "x" for key in range(17)}}, "metadata"),
        ({"metadata": {"k" * 65: "x"}}, "metadata"),
        ({"metadata": {"k": "x" * 513}}, "metadata"),
        ({"metadata": {"k": 7}}, "metadata"),
        ({"user": 7}, "user"),
        ({"prompt_cache_key": 7}, "prompt_cache_key"),
        ({"text": "json"}, "text"),
        ({"text": {"format": "json"}}, "text.format"),
        ({"text": {"format": {}}}, "text.format.type"),
        ({"text": {"format": {"type": "xml"}}}, "text.format.type"),
        ({"text": {"format": {"type": "json_schema", "schema": {}}}}, "text.format.name"),
        ({"text": {"format": {"type": "json_schema", "name": "n"}}}, "text.format.schema"),
        ({"text": {"format": {"type": "json_schema", "name": "n", "schema": {}, "strict": 1}}}, "text.format.strict"),
        ({"text": {"verbosity": "loud"}}, "text.verbosity"),
        ({"reasoning": "high"}, "reasoning"),
        ({"reasoning": {"effort": "extreme"}}, "reasoning.effort"),
        ({"reasoning": {"summary": "long"}}, "reasoning.summary"),
        ({"reasoning": {"generate_summary": "long"}}, "reasoning.generate_summary"),
        ({"tools": {"type": "function"}}, "tools"),
        ({"tools": {}}, "tools"),
        ({"tools": ["f"]}, "tools[0]"),
        ({"tools": [{"type": "function"}]}, "tools[0].name"),
        ({"tools": [TOOL, TOOL]}, "tools[1].name"),
        ({"tools": [TOOL | {"parameters": "x"}]}, "tools[0].parameters"),
        ({"tools": [TOOL | {"strict": "x"}]}, "tools[0].strict"),
        ({"tools": [TOOL | {"description": 7}]}, "tools[0].description"),
        ({"tools": [{"type": "custom", "name": "c", "format": {"type": "xml"}}]}, "tools[0].format.type"),
        ({"tools": [{"type": "custom", "name": "c", "format": {"type": "grammar"}}]}, "tools[0].format.definition"),
        (
            {"tools": [{"type": "custom", "name": "c", "format": {"type": "grammar", "definition": "x"}}]},
            "tools[0].format.syntax",
        ),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"tool_choice": "any"}, "tool_choice"),
        ({"tool_choice": 7}, "tool_choice"),
        ({"tool_choice": {"type": "function", "name": "f"}}, "tool_choice.name"),
        ({"tools": [TOOL], "tool_choice": {"type": "function"}}, "tool_choice.name"),
        ({"tools": [TOOL], "tool_choice": {"type": "custom", "name": "f"}}, "tool_choice.name"),
        ({"tools": [TOOL], "tool_choice": {"type": "allowed_tools"}}, "tool_choice.tools"),
        ({"tools": [TOOL], "tool_choice": {"type": "allowed_tools", "tools": []}}, "tool_choice.tools"),
        ({"tools": [TOOL], "tool_choice": {"type": "allowed_tools", "mode": "x", "tools": []}}, "tool_choice.mode"),
        (
            {"tools": [TOOL], "tool_choice": {"type": "allowed_tools", "tools": [{"type": "function", "name": "g"}]}},
            "tool_choice.tools[0].name",
        ),
        ({"parallel_tool_calls": "yes"}, "parallel_tool_calls"),
    ],
)
def test_a_malformed_field_is_refused_by_name(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        to_chat({"model": MODEL, "input": "hi", **fields})
    assert refused.value.param == param
    assert refused.value.message.startswith(f"{param}: ")


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"background": True}, "background"),
        ({"background": 0}, "background"),
        ({"background_options": {}}, "background_options"),
        ({"conversation": "conv_1"}, "conversation"),
        ({"prompt": {"id": "pmpt_1"}}, "prompt"),
        ({"service_tier": "priority"}, "service_tier"),
        ({"service_tier": "flex"}, "service_tier"),
        ({"context_management": [{"type": "compaction"}]}, "context_management"),
        ({"moderation": {"model": "x"}}, "moderation"),
        ({"access_programs": {}}, "access_programs"),
        ({"image": {"context_compression": "enabled"}}, "image"),
        ({"prompt_cache_options": {"ttl": "12h"}}, "prompt_cache_options"),
        ({"stream_options": {"include_obfuscation": True}}, "stream_options"),
        ({"messages": []}, "messages"),
        ({"n": 2}, "n"),
        ({"max_tokens": 5}, "max_tokens"),
        ({"plugins": []}, "plugins"),
        ({"an unknown name": 1}, "request"),
        ({"reasoning": {"mode": "pro"}}, "reasoning.mode"),
        ({"reasoning": {"context": "all_turns"}}, "reasoning.context"),
        ({"reasoning": {"max_tokens": 5}}, "reasoning.max_tokens"),
        ({"text": {"style": "x"}}, "text.style"),
        (
            {"text": {"format": {"type": "json_schema", "name": "n", "schema": {}, "grammar": "x"}}},
            "text.format.grammar",
        ),
        ({"tools": [{"type": "web_search"}]}, "tools[0].type"),
        ({"tools": [TOOL, {"type": "mcp", "server_label": "x"}]}, "tools[1].type"),
        ({"tools": [{"name": "f"}]}, "tools[0].type"),
        ({"tools": [TOOL | {"defer_loading": True}]}, "tools[0].defer_loading"),
        ({"tools": [TOOL | {"output_schema": {}}]}, "tools[0].output_schema"),
        ({"tools": [TOOL | {"cache_control": {"ttl": "1h"}}]}, "tools[0].cache_control.ttl"),
        ({"tools": [TOOL], "tool_choice": {"type": "web_search"}}, "tool_choice.type"),
        (
            {"tools": [TOOL], "tool_choice": {"type": "allowed_tools", "tools": [{"type": "mcp"}]}},
            "tool_choice.tools[0].type",
        ),
        (items({"type": "web_search_call", "id": "ws_1"}), "input[0].type"),
        (items({"type": "compaction", "encrypted_content": "x"}), "input[0].type"),
        (items({"content": "x"}), "input[0].type"),
        (items({"type": ["message"]}), "input[0].type"),
        (items({"role": "user", "content": "x", "name": "Ann"}), "input[0].name"),
        (items(CALL | {"namespace": "n"}), "input[0].namespace"),
        (user({"type": "input_file", "file_id": "file_1"}), "input[0].content[0].type"),
        (user({"type": "input_audio", "input_audio": {}}), "input[0].content[0].type"),
        (user({"type": "refusal", "refusal": "x"}), "input[0].content[0].type"),
        (user(IMAGE | {"file_id": "file_1"}), "input[0].content[0].file_id"),
        (user({"type": "input_text", "text": "x", "input_audio": {}}), "input[0].content[0].input_audio"),
        (
            user({"type": "input_text", "text": "x", "prompt_cache_breakpoint": {}}),
            "input[0].content[0].prompt_cache_breakpoint",
        ),
        (
            user({"type": "input_text", "text": "x", "cache_control": {"ttl": "1h"}}),
            "input[0].content[0].cache_control.ttl",
        ),
        (assistant(IMAGE), "input[0].content[0].type"),
        (items({"role": "system", "content": [IMAGE]}), "input[0].content[0].type"),
        (
            items(CALL, {"type": "function_call_output", "call_id": "c", "output": [IMAGE | {"file_id": "f"}]}),
            "input[1].output[0].file_id",
        ),
    ],
)
def test_a_field_that_chat_cannot_say_is_refused_by_name(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(UnpricedField) as refused:
        to_chat({"model": MODEL, "input": "hi", **fields})
    assert refused.value.param == param
    assert refused.value.message.startswith(f"'{param}' cannot be used here")


def test_a_reference_without_an_id_is_refused_before_anything_is_looked_up() -> None:
    with pytest.raises(InvalidRequest) as refused:
        read_references({"input": [{"type": "item_reference", "id": 7}]})
    assert refused.value.param == "input[0].id"


def test_an_item_of_the_history_is_named_by_the_field_that_brought_it() -> None:
    with pytest.raises(UnpricedField) as refused:
        to_chat({"model": MODEL, "previous_response_id": "r"}, earlier_items=[{"type": "web_search_call"}])
    assert refused.value.param == "previous_response_id.type"
