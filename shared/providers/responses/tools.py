"""The tools of a Responses request, and which of them may be called, as chat says it."""

from collections.abc import Mapping
from typing import Any

import msgspec

from shared.providers.responses.checks import (
    cache_mark,
    read_choice,
    read_flag,
    read_name,
    read_object,
    read_objects,
    read_text,
    refuse_malformed,
    refuse_others,
    refuse_unsupported,
)

_FUNCTION_FIELDS = ("type", "name", "description", "parameters", "strict", "cache_control")
_CUSTOM_FIELDS = ("type", "name", "description", "format", "cache_control")
# What these say when they are spelled out is what a plain tool is.
_HARMLESS: Mapping[str, object] = {"defer_loading": False, "async": False, "allowed_callers": ["direct"]}


class Tools(msgspec.Struct, frozen=True, kw_only=True):
    """chat: the fields of a chat request; echo: what the answer repeats."""

    chat: dict[str, Any]
    echo: dict[str, Any]


def read_tools(body: Mapping[str, Any]) -> Tools:
    """Translate `tools`, `tool_choice` and `parallel_tool_calls`.

    raises  InvalidRequest, UnpricedField for hosted tools
    policy  without tools the other two ask for nothing and are left out: chat refuses them then
    """
    echoed: list[dict[str, Any]] = []
    by_name: dict[tuple[str, str], dict[str, Any]] = {}
    given = body.get("tools")
    for path, tool in read_objects([] if given is None else given, "tools"):
        kind = tool.get("type")
        if kind == "function":
            echo, chat = _function(tool, path)
        elif kind == "custom":
            echo, chat = _custom(tool, path)
        else:
            refuse_unsupported(f"{path}.type", "only tools of type function and custom can be called here")
        if (kind, echo["name"]) in by_name:
            refuse_malformed(f"{path}.name", "names a tool that another one names too")
        by_name[kind, echo["name"]] = chat
        echoed.append(echo)
    choice = body.get("tool_choice")
    is_parallel = body.get("parallel_tool_calls")
    chat_fields = _choose(choice, by_name)
    if is_parallel is not None:
        read_flag(is_parallel, "parallel_tool_calls")
        if by_name:
            chat_fields["parallel_tool_calls"] = is_parallel
    return Tools(
        chat=chat_fields,
        echo={
            "tools": echoed,
            "tool_choice": _echoed_choice(choice),
            "parallel_tool_calls": is_parallel is not False,
        },
    )


def _echoed_choice(choice: object) -> object:
    if isinstance(choice, Mapping) and choice.get("type") == "allowed_tools":
        return {**choice, "mode": choice.get("mode") or "auto"}
    return "auto" if choice is None else choice


def _function(tool: Mapping[str, Any], path: str) -> tuple[dict[str, Any], dict[str, Any]]:
    _refuse_other_fields(tool, path, _FUNCTION_FIELDS)
    function: dict[str, Any] = {"name": read_name(tool.get("name"), f"{path}.name")}
    if tool.get("description") is not None:
        function["description"] = read_text(tool["description"], f"{path}.description")
    if tool.get("parameters") is not None:
        function["parameters"] = read_object(tool["parameters"], f"{path}.parameters")
    if tool.get("strict") is not None:
        function["strict"] = read_flag(tool["strict"], f"{path}.strict")
    echo = {"type": "function", "description": None, "parameters": None, "strict": None} | function
    return echo, {"type": "function", "function": function, **cache_mark(tool, path)}


def _custom(tool: Mapping[str, Any], path: str) -> tuple[dict[str, Any], dict[str, Any]]:
    _refuse_other_fields(tool, path, _CUSTOM_FIELDS)
    custom: dict[str, Any] = {"name": read_name(tool.get("name"), f"{path}.name")}
    if tool.get("description") is not None:
        custom["description"] = read_text(tool["description"], f"{path}.description")
    echo = {"type": "custom", **custom}
    if tool.get("format") is not None:
        echo["format"] = tool["format"]
        custom["format"] = _input_format(read_object(tool["format"], f"{path}.format"), f"{path}.format")
    return echo, {"type": "custom", "custom": custom, **cache_mark(tool, path)}


def _input_format(form: Mapping[str, Any], path: str) -> dict[str, Any]:
    if read_choice(form.get("type"), f"{path}.type", ("text", "grammar")) == "text":
        return {"type": "text"}
    grammar = {
        "definition": read_text(form.get("definition"), f"{path}.definition"),
        "syntax": read_choice(form.get("syntax"), f"{path}.syntax", ("lark", "regex")),
    }
    return {"type": "grammar", "grammar": grammar}


def _refuse_other_fields(tool: Mapping[str, Any], path: str, known: tuple[str, ...]) -> None:
    others = {name: value for name, value in tool.items() if name not in _HARMLESS or value != _HARMLESS[name]}
    refuse_others(others, path, known)


def _choose(choice: object, by_name: Mapping[tuple[str, str], dict[str, Any]]) -> dict[str, Any]:
    tools = list(by_name.values())
    if choice is None:
        return {"tools": tools} if tools else {}
    if isinstance(choice, str):
        read_choice(choice, "tool_choice", ("auto", "none", "required"))
        if not tools:
            if choice == "required":
                refuse_malformed("tool_choice", "requires a tool call, and there are no tools")
            return {}
        return {"tools": tools, "tool_choice": choice}
    named = read_object(choice, "tool_choice")
    kind = named.get("type")
    if kind == "allowed_tools":
        return _narrow(named, by_name)
    if kind not in ("function", "custom"):
        refuse_unsupported("tool_choice.type", "only functions, custom tools and allowed_tools can be chosen")
    name = _known_name(named, "tool_choice", by_name)
    return {"tools": tools, "tool_choice": {"type": kind, kind: {"name": name}}}


def _narrow(choice: Mapping[str, Any], by_name: Mapping[tuple[str, str], dict[str, Any]]) -> dict[str, Any]:
    """Send only the tools that may be called: the specification has them enforced, which few providers do themselves.

    source  https://www.openresponses.org/specification#allowed_tools
    """
    mode = choice.get("mode")
    if mode is not None:
        read_choice(mode, "tool_choice.mode", ("auto", "required", "none"))
    allowed = set()
    for path, tool in read_objects(choice.get("tools"), "tool_choice.tools"):
        if tool.get("type") not in ("function", "custom"):
            refuse_unsupported(f"{path}.type", "only tools of type function and custom can be called here")
        allowed.add((tool["type"], _known_name(tool, path, by_name)))
    if not allowed:
        refuse_malformed("tool_choice.tools", "must name a tool")
    tools = [tool for key, tool in by_name.items() if key in allowed]
    return {"tools": tools, "tool_choice": mode or "auto"}


def _known_name(named: Mapping[str, Any], path: str, by_name: Mapping[tuple[str, str], object]) -> str:
    name = read_name(named.get("name"), f"{path}.name")
    if (named["type"], name) not in by_name:
        refuse_malformed(f"{path}.name", "names a tool that is not among tools")
    return name
