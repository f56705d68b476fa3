"""The one list of a Responses request's fields: what becomes of each, and why."""

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from shared.providers.responses.checks import refuse_others, refuse_unsupported

Action = Literal["translate", "pass", "echo", "refuse"]

_OPENAI = "https://platform.openai.com/docs/api-reference/responses/create"
_OPEN_RESPONSES = "https://www.openresponses.org/reference"
_OPENROUTER = "https://openrouter.ai/docs/api-reference/responses"
_CONTRACT = "our own contract"


class ResponsesField(msgspec.Struct, frozen=True, kw_only=True):
    """What happens to one field of the request.

    translate: chat says it otherwise; pass: chat says it under the same name; echo: only the answer repeats it; refuse:
    unless its value is harmless, as null always is
    """

    name: str
    action: Action
    reason: str
    source: str = _OPENAI
    harmless: tuple[object, ...] = ()


FIELDS: tuple[ResponsesField, ...] = (
    ResponsesField(name="model", action="pass", reason="the same in chat"),
    ResponsesField(name="input", action="translate", reason="messages"),
    ResponsesField(name="instructions", action="translate", reason="the system message that comes first"),
    ResponsesField(name="previous_response_id", action="translate", reason="its items come before the input"),
    ResponsesField(name="stream", action="pass", reason="the same in chat"),
    ResponsesField(name="max_output_tokens", action="pass", reason="sent under the provider's own name"),
    ResponsesField(name="tools", action="translate", reason="functions and custom tools; hosted ones are refused"),
    ResponsesField(name="tool_choice", action="translate", reason="tool_choice; allowed_tools narrows tools instead"),
    ResponsesField(name="parallel_tool_calls", action="translate", reason="the same in chat, beside tools only"),
    ResponsesField(name="text", action="translate", reason="response_format and verbosity"),
    ResponsesField(name="reasoning", action="translate", reason="reasoning_effort; a summary is shown as it comes"),
    ResponsesField(name="include", action="translate", reason="logprobs; encrypted reasoning is always included"),
    ResponsesField(name="top_logprobs", action="translate", reason="logprobs and top_logprobs"),
    ResponsesField(name="temperature", action="pass", reason="the same in chat"),
    ResponsesField(name="top_p", action="pass", reason="the same in chat"),
    ResponsesField(name="presence_penalty", action="pass", reason="the same in chat", source=_OPEN_RESPONSES),
    ResponsesField(name="frequency_penalty", action="pass", reason="the same in chat", source=_OPEN_RESPONSES),
    ResponsesField(name="prompt_cache_key", action="pass", reason="the same in chat"),
    ResponsesField(name="prompt_cache_retention", action="pass", reason="the same in chat"),
    ResponsesField(name="safety_identifier", action="pass", reason="the same in chat"),
    ResponsesField(name="user", action="pass", reason="the same in chat"),
    ResponsesField(
        name="stop", action="pass", reason="the same in chat, where a provider knows it", source=_OPENROUTER
    ),
    ResponsesField(
        name="seed", action="pass", reason="the same in chat, where a provider knows it", source=_OPENROUTER
    ),
    ResponsesField(
        name="top_k", action="pass", reason="the same in chat, where a provider knows it", source=_OPENROUTER
    ),
    ResponsesField(
        name="min_p", action="pass", reason="the same in chat, where a provider knows it", source=_OPENROUTER
    ),
    ResponsesField(name="logit_bias", action="pass", reason="the same in chat", source=_OPENROUTER),
    ResponsesField(name="models", action="pass", reason="our own fallbacks", source=_CONTRACT),
    ResponsesField(name="provider", action="pass", reason="our own preferences", source=_CONTRACT),
    ResponsesField(name="session_id", action="pass", reason="our own sessions", source=_CONTRACT),
    ResponsesField(name="metadata", action="echo", reason="the client's own notes"),
    ResponsesField(name="store", action="echo", reason="the gateway keeps the answer, never the provider"),
    ResponsesField(name="max_tool_calls", action="echo", reason="bounds hosted tools, of which there are none"),
    ResponsesField(name="truncation", action="echo", reason="`auto` allows a truncation and asks for none"),
    # Charged, run or kept elsewhere.
    ResponsesField(
        name="background", action="refuse", reason="an answer is given while the client waits", harmless=(False,)
    ),
    ResponsesField(name="background_options", action="refuse", reason="there are no background answers"),
    ResponsesField(name="conversation", action="refuse", reason="use previous_response_id"),
    ResponsesField(name="prompt", action="refuse", reason="prompt templates are kept at the provider"),
    ResponsesField(
        name="service_tier",
        action="refuse",
        reason="other tiers have other prices",
        harmless=("auto", "default", "standard"),
    ),
    ResponsesField(
        name="context_management", action="refuse", reason="a compaction is charged beside the answer", harmless=([],)
    ),
    ResponsesField(name="moderation", action="refuse", reason="chat cannot ask for it"),
    ResponsesField(name="access_programs", action="refuse", reason="programs belong to an account at the provider"),
    ResponsesField(
        name="image",
        action="refuse",
        reason="chat cannot ask for it",
        harmless=({}, {"context_compression": "auto"}),
    ),
    ResponsesField(
        name="prompt_cache_options",
        action="refuse",
        reason="cache writes with a lifetime of their own have no price",
        harmless=({}, {"mode": "implicit"}),
    ),
    ResponsesField(
        name="stream_options",
        action="refuse",
        reason="events are not padded; only include_obfuscation false can be said",
        harmless=({}, {"include_obfuscation": False}, {"include_obfuscation": None}, {"include_usage": True}),
    ),
)
_NAMES = frozenset(field.name for field in FIELDS)


def refuse_unsupported_fields(body: Mapping[str, Any]) -> None:
    """Refuse a request with a field that chat could not say, or that nobody knows.

    raises  UnpricedField naming the field
    policy  closed: OpenAI refuses unknown fields of a Responses request too
    """
    refuse_others(body, "", _NAMES)
    for field in FIELDS:
        value = body.get(field.name)
        if field.action == "refuse" and value is not None and not _is_harmless(field, value):
            refuse_unsupported(field.name, field.reason)


def passed_fields(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields that chat says under the same name; null says nothing."""
    names = (field.name for field in FIELDS if field.action == "pass")
    return {name: body[name] for name in names if body.get(name) is not None}


def _is_harmless(field: ResponsesField, value: object) -> bool:
    return any(value == harmless and type(value) is type(harmless) for harmless in field.harmless)
