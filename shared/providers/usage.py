"""What a provider says a request used, checked before anything is computed with it."""

import re
from decimal import Decimal

import msgspec

from shared.core.money import Nanos, nanos_from_dollars
from shared.providers.raw_json import MalformedAnswer, decode, decode_object, is_absent

# A single request that cost more than this was misreported.
MAX_REPORTED_DOLLARS = 10_000

_WHOLE_NUMBER = re.compile(rb"-?[0-9]{1,18}")
_NUMBER = re.compile(rb"-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]{1,3})?")
_MISSING = msgspec.Raw(b"")


class ImplausibleUsage(Exception):
    """The provider reported quantities that cannot be; the message names which."""


class UsageBounds(msgspec.Struct, frozen=True, kw_only=True):
    """The most that the model can have used: its context, and n times its output limit."""

    max_input_tokens: int
    max_output_tokens_total: int


class UsageReport(msgspec.Struct, frozen=True, kw_only=True):
    """Quantities as they are priced: the three kinds of input do not overlap; reasoning is within output."""

    input_tokens: int
    cached_input_tokens: int
    cache_write_tokens: int
    output_tokens: int
    reasoning_tokens: int


class _Details(msgspec.Struct):
    cached_tokens: msgspec.Raw = _MISSING
    cache_write_tokens: msgspec.Raw = _MISSING
    cache_creation_tokens: msgspec.Raw = _MISSING
    reasoning_tokens: msgspec.Raw = _MISSING


class _Usage(msgspec.Struct):
    prompt_tokens: msgspec.Raw = _MISSING
    completion_tokens: msgspec.Raw = _MISSING
    total_tokens: msgspec.Raw = _MISSING
    prompt_tokens_details: _Details | None = None
    completion_tokens_details: _Details | None = None
    cache_read_input_tokens: msgspec.Raw = _MISSING
    cache_creation_input_tokens: msgspec.Raw = _MISSING
    prompt_cache_hit_tokens: msgspec.Raw = _MISSING


class _Cost(msgspec.Struct):
    cost: msgspec.Raw = _MISSING


_USAGE = msgspec.json.Decoder(_Usage | None)
_COST = msgspec.json.Decoder(_Cost | None)


def read_usage(raw: bytes | None, *, bounds: UsageBounds) -> UsageReport | None:
    """Read a `usage` object in OpenAI's dialect and those that lean on it.

    shape   None when usage, its prompt_tokens or its completion_tokens is missing: missing is not zero
    raises  ImplausibleUsage naming the field: negative, not a whole number, above the bounds, parts above their whole
    policy  whether prompt_tokens includes what came from a cache is read off total_tokens: OpenAI and OpenRouter
            include it, Portkey in front of Anthropic does not
    source  https://openrouter.ai/docs/use-cases/usage-accounting;
            github.com/Portkey-AI/gateway src/providers/anthropic/chatComplete.ts
    """
    if raw is None or is_absent(raw):
        return None
    try:
        usage = decode(_USAGE, raw)
    except MalformedAnswer as malformed:
        raise ImplausibleUsage(f"usage: {malformed}") from malformed
    if usage is None or is_absent(usage.prompt_tokens) or is_absent(usage.completion_tokens):
        return None
    prompt = _count("prompt_tokens", usage.prompt_tokens)
    completion = _count("completion_tokens", usage.completion_tokens)
    cached, cache_write = _cached(usage)
    reasoning = _count("reasoning_tokens", (usage.completion_tokens_details or _Details()).reasoning_tokens)
    surplus = 0 if is_absent(usage.total_tokens) else _count("total_tokens", usage.total_tokens) - prompt - completion
    is_cache_beside, is_reasoning_beside = _beside(surplus, cached + cache_write, reasoning)
    if not is_cache_beside:
        prompt -= cached + cache_write
    if is_reasoning_beside:
        completion += reasoning
    if prompt < 0:
        raise ImplausibleUsage("cached_tokens: more than prompt_tokens")
    if reasoning > completion:
        raise ImplausibleUsage("reasoning_tokens: more than completion_tokens")
    _check_bound("prompt_tokens", prompt + cached + cache_write, bounds.max_input_tokens)
    _check_bound("completion_tokens", completion, bounds.max_output_tokens_total)
    return UsageReport(
        input_tokens=prompt,
        cached_input_tokens=cached,
        cache_write_tokens=cache_write,
        output_tokens=completion,
        reasoning_tokens=reasoning,
    )


def read_prompt_tokens(raw: bytes | None, *, max_tokens: int) -> int | None:
    """Read the tokens of a prompt that has no answer in tokens, as of embeddings.

    shape   None where none are told: missing is not zero
    raises  ImplausibleUsage naming the field: negative, not a whole number, above the bound
    """
    if raw is None or is_absent(raw):
        return None
    try:
        usage = decode(_USAGE, raw)
    except MalformedAnswer as malformed:
        raise ImplausibleUsage(f"usage: {malformed}") from malformed
    # Some tell the total alone.
    told = _MISSING if usage is None else _first(usage.prompt_tokens, usage.total_tokens)
    if is_absent(told):
        return None
    tokens = _count("prompt_tokens", told)
    _check_bound("prompt_tokens", tokens, max_tokens)
    return tokens


def encode_usage(report: UsageReport) -> bytes:
    """Print quantities as OpenAI's `usage`, for an answer whose provider sent none."""
    prompt = report.input_tokens + report.cached_input_tokens + report.cache_write_tokens
    return msgspec.json.encode(
        {
            "prompt_tokens": prompt,
            "completion_tokens": report.output_tokens,
            "total_tokens": prompt + report.output_tokens,
            "prompt_tokens_details": {"cached_tokens": report.cached_input_tokens},
            "completion_tokens_details": {"reasoning_tokens": report.reasoning_tokens},
        }
    )


def show_usage(raw: bytes, report: UsageReport) -> bytes:
    """Return what a client is shown of a provider's `usage`: it as it came, if it adds up as OpenAI's does.

    raises  MalformedAnswer for what cannot be shown with our cost put in
    policy  one that counts its cache or its reasoning beside the rest is told anew, so that what was charged adds up
    """
    fields = decode_object(raw)
    prompt = report.input_tokens + report.cached_input_tokens + report.cache_write_tokens
    told = (bytes(fields["prompt_tokens"]), bytes(fields["completion_tokens"]))
    return raw if told == (b"%d" % prompt, b"%d" % report.output_tokens) else encode_usage(report)


def read_reported_cost(raw: bytes | None) -> Nanos | None:
    """Read what the provider says it took, apart from the quantities: one may be believed when the other cannot.

    shape   None when it says nothing, or nothing that can be
    """
    if raw is None:
        return None
    try:
        usage = decode(_COST, raw)
    except MalformedAnswer:
        return None
    return None if usage is None else read_cost(bytes(usage.cost))


def read_cost(text: bytes) -> Nanos | None:
    """Convert a cost in dollars from its JSON text, never through a float.

    shape   None when it is no number, negative, or above MAX_REPORTED_DOLLARS
    """
    if len(text) > 64 or not _NUMBER.fullmatch(text):
        return None
    dollars = Decimal(text.decode())
    if not 0 <= dollars <= MAX_REPORTED_DOLLARS:
        return None
    return nanos_from_dollars(dollars)


def _beside(surplus: int, from_cache: int, reasoning: int) -> tuple[bool, bool]:
    """Say which parts stand beside prompt and completion instead of within them, by what the total has more."""
    if surplus <= 0:
        return False, False
    if surplus == from_cache + reasoning:
        return True, True
    return surplus == from_cache, surplus == reasoning != from_cache


def _cached(usage: _Usage) -> tuple[int, int]:
    details = usage.prompt_tokens_details or _Details()
    cached = _first(details.cached_tokens, usage.cache_read_input_tokens, usage.prompt_cache_hit_tokens)
    written = _first(details.cache_write_tokens, details.cache_creation_tokens, usage.cache_creation_input_tokens)
    return _count("cached_tokens", cached), _count("cache_write_tokens", written)


def _first(*values: msgspec.Raw) -> msgspec.Raw:
    return next((value for value in values if not is_absent(value)), _MISSING)


def _count(name: str, value: msgspec.Raw) -> int:
    text = bytes(value)
    if is_absent(text):
        return 0
    if not _WHOLE_NUMBER.fullmatch(text):
        raise ImplausibleUsage(f"{name}: not a whole number that a request can use")
    count = int(text)
    if count < 0:
        raise ImplausibleUsage(f"{name}: negative")
    return count


def _check_bound(name: str, count: int, bound: int) -> None:
    if count > bound:
        raise ImplausibleUsage(f"{name}: {count} is above the bound of {bound}")
