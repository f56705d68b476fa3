"""The one list of request fields that cost extra, reroute or are ours: each refused, dropped or allowed, and why."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Literal

import msgspec

from shared.core.errors import GatewayError

Action = Literal["refuse", "drop", "allow"]

_OPENAI = "https://platform.openai.com/docs/api-reference/chat/create"
_OPENROUTER = "https://openrouter.ai/docs/api-reference/chat-completion"
_ANTHROPIC = "https://docs.anthropic.com/en/docs/about-claude/pricing"
_VLLM = "https://docs.vllm.ai/en/latest/serving/openai_compatible_server.html"
_XAI = "https://docs.x.ai/docs/guides/live-search"
_CONTRACT = "our own contract"


class UnpricedField(GatewayError):
    """The request asks for something that costs extra or is routed elsewhere, and that has no price here."""

    code = "unsupported_parameter"
    advice = "A field costs extra or reroutes and has no price here; leave it out."


class FieldRule(msgspec.Struct, frozen=True, kw_only=True):
    """What happens to one field.

    harmless: the values that ask for nothing; they are dropped whatever the action, as null always is.
    """

    name: str
    action: Action
    reason: str
    source: str
    harmless: tuple[object, ...] = ()


FIELD_RULES: tuple[FieldRule, ...] = (
    # Ours: read by the gateway, meaningless or harmful upstream.
    FieldRule(name="models", action="drop", reason="the gateway does the fallback itself", source=_CONTRACT),
    FieldRule(name="provider", action="drop", reason="the gateway chooses the provider itself", source=_CONTRACT),
    FieldRule(name="session_id", action="drop", reason="the gateway keeps its sessions itself", source=_CONTRACT),
    FieldRule(name="max_output_tokens", action="drop", reason="sent under the provider's own name", source=_CONTRACT),
    FieldRule(name="usage", action="drop", reason="usage is always reported", source=_OPENROUTER),
    FieldRule(name="store", action="drop", reason="nothing is stored at the provider", source=_OPENAI),
    FieldRule(name="trace", action="drop", reason="it reaches the house's own log destinations", source=_OPENROUTER),
    FieldRule(name="debug", action="drop", reason="it echoes the house's own upstream request", source=_OPENROUTER),
    # Charged beside the tokens.
    FieldRule(
        name="plugins",
        action="refuse",
        reason="plugins are charged beside the tokens",
        source="https://openrouter.ai/docs/features/web-search",
        harmless=([],),
    ),
    FieldRule(name="web_search_options", action="refuse", reason="web searches are charged per search", source=_OPENAI),
    FieldRule(
        name="search_parameters",
        action="refuse",
        reason="live search is charged per source",
        source=_XAI,
        harmless=({"mode": "off"},),
    ),
    FieldRule(
        name="enable_search",
        action="refuse",
        reason="web searches are charged per search",
        source="https://www.alibabacloud.com/help/en/model-studio/web-search",
        harmless=(False,),
    ),
    FieldRule(name="audio", action="refuse", reason="audio has prices of its own", source=_OPENAI),
    FieldRule(
        name="modalities",
        action="refuse",
        reason="only text answers have a price here",
        source=_OPENAI,
        harmless=(["text"], []),
    ),
    FieldRule(
        name="image_config",
        action="refuse",
        reason="only text answers have a price here",
        source=_OPENROUTER,
        harmless=({},),
    ),
    FieldRule(
        name="service_tier",
        action="refuse",
        reason="other tiers have other prices",
        source="https://platform.openai.com/docs/pricing",
        harmless=("auto", "default", "standard"),
    ),
    FieldRule(
        name="speed",
        action="refuse",
        reason="fast mode is charged several times over",
        source=_ANTHROPIC,
        harmless=("standard",),
    ),
    FieldRule(name="inference_geo", action="refuse", reason="a region has its own price", source=_ANTHROPIC),
    FieldRule(
        name="mcp_servers",
        action="refuse",
        reason="the provider would call servers on its own and charge for it",
        source="https://docs.anthropic.com/en/docs/agents-and-tools/mcp-connector",
        harmless=([],),
    ),
    FieldRule(
        name="best_of",
        action="refuse",
        reason="hidden candidates are charged as output",
        source=_VLLM,
        harmless=(1,),
    ),
    FieldRule(
        name="use_beam_search",
        action="refuse",
        reason="beams are computed beside the answer",
        source=_VLLM,
        harmless=(False,),
    ),
    # Rerouted, or run on the provider's machine.
    FieldRule(
        name="route",
        action="refuse",
        reason="the gateway chooses the route itself",
        source=_OPENROUTER,
        harmless=("fallback",),
    ),
    FieldRule(
        name="preset",
        action="refuse",
        reason="a preset replaces the model and its settings at the provider",
        source="https://openrouter.ai/docs/features/presets",
    ),
    FieldRule(
        name="priority", action="refuse", reason="the queue at the provider is the house's", source=_VLLM, harmless=(0,)
    ),
    FieldRule(
        name="kv_transfer_params", action="refuse", reason="it connects the provider to other hosts", source=_VLLM
    ),
    FieldRule(
        name="logits_processors",
        action="refuse",
        reason="it names code to run at the provider",
        source=_VLLM,
        harmless=([],),
    ),
    # Looks chargeable and is not: what was predicted wrongly is billed as output, within the bound on output.
    FieldRule(name="prediction", action="allow", reason="counted as output tokens", source=_OPENAI),
)

# Model variants that OpenRouter makes up per request; `:free`, `:thinking`, `:extended` are models with their own id.
# source  https://openrouter.ai/docs/features/provider-routing (nitro, floor, exacto), …/features/web-search (online)
ROUTING_SUFFIXES = (":online", ":nitro", ":floor", ":exacto")
PRESET_MARK = "@preset/"

# Fail closed: a part of another type may have a price that we do not know.
PRICED_PARTS = frozenset(
    {"text", "input_text", "output_text", "refusal", "thinking", "redacted_thinking", "reasoning", "image_url"}
)
# vLLM guesses the type of a part from these keys, whatever its `type` says.
UNPRICED_PART_KEYS = ("input_audio", "audio_url", "video_url", "file", "input_file", "image_embeds", "audio_embeds")
PRICED_TOOLS = frozenset({"function", "custom"})
# A cache write for an hour costs twice the input price, one for five minutes 1.25 times: only the second has a price.
PRICED_CACHE_TIMES = (None, "5m")

_WORD = re.compile(r"[A-Za-z0-9_.:\-]{1,40}")


def refuse_unpriced_fields(body: Mapping[str, Any]) -> None:
    """Refuse a request that would cost or route what nobody priced.

    raises  UnpricedField naming the field
    policy  closed: unknown types of content parts and tools are refused; unknown fields pass
    """
    for rule in FIELD_RULES:
        value = body.get(rule.name)
        if rule.action == "refuse" and value is not None and not _is_harmless(rule, value):
            raise _refusal(rule.name, rule.reason)
    _refuse_routing_models(body)
    _refuse_long_cache(body, "cache_control")
    for index, tool in _objects(body.get("tools")):
        tool_type = tool.get("type", "function" if "function" in tool else None)
        if not isinstance(tool_type, str) or tool_type not in PRICED_TOOLS:
            raise _refusal(f"tools[{index}].type", f"a tool of type {_quote(tool_type)} has no price")
        _refuse_long_cache(tool, f"tools[{index}].cache_control")
    for index, message in _objects(body.get("messages")):
        _refuse_unpriced_message(message, f"messages[{index}]")


def without_listed_fields(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy of the body without the fields that no provider may see."""
    hidden = {rule.name for rule in FIELD_RULES if rule.action != "allow"}
    return {name: value for name, value in body.items() if name not in hidden}


def _is_harmless(rule: FieldRule, value: object) -> bool:
    return any(value == harmless and type(value) is type(harmless) for harmless in rule.harmless)


def _refuse_routing_models(body: Mapping[str, Any]) -> None:
    fallbacks = body.get("models")
    named = [("model", body.get("model"))]
    named += [
        (f"models[{index}]", model) for index, model in enumerate(fallbacks if isinstance(fallbacks, list) else ())
    ]
    for param, model in named:
        if not isinstance(model, str):
            continue
        if PRESET_MARK in model or model.lower().endswith(ROUTING_SUFFIXES):
            raise _refusal(
                param, "presets and routing suffixes such as :online reroute or cost extra; name the model alone"
            )


def _refuse_unpriced_message(message: Mapping[str, Any], path: str) -> None:
    if message.get("audio") is not None:
        raise _refusal(f"{path}.audio", "audio has prices of its own")
    _refuse_long_cache(message, f"{path}.cache_control")
    for index, part in _objects(message.get("content")):
        part_path = f"{path}.content[{index}]"
        part_type = part.get("type", "image_url" if "image_url" in part else "text" if "text" in part else None)
        if not isinstance(part_type, str) or part_type not in PRICED_PARTS:
            raise _refusal(f"{part_path}.type", f"a content part of type {_quote(part_type)} has no price")
        for key in UNPRICED_PART_KEYS:
            if part.get(key) is not None:
                raise _refusal(f"{part_path}.{key}", f"a content part with {key} has no price")
        _refuse_long_cache(part, f"{part_path}.cache_control")


def _refuse_long_cache(holder: Mapping[str, Any], param: str) -> None:
    cache_control = holder.get("cache_control")
    if isinstance(cache_control, dict) and cache_control.get("ttl") not in PRICED_CACHE_TIMES:
        raise _refusal(f"{param}.ttl", "only cache writes for five minutes have a price")


def _objects(values: object) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the objects of a list with their places; whatever else is in it, the provider will refuse."""
    for index, value in enumerate(values if isinstance(values, list) else ()):
        if isinstance(value, dict):
            yield index, value


def _quote(value: object) -> str:
    return f"'{value}'" if isinstance(value, str) and _WORD.fullmatch(value) else "that is not known here"


def _refusal(param: str, reason: str) -> UnpricedField:
    return UnpricedField(f"'{param}' cannot be used here: {reason}.", param=param)
