"""How a provider fails, and what the client is told: our own words, never the provider's."""

import re
from collections.abc import Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime

import msgspec

from shared.core.errors import GatewayError
from shared.providers.failure_kinds import FailureKind, ProviderFailure, kind_of
from shared.providers.raw_json import MalformedAnswer, decode

MAX_RETRY_AFTER_S = 3_600
DEFAULT_RETRY_AFTER_S = 5
TIMED_OUT = ProviderFailure(kind=FailureKind.TIMEOUT)
UNREACHABLE = ProviderFailure(kind=FailureKind.UNAVAILABLE)
WRONG_DIMENSIONS = ProviderFailure(kind=FailureKind.WRONG_DIMENSIONS)


class ProviderRateLimited(GatewayError):
    """Every provider of the model limits us at the moment."""

    status = 429
    code = "provider_rate_limited"
    advice = "Every provider of the model limits us; wait for `Retry-After`."
    type = "rate_limit_error"
    is_retryable = True


class ProviderOverloaded(GatewayError):
    """The provider has no capacity at the moment."""

    status = 503
    code = "provider_overloaded"
    type = "server_error"
    is_retryable = True


class ProviderUnavailable(GatewayError):
    """The provider failed or could not be understood."""

    status = 502
    code = "provider_unavailable"
    advice = "The provider failed or could not be reached."
    type = "server_error"
    is_retryable = True


class ProviderTimedOut(GatewayError):
    """The provider did not answer in time."""

    status = 504
    code = "provider_timeout"
    type = "server_error"
    is_retryable = True


class ProviderAccountProblem(GatewayError):
    """The provider refuses us, not the client: our key, our balance or our model name there."""

    status = 502
    code = "provider_account_problem"
    advice = "The provider does not serve this gateway; not about your key."
    type = "server_error"


class ProviderRejectedRequest(GatewayError):
    """The provider does not accept the request as it is."""

    code = "provider_rejected_request"
    advice = "The provider does not accept the request; check that the model supports every field."


class ContextLengthExceeded(GatewayError):
    """Prompt and answer together do not fit the model."""

    code = "context_length_exceeded"
    advice = "Prompt and answer do not fit the model; shorten one of them."


class ContentFiltered(GatewayError):
    """The provider's content filter refused the prompt."""

    code = "content_filtered"


_ACCOUNT_PROBLEM = (
    ProviderAccountProblem,
    "The provider does not serve this gateway at the moment. This is not about your key or your credits.",
)
_OVERLOAD = (ProviderOverloaded, "The model's providers are overloaded. Retry shortly.")
_ABSENCE = (ProviderUnavailable, "The provider failed to answer.")
_REFUSALS: dict[FailureKind, tuple[type[GatewayError], str]] = {
    FailureKind.RATE_LIMITED: (ProviderRateLimited, "The model's providers are at their rate limit. Retry later."),
    FailureKind.OVERLOADED: _OVERLOAD,
    FailureKind.MODEL_COLD: _OVERLOAD,
    FailureKind.TIMEOUT: (ProviderTimedOut, "The provider did not answer in time."),
    FailureKind.UNAVAILABLE: _ABSENCE,
    FailureKind.REFUSED: _ABSENCE,
    FailureKind.UNAUTHORISED: _ACCOUNT_PROBLEM,
    FailureKind.ACCOUNT_EMPTY: _ACCOUNT_PROBLEM,
    FailureKind.UNAFFORDABLE: _ACCOUNT_PROBLEM,
    FailureKind.MODEL_GONE: _ACCOUNT_PROBLEM,
    FailureKind.NOT_FOUND: _ACCOUNT_PROBLEM,
    FailureKind.FORBIDDEN: _ACCOUNT_PROBLEM,
    FailureKind.UNSUPPORTED: (
        ProviderRejectedRequest,
        "No provider of the model takes what the request asks of it. Check its tools, images, parameters and "
        "'provider.data_collection', or name another model in 'models'.",
    ),
    FailureKind.CONTEXT_LENGTH: (
        ContextLengthExceeded,
        "The prompt and the answer asked for do not fit the model's context. Shorten one of them.",
    ),
    FailureKind.CONTENT_FILTERED: (ContentFiltered, "The provider's content filter refused the prompt."),
    FailureKind.WRONG_DIMENSIONS: (
        ProviderRejectedRequest,
        "The model's providers do not make vectors of as many dimensions. Leave 'dimensions' out.",
    ),
    FailureKind.BAD_REQUEST: (
        ProviderRejectedRequest,
        "The provider does not accept this request. Check that the model supports every field of it.",
    ),
}

# The field that a refusal is about.
_PARAMS = {
    FailureKind.CONTEXT_LENGTH: "messages",
    FailureKind.CONTENT_FILTERED: "messages",
    FailureKind.WRONG_DIMENSIONS: "dimensions",
}


class _ErrorBody(msgspec.Struct):
    code: int | str | None = None
    type: str | None = None


_ERROR = msgspec.json.Decoder(_ErrorBody)
_KINDS_BY_WORD = (
    ("rate_limit", FailureKind.RATE_LIMITED),
    ("overloaded", FailureKind.OVERLOADED),
    ("timeout", FailureKind.TIMEOUT),
    ("content_filter", FailureKind.CONTENT_FILTERED),
    ("content_policy", FailureKind.CONTENT_FILTERED),
    ("context_length", FailureKind.CONTEXT_LENGTH),
    ("invalid_request", FailureKind.BAD_REQUEST),
    ("bad_request", FailureKind.BAD_REQUEST),
    ("badrequest", FailureKind.BAD_REQUEST),
    ("server_error", FailureKind.UNAVAILABLE),
    ("servererror", FailureKind.UNAVAILABLE),
    ("internal_error", FailureKind.UNAVAILABLE),
    ("api_error", FailureKind.UNAVAILABLE),
)


def classify_status(status: int, headers: Mapping[str, str], body: bytes, upstream_model: str) -> ProviderFailure:
    """Say what a provider's error answer means.

    shape   headers in any case; body is only searched for well-known words, never passed on; upstream_model: as the
            provider was asked for it
    policy  never raises; what is not known counts as unavailable, but where the status says that it is the request's
    """
    lowered = {name.lower(): value for name, value in headers.items()}
    kind = kind_of(status, body, upstream_model)
    return ProviderFailure(kind=kind, status=status, retry_after_s=_retry_after_s(lowered))


def classify_error(raw: bytes, upstream_model: str) -> ProviderFailure:
    """Say what an `error` object inside an answer with status 200 or a stream means.

    policy  never raises; an error that names neither a status nor a kind that is known says nothing of the provider
    source  https://openrouter.ai/docs/api-reference/errors (error.code is the status)
    """
    try:
        error = decode(_ERROR, raw)
    except MalformedAnswer:
        return ProviderFailure(kind=FailureKind.REFUSED)
    code = str(error.code) if error.code is not None else ""
    if re.fullmatch(r"[45][0-9]{2}", code):
        return classify_status(int(code), {}, raw, upstream_model)
    words = f"{code} {error.type or ''}".lower()
    kind = next((kind for word, kind in _KINDS_BY_WORD if word in words), FailureKind.REFUSED)
    return ProviderFailure(kind=kind)


def refusal_for(failure: ProviderFailure) -> GatewayError:
    """Return what the client is told."""
    refusal, message = _REFUSALS[failure.kind]
    headers = {}
    if refusal.status in {429, 503}:
        headers["Retry-After"] = str(failure.retry_after_s or DEFAULT_RETRY_AFTER_S)
    return refusal(message, param=_PARAMS.get(failure.kind), headers=headers)


def _retry_after_s(headers: Mapping[str, str]) -> int | None:
    """Read Retry-After in seconds or as a date, which is measured against the answer's own Date."""
    value = headers.get("retry-after", "").strip()
    if re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?", value):
        seconds = int(float(value) + 0.999)
    else:
        until, now = _date(value), _date(headers.get("date", ""))
        if until is None or now is None:
            return None
        seconds = int((until - now).total_seconds())
    return max(1, min(seconds, MAX_RETRY_AFTER_S))


def _date(value: str) -> datetime | None:
    try:
        date = parsedate_to_datetime(value)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return date if date.tzinfo is not None else None
