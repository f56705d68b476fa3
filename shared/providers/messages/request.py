"""A Messages request as the chat request that asks for the same."""

from collections.abc import Mapping
from typing import Any

import msgspec

from shared.providers.messages.checks import (
    Object,
    invalid,
    read_cache_control,
    read_flag,
    read_list,
    read_name,
    read_object,
    refuse_unknown_keys,
    unsayable,
)
from shared.providers.messages.content import translate_messages, translate_system
from shared.providers.messages.fields import refuse_unsayable_fields
from shared.providers.messages.tools import translate_tool_choice, translate_tools

# The least that Anthropic lets a model think.
# source  https://platform.claude.com/docs/en/build-with-claude/extended-thinking
MIN_THINKING_TOKENS = 1024
EFFORTS = ("low", "medium", "high", "xhigh", "max")
# Read by the flow, which checks them as it does for chat.
_PASSED = ("models", "provider")


class Echo(msgspec.Struct, frozen=True, kw_only=True):
    """What the answer has to know of its request.

    is_thinking_omitted: the client wants the signatures of thoughts without their texts
    """

    stop_sequences: tuple[str, ...] = ()
    is_thinking_omitted: bool = False


class Translated(msgspec.Struct, frozen=True, kw_only=True):
    """A request in chat's words. Usage is wanted of every stream: a Messages answer always tells it."""

    chat_body: Object
    is_stream: bool
    echo: Echo


def to_chat(body: Mapping[str, Any], *, is_counted_only: bool = False) -> Translated:
    """Translate a request; is_counted_only: a count_tokens request, which needs no max_tokens.

    raises  UnpricedField for what costs extra or chat cannot say, InvalidRequest; param is the client's own path
    """
    refuse_unsayable_fields(body)
    chat: Object = {
        "model": read_name(body.get("model"), "model"),
        "messages": translate_system(body.get("system")) + translate_messages(body.get("messages")),
    }
    if body.get("max_tokens") is not None or not is_counted_only:
        chat["max_tokens"] = _read_output_bound(body.get("max_tokens"))
    stop_sequences = _read_stop_sequences(body.get("stop_sequences"))
    if stop_sequences:
        chat["stop"] = list(stop_sequences)
    chat |= _sampling(body)
    tools = translate_tools(body.get("tools"))
    if tools:
        chat["tools"] = tools
    chat |= translate_tool_choice(body.get("tool_choice"), has_tools=bool(tools))
    thinking = _read_thinking(body.get("thinking"), chat.get("max_tokens"))
    chat |= _output_fields(body, thinking)
    chat |= _user(body.get("metadata"))
    cache_control = read_cache_control(body, "")
    if cache_control is not None:
        chat["cache_control"] = cache_control
    chat |= {name: body[name] for name in _PASSED if body.get(name) is not None}
    is_stream = read_flag(body.get("stream"), "stream")
    if is_stream:
        chat["stream"] = True
    is_omitted = (body.get("thinking") or {}).get("display") == "omitted"
    echo = Echo(stop_sequences=stop_sequences, is_thinking_omitted=is_omitted)
    return Translated(chat_body=chat, is_stream=is_stream, echo=echo)


def _read_output_bound(value: object) -> int:
    if value is None:
        raise invalid("max_tokens", "is required: the most tokens that the answer may have")
    if type(value) is int and value == 0:
        raise unsayable("max_tokens", "a cache cannot be filled without an answer; ask for at least one token")
    if type(value) is not int or value < 1:
        raise invalid("max_tokens", "must be a whole number of at least 1")
    return value


def _read_stop_sequences(value: object) -> tuple[str, ...]:
    sequences = [] if value is None else read_list(value, "stop_sequences")
    return tuple(read_name(sequence, f"stop_sequences[{index}]") for index, sequence in enumerate(sequences))


def _sampling(body: Mapping[str, Any]) -> Object:
    fields = {name: body[name] for name in ("temperature", "top_p", "top_k") if body.get(name) is not None}
    for name, value in fields.items():
        if type(value) is not int and (type(value) is not float or name == "top_k"):
            raise invalid(name, "must be a whole number" if name == "top_k" else "must be a number")
    return fields


def _read_thinking(value: object, max_tokens: int | None) -> Object | None:
    """Return OpenRouter's `reasoning`, which providers of every model understand or ignore."""
    if value is None:
        return None
    thinking = read_object(value, "thinking")
    refuse_unknown_keys(thinking, ("type", "budget_tokens", "display"), "thinking")
    kind = thinking.get("type")
    if kind == "between_tools":
        raise unsayable("thinking.type", "when a model thinks cannot be chosen; use 'adaptive'")
    if kind not in ("enabled", "adaptive", "disabled"):
        raise invalid("thinking.type", "must be 'enabled', 'adaptive' or 'disabled'")
    if thinking.get("display") not in (None, "summarized", "omitted"):
        raise invalid("thinking.display", "must be 'summarized' or 'omitted'")
    budget = thinking.get("budget_tokens")
    if kind != "enabled":
        if budget is not None:
            raise invalid("thinking.budget_tokens", "can only be given with type 'enabled'")
        return {"enabled": kind == "adaptive"}
    if type(budget) is not int or budget < MIN_THINKING_TOKENS:
        raise invalid("thinking.budget_tokens", f"must be a whole number of at least {MIN_THINKING_TOKENS}")
    if max_tokens is not None and budget >= max_tokens:
        raise invalid("thinking.budget_tokens", "must be less than max_tokens")
    return {"max_tokens": budget}


def _output_fields(body: Mapping[str, Any], reasoning: Object | None) -> Object:
    """Return `reasoning`, `verbosity` and `response_format`.

    Effort is the reasoning's where the model chooses how much to think; beside a budget, or without thinking, it is
    OpenRouter's `verbosity`, which sets Anthropic's effort and nothing else.
    """
    asked = body.get("output_config")
    config = read_object({} if asked is None else asked, "output_config")
    if config.get("task_budget") is not None:
        raise unsayable("output_config.task_budget", "bound the answer with max_tokens")
    refuse_unknown_keys(config, ("effort", "format"), "output_config")
    effort = config.get("effort")
    if effort is not None and effort not in EFFORTS:
        raise invalid("output_config.effort", f"must be one of {', '.join(EFFORTS)}")
    fields: Object = {} if reasoning is None else {"reasoning": reasoning}
    if effort is not None and reasoning == {"enabled": True}:
        fields["reasoning"] = {"enabled": True, "effort": effort}
    elif effort is not None:
        fields["verbosity"] = effort
    if config.get("format") is not None and body.get("output_format") is not None:
        raise invalid("output_format", "is output_config.format under its old name; give one of them")
    for name, value in (("output_config.format", config.get("format")), ("output_format", body.get("output_format"))):
        if value is not None:
            fields["response_format"] = _read_format(read_object(value, name), name)
    return fields


def _read_format(value: Object, path: str) -> Object:
    refuse_unknown_keys(value, ("type", "schema"), path)
    if value.get("type") != "json_schema":
        raise invalid(f"{path}.type", "must be 'json_schema'")
    schema = read_object(value.get("schema"), f"{path}.schema")
    return {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema, "strict": True}}


def _user(value: object) -> Object:
    metadata = read_object({} if value is None else value, "metadata")
    refuse_unknown_keys(metadata, ("user_id",), "metadata")
    user_id = metadata.get("user_id")
    return {} if user_id is None else {"user": read_name(user_id, "metadata.user_id")}
