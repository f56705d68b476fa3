"""The answers to a caller who is over a limit."""

from typing import assert_never

import msgspec

from shared.core.errors import GatewayError
from shared.core.money import ceil_div
from shared.limits.headers import rate_limit_headers
from shared.limits.types import Measure, RateState, Subject


class RateLimited(GatewayError):
    """A limit is reached; the same request fits after the time that Retry-After names."""

    status = 429
    code = "rate_limit_requests"
    advice = "Requests per minute of the key or account; wait for `Retry-After`."
    type = "rate_limit_error"
    is_retryable = True


class RequestsLimited(RateLimited):
    """Too many requests within a minute."""


class TokensLimited(RateLimited):
    """Too many tokens within a minute, those reserved by requests under way included."""

    code = "rate_limit_tokens"
    advice = "Tokens per minute; wait for `Retry-After`."


class RequestExceedsTokenLimit(TokensLimited):
    """The request alone reserves more tokens than a minute allows, so it never fits."""

    code = "request_exceeds_token_limit"
    advice = "The request alone needs more tokens than a minute allows; lower `max_tokens`."
    is_retryable = False


class ConcurrencyLimited(RateLimited):
    """Too many requests under way at once."""

    code = "concurrency_limit"
    advice = "Too many requests at once; wait until one ends."


class AddressLimited(RateLimited):
    """Too many keys that nobody has seen from one network address; the defence against guessing."""

    code = "rate_limit_address"
    advice = "Too many new keys from one address."


class Excess(msgspec.Struct, frozen=True):
    """Which limit is reached, by whom, and in how many milliseconds the request fits; None is never."""

    subject: Subject
    measure: Measure
    limit: int
    retry_ms: int | None


def refuse(excess: Excess, state: RateState) -> RateLimited:
    """Build the refusal of this excess, with Retry-After and the caller's rate-limit headers."""
    retry_s = None if excess.retry_ms is None else max(1, ceil_div(excess.retry_ms, 1000))
    headers = rate_limit_headers(state)
    if retry_s is None:
        message = (
            f"This request alone needs more tokens than {_owner(excess.subject)} may use: {excess.limit} per minute. "
            f"Shorten the prompt, lower max_tokens, or {_remedy(excess.subject)}."
        )
        return RequestExceedsTokenLimit(message, headers=headers)
    headers["Retry-After"] = str(retry_s)
    if excess.subject == "address":
        message = f"Too many requests with new keys from this network address. Retry in {retry_s} s."
        return AddressLimited(message, headers=headers)
    reached = f"The limit of {_owner(excess.subject)} is reached: {excess.limit} "
    advice = f"Retry in {retry_s} s, or {_remedy(excess.subject)}."
    match excess.measure:
        case Measure.REQUESTS:
            return RequestsLimited(f"{reached}requests per minute. {advice}", headers=headers)
        case Measure.TOKENS:
            return TokensLimited(f"{reached}tokens per minute. {advice}", headers=headers)
        case Measure.CONCURRENCY:
            return ConcurrencyLimited(
                f"{reached}requests at once. Wait until one ends, or {_remedy(excess.subject)}.", headers=headers
            )
        case _:
            assert_never(excess.measure)


def _owner(subject: Subject) -> str:
    return "this API key" if subject == "key" else "this account"


def _remedy(subject: Subject) -> str:
    return "raise the key's limit" if subject == "key" else "choose a plan with a higher limit"
