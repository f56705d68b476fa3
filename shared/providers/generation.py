"""A provider's own record of an answer, asked for afterwards: what it counted and what it took for it."""

import msgspec

from shared.core.money import Nanos
from shared.providers.raw_json import decode, is_absent
from shared.providers.usage import UsageBounds, UsageReport, read_cost, read_usage

_MISSING = msgspec.Raw(b"")


class GenerationReport(msgspec.Struct, frozen=True, kw_only=True):
    """What the provider's record says; is_cancelled: it stopped when we left."""

    usage: UsageReport
    reported_cost_nanos: Nanos | None
    is_cancelled: bool


class _Data(msgspec.Struct):
    native_tokens_prompt: msgspec.Raw = _MISSING
    native_tokens_cached: msgspec.Raw = _MISSING
    native_tokens_completion: msgspec.Raw = _MISSING
    native_tokens_reasoning: msgspec.Raw = _MISSING
    total_cost: msgspec.Raw = _MISSING
    cancelled: msgspec.Raw = _MISSING


class _Answer(msgspec.Struct):
    data: _Data | None = None


_ANSWER = msgspec.json.Decoder(_Answer)


def read_generation(body: bytes, *, bounds: UsageBounds) -> GenerationReport | None:
    """Read OpenRouter's record of a generation.

    shape   None while it has no counts: the record appears before they do. The native counts are what is billed, the
            others come from a tokenizer of OpenRouter's own. As in `usage`, the prompt includes what came from a cache
            and the completion includes reasoning; what was written to a cache is within the prompt and not told apart.
    raises  MalformedAnswer; ImplausibleUsage naming the field as `usage` would
    source  https://openrouter.ai/docs/api-reference/get-a-generation; the sums of a published record with reasoning
            and a written cache: https://github.com/can1357/oh-my-pi/issues/6956
    """
    data = decode(_ANSWER, body).data
    if data is None:
        return None
    report = read_usage(_as_usage(data), bounds=bounds)
    if report is None:
        return None
    return GenerationReport(
        usage=report,
        reported_cost_nanos=read_cost(bytes(data.total_cost)),
        is_cancelled=bytes(data.cancelled) == b"true",
    )


def _as_usage(data: _Data) -> bytes:
    """Name the counts as `usage` does, so that they pass the same checks."""
    details = {
        "prompt_tokens_details": _present(cached_tokens=data.native_tokens_cached),
        "completion_tokens_details": _present(reasoning_tokens=data.native_tokens_reasoning),
    }
    counts = _present(prompt_tokens=data.native_tokens_prompt, completion_tokens=data.native_tokens_completion)
    return msgspec.json.encode({**counts, **details})


def _present(**values: msgspec.Raw) -> dict[str, msgspec.Raw]:
    return {name: value for name, value in values.items() if not is_absent(value)}
