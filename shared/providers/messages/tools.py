"""Tools and the choice among them, in chat's words."""

from collections.abc import Mapping
from typing import Any

from shared.providers.messages.checks import (
    Object,
    invalid,
    read_cache_control,
    read_flag,
    read_list,
    read_name,
    read_object,
    read_text,
    refuse_unknown_keys,
    unsayable,
)

# eager_input_streaming asks for arguments as they are written, and that is how they come.
_TOOL_KEYS = frozenset(
    {
        "type",
        "name",
        "description",
        "input_schema",
        "strict",
        "cache_control",
        "eager_input_streaming",
        "allowed_callers",
        "defer_loading",
        "input_examples",
    }
)
_CHOICES = {"auto": "auto", "any": "required", "none": "none"}


def translate_tools(value: object) -> list[Object]:
    """Return function tools; only tools that the client runs and describes itself can be said.

    raises  UnpricedField, InvalidRequest
    """
    if value is None:
        return []
    return [
        _translate_tool(read_object(tool, f"tools[{index}]"), f"tools[{index}]")
        for index, tool in enumerate(read_list(value, "tools"))
    ]


def translate_tool_choice(value: object, *, has_tools: bool) -> Object:
    """Return `tool_choice` and `parallel_tool_calls`, as far as they are asked for.

    raises  InvalidRequest
    """
    if value is None:
        return {}
    if not has_tools:
        raise invalid("tool_choice", "can only be given with tools")
    choice = read_object(value, "tool_choice")
    refuse_unknown_keys(choice, ("type", "name", "disable_parallel_tool_use"), "tool_choice")
    kind = choice.get("type")
    if kind == "tool":
        name = read_name(choice.get("name"), "tool_choice.name")
        fields: Object = {"tool_choice": {"type": "function", "function": {"name": name}}}
    elif isinstance(kind, str) and kind in _CHOICES:
        fields = {"tool_choice": _CHOICES[kind]}
    else:
        raise invalid("tool_choice.type", "must be 'auto', 'any', 'tool' or 'none'")
    if read_flag(choice.get("disable_parallel_tool_use"), "tool_choice.disable_parallel_tool_use"):
        fields["parallel_tool_calls"] = False
    return fields


def _translate_tool(tool: Mapping[str, Any], path: str) -> Object:
    if tool.get("type") not in (None, "custom"):
        raise unsayable(f"{path}.type", "only tools with an input_schema of your own can be offered to every model")
    _refuse_hosted_use(tool, path)
    refuse_unknown_keys(tool, _TOOL_KEYS, path)
    function: Object = {"name": read_name(tool.get("name"), f"{path}.name")}
    if tool.get("description") is not None:
        function["description"] = read_text(tool["description"], f"{path}.description")
    function["parameters"] = read_object(tool.get("input_schema"), f"{path}.input_schema")
    if tool.get("strict") is not None:
        function["strict"] = read_flag(tool["strict"], f"{path}.strict")
    read_flag(tool.get("eager_input_streaming"), f"{path}.eager_input_streaming")
    translated: Object = {"type": "function", "function": function}
    cache_control = read_cache_control(tool, path)
    return translated if cache_control is None else {**translated, "cache_control": cache_control}


def _refuse_hosted_use(tool: Mapping[str, Any], path: str) -> None:
    """Refuse what needs the provider's own tools beside the client's; values that ask for nothing may stand."""
    if tool.get("allowed_callers") not in (None, ["direct"]):
        raise unsayable(f"{path}.allowed_callers", "tools can only be called by the model itself")
    if read_flag(tool.get("defer_loading"), f"{path}.defer_loading"):
        raise unsayable(f"{path}.defer_loading", "there is no tool search; send the tools that are needed")
    if tool.get("input_examples") not in (None, []):
        raise unsayable(f"{path}.input_examples", "chat has no place for them; put them into the description")
