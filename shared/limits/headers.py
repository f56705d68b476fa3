"""The rate-limit headers that OpenAI's clients read."""

from shared.core.money import ceil_div
from shared.limits.types import Allowance, RateState


def rate_limit_headers(state: RateState) -> dict[str, str]:
    """Return `x-ratelimit-{limit,remaining,reset}-{requests,tokens}`; a measure without limit has no headers."""
    return _headers("requests", state.requests) | _headers("tokens", state.tokens)


def _headers(measure: str, allowance: Allowance | None) -> dict[str, str]:
    if allowance is None:
        return {}
    return {
        f"x-ratelimit-limit-{measure}": str(allowance.limit),
        f"x-ratelimit-remaining-{measure}": str(allowance.remaining),
        f"x-ratelimit-reset-{measure}": _format_reset(allowance.reset_ms),
    }


def _format_reset(duration_ms: int) -> str:
    if 0 < duration_ms < 1000:
        return f"{duration_ms}ms"
    minutes, seconds = divmod(ceil_div(duration_ms, 1000), 60)
    return f"{minutes}m{seconds}s" if minutes else f"{seconds}s"
