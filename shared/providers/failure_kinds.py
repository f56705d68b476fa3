"""What a provider's error is about: the provider, our account there, or the one request that it answers."""

import re
from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

import msgspec

from shared.providers.house_errors import HouseError, house_error

# An error's text is looked into only this far.
_MAX_TEXT_BYTES = 16_384

_CONTEXT_LENGTH = re.compile(
    rb"context[_ ]length|context window|maximum context|max_model_len|prompt is too long|input is too long"
    rb"|too many (?:input )?tokens|reduce the length of the (?:messages|prompt|input)",
    re.IGNORECASE,
)
_CONTENT_FILTER = re.compile(
    rb"content[_ ]filter|content[_ ](?:management )?policy|responsibleaipolicy|moderation|flagged"
    rb"|data_inspection_failed|guardrail",
    re.IGNORECASE,
)
# OpenRouter has the model, but nobody there who takes this request of it: its tools, its images, its data policy.
_UNSUPPORTED = re.compile(
    rb"no endpoints? (?:found|available) (?:that|which|matching)|no allowed providers|routing requirements"
    rb"|data policy|requested parameters|output modalities|request is prohibited",
    re.IGNORECASE,
)
# Featherless answers 400 until somebody has loaded the model: elsewhere it may be loaded.
_MODEL_COLD = re.compile(rb"model is cold|not ready for inference", re.IGNORECASE)


class FailureKind(StrEnum):
    """What went wrong at a provider."""

    RATE_LIMITED = "rate_limited"
    OVERLOADED = "overloaded"
    UNAVAILABLE = "unavailable"
    TIMEOUT = "timeout"
    BAD_REQUEST = "bad_request"
    CONTEXT_LENGTH = "context_length"
    CONTENT_FILTERED = "content_filtered"
    WRONG_DIMENSIONS = "wrong_dimensions"
    UNAUTHORISED = "unauthorised"
    ACCOUNT_EMPTY = "account_empty"
    UNAFFORDABLE = "unaffordable"
    MODEL_GONE = "model_gone"
    NOT_FOUND = "not_found"
    UNSUPPORTED = "unsupported"
    MODEL_COLD = "model_cold"
    FORBIDDEN = "forbidden"
    REFUSED = "refused"


_CLIENTS_FAULT = frozenset({FailureKind.BAD_REQUEST, FailureKind.CONTEXT_LENGTH, FailureKind.CONTENT_FILTERED})
# Another request may well be answered there: who counted these would let one customer shut a provider for the others.
_ONLY_THIS_REQUEST = frozenset(
    {
        *_CLIENTS_FAULT,
        FailureKind.UNSUPPORTED,
        FailureKind.UNAFFORDABLE,
        FailureKind.NOT_FOUND,
        FailureKind.MODEL_COLD,
        FailureKind.FORBIDDEN,
        FailureKind.REFUSED,
        FailureKind.WRONG_DIMENSIONS,
    }
)


class ProviderFailure(msgspec.Struct, frozen=True, kw_only=True):
    """One failed attempt. status: None when no answer came; retry_after_s: as the provider asked, bounded."""

    kind: FailureKind
    status: int | None = None
    retry_after_s: int | None = None

    @property
    def is_retryable_elsewhere(self) -> bool:
        """Say whether another provider may succeed: always, unless the request itself is at fault."""
        return self.kind not in _CLIENTS_FAULT

    @property
    def is_provider_at_fault(self) -> bool:
        """Say whether it tells something about the provider, and not only about this request there."""
        return self.kind not in _ONLY_THIS_REQUEST


_KINDS_BY_STATUS: Mapping[int, FailureKind] = MappingProxyType(
    {
        401: FailureKind.UNAUTHORISED,
        402: FailureKind.UNAFFORDABLE,
        # A web application firewall's, too, for a prompt with SQL in it: github.com/OpenHands/OpenHands/issues/4480.
        403: FailureKind.FORBIDDEN,
        404: FailureKind.NOT_FOUND,
        408: FailureKind.TIMEOUT,
        # Portkey's: a budget of ours is used up, or a guardrail of ours refused the prompt.
        412: FailureKind.FORBIDDEN,
        429: FailureKind.RATE_LIMITED,
        446: FailureKind.CONTENT_FILTERED,
        503: FailureKind.OVERLOADED,
        504: FailureKind.TIMEOUT,
        # Cloudflare cannot reach it, and waits no longer for it; then Anthropic's overload.
        522: FailureKind.TIMEOUT,
        524: FailureKind.TIMEOUT,
        529: FailureKind.OVERLOADED,
    }
)
_KINDS_BY_HOUSE_ERROR: Mapping[HouseError, FailureKind] = MappingProxyType(
    {
        HouseError.KEY: FailureKind.UNAUTHORISED,
        HouseError.ACCOUNT: FailureKind.ACCOUNT_EMPTY,
        HouseError.MODEL: FailureKind.MODEL_GONE,
    }
)


def kind_of(status: int, body: bytes, upstream_model: str) -> FailureKind:
    """Say what an error answer means by its status, and where that is not enough by the words of its body.

    Words that a client may have written, and the provider repeats, make a failure the request's, never the provider's.
    source  OpenRouter: https://openrouter.ai/docs/api/errors; Featherless:
            https://featherless.ai/docs/api-reference-error-codes; Portkey:
            https://portkey.ai/docs/api-reference/inference-api/error-codes
    """
    text = body[:_MAX_TEXT_BYTES]
    is_refusal = 400 <= status < 500
    if is_refusal and (error := house_error(text, upstream_model)) is not None:
        return _KINDS_BY_HOUSE_ERROR[error]
    match status:
        case 400 | 413 | 422:
            return _kind_of_rejection(text)
        case 403 if _CONTENT_FILTER.search(text):
            # OpenRouter's 403 is a prompt that moderation flagged.
            return FailureKind.CONTENT_FILTERED
        case 403 | 404 | 503 if _UNSUPPORTED.search(text):
            return FailureKind.UNSUPPORTED
        case _:
            return _KINDS_BY_STATUS.get(status, FailureKind.REFUSED if is_refusal else FailureKind.UNAVAILABLE)


def _kind_of_rejection(text: bytes) -> FailureKind:
    if _MODEL_COLD.search(text):
        return FailureKind.MODEL_COLD
    if _CONTEXT_LENGTH.search(text):
        return FailureKind.CONTEXT_LENGTH
    return FailureKind.CONTENT_FILTERED if _CONTENT_FILTER.search(text) else FailureKind.BAD_REQUEST
