"""A Messages request in chat's words, and what cannot be said."""

import json
from typing import Any

import pytest

from shared.core.errors import InvalidRequest
from shared.providers.messages.fields import MESSAGE_FIELDS
from shared.providers.messages.request import to_chat
from shared.providers.openai_chat import build_request
from shared.providers.openrouter import OPENROUTER
from shared.providers.request_fields import UnpricedField, refuse_unpriced_fields

PLAIN: dict[str, Any] = {"model": "m", "max_tokens": 2000, "messages": [{"role": "user", "content": "hi"}]}
TOOL: dict[str, Any] = {"name": "f", "input_schema": {"type": "object"}}
CACHED = {"type": "ephemeral"}
LONG_CACHED = {"type": "ephemeral", "ttl": "1h"}
IMAGE: dict[str, Any] = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "QUJD"}}
IMAGE_PART = {"type": "image_url", "image_url": {"url": "data:image/png;base64,QUJD"}}
USE: dict[str, Any] = {"type": "tool_use", "id": "t1", "name": "f", "input": {"x": 1}}
RESULT: dict[str, Any] = {"type": "tool_result", "tool_use_id": "t1", "content": "42"}
THOUGHT: dict[str, Any] = {"type": "thinking", "thinking": "hm", "signature": "sig=="}


def asked(**fields: object) -> dict[str, Any]:
    return to_chat(PLAIN | fields).chat_body


def turn(role: str, content: object) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = asked(messages=[{"role": role, "content": content}])["messages"]
    return messages


def text(content: str, **fields: object) -> dict[str, Any]:
    return {"type": "text", "text": content, **fields}


def test_plain_request_is_the_chat_request_that_one_would_write() -> None:
    assert asked() == {"model": "m", "max_tokens": 2000, "messages": [{"role": "user", "content": "hi"}]}


def test_text_and_a_lone_text_block_ask_for_the_same() -> None:
    assert turn("user", [text("hi")]) == turn("user", "hi")
    assert turn("assistant", [text("hi")]) == turn("assistant", "hi")
    assert asked(system=[text("be brief")]) == asked(system="be brief")


def test_system_prompt_is_the_first_message() -> None:
    assert asked(system="be brief")["messages"][0] == {"role": "system", "content": "be brief"}
    assert asked(system="")["messages"] == asked(system=[])["messages"] == asked()["messages"]


def test_cache_breakpoints_stay_where_they_were() -> None:
    request = asked(
        system=[text("long"), text("rules", cache_control=CACHED)],
        messages=[
            {"role": "user", "content": [text("a", cache_control={"type": "ephemeral", "ttl": "5m"})]},
            {"role": "assistant", "content": [{**USE, "cache_control": CACHED}]},
            {"role": "user", "content": [{**RESULT, "cache_control": CACHED}, {**IMAGE, "cache_control": CACHED}]},
        ],
        tools=[{**TOOL, "cache_control": CACHED}],
        cache_control=CACHED,
    )
    assert request["messages"][0]["content"] == [text("long"), text("rules", cache_control=CACHED)]
    assert request["messages"][1]["content"] == [text("a", cache_control={"type": "ephemeral", "ttl": "5m"})]
    assert "cache_control" not in str(request["messages"][2])
    assert request["messages"][3]["content"] == [text("42", cache_control=CACHED)]
    assert request["messages"][4]["content"] == [{**IMAGE_PART, "cache_control": CACHED}]
    assert request["tools"][0]["cache_control"] == request["cache_control"] == CACHED


def test_images_are_sent_by_their_bytes_or_their_address() -> None:
    address = {"type": "image", "source": {"type": "url", "url": "https://x/y.png"}}
    parts = turn("user", [text("see"), IMAGE, address])[0]["content"]
    assert parts == [text("see"), IMAGE_PART, {"type": "image_url", "image_url": {"url": "https://x/y.png"}}]


def test_tool_results_become_messages_of_their_own_before_the_rest() -> None:
    messages = turn("user", [RESULT, {**RESULT, "tool_use_id": "t2", "content": [text("a"), IMAGE]}, text("and?")])
    assert messages == [
        {"role": "tool", "tool_call_id": "t1", "content": "42"},
        {"role": "tool", "tool_call_id": "t2", "content": [text("a"), IMAGE_PART]},
        {"role": "user", "content": "and?"},
    ]


@pytest.mark.parametrize(
    ("content", "said"),
    [("boom", "Error: boom"), ("", "Error:"), (None, "Error:"), ([IMAGE], [text("Error:"), IMAGE_PART])],
)
def test_result_that_failed_says_so_to_the_model(content: object, said: object) -> None:
    assert turn("user", [{**RESULT, "content": content, "is_error": True}])[0]["content"] == said
    assert turn("user", [{**RESULT, "content": "fine", "is_error": False}])[0]["content"] == "fine"


def test_assistant_turn_keeps_thoughts_text_and_calls() -> None:
    redacted = {"type": "redacted_thinking", "data": "enc=="}
    second = {**USE, "id": "t2", "input": {}, "caller": {"type": "direct"}}
    assert turn("assistant", [THOUGHT, redacted, text("so", citations=None), USE, second]) == [
        {
            "role": "assistant",
            "content": "so",
            "reasoning_details": [
                {
                    "type": "reasoning.text",
                    "text": "hm",
                    "signature": "sig==",
                    "format": "anthropic-claude-v1",
                    "index": 0,
                },
                {"type": "reasoning.encrypted", "data": "enc==", "format": "anthropic-claude-v1", "index": 1},
            ],
            "tool_calls": [
                {"id": "t1", "type": "function", "function": {"name": "f", "arguments": '{"x":1}'}},
                {"id": "t2", "type": "function", "function": {"name": "f", "arguments": "{}"}},
            ],
        }
    ]
    assert turn("assistant", [USE])[0]["content"] is None
    assert turn("assistant", [{**THOUGHT, "signature": ""}]) == [
        {"role": "assistant", "content": "", "reasoning": "hm"}
    ]


def test_arguments_stay_readable_in_every_script() -> None:
    calls = turn("assistant", [{**USE, "input": {"città": "東京", "half": "\ud83d"}}])[0]["tool_calls"]
    assert calls[0]["function"]["arguments"] == '{"città":"東京","half":"\ud83d"}'


def test_instructions_in_the_middle_stay_there() -> None:
    assert turn("system", [text("a"), text("b")]) == [{"role": "system", "content": [text("a"), text("b")]}]


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


def test_every_field_that_is_refused_has_a_test() -> None:
    tested = {param.split(".")[0].split("[")[0] for _, param in UNSAYABLE}
    assert {field.name for field in MESSAGE_FIELDS if field.action == "refuse"} <= tested


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


def test_input_that_is_too_deep_is_refused() -> None:
    deep: dict[str, Any] = {}
    for _ in range(200_000):
        deep = {"x": deep}
    with pytest.raises(InvalidRequest) as refused:
        asked(**assistant({**USE, "input": deep}))
    assert refused.value.param == f"{FIRST}.input"
    while deep:
        deep = deep.pop("x")
