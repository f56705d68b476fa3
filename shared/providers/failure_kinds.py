"""What a provider's error is about: the provider, our account there, or the one request that it answers."""

import re
from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

import msgspec

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
# It does not have the model at all: so it is for everybody.
_MODEL_GONE = re.compile(
    rb"model_not_found|no endpoints found for [^\s\"]+\"|model[^.]{0,160}(?:does not exist|not found|is not available)",
    re.IGNORECASE,
)
# Featherless answers 400 until somebody has loaded the model.
_MODEL_COLD = re.compile(rb"model is cold|not ready for inference", re.IGNORECASE)
# The house's account is empty, whatever is asked; and it is not, but does not pay for so long a request.
_ACCOUNT_EMPTY = re.compile(
    rb"insufficient[_ ](?:credits?|balance|funds)|never purchased|negative (?:credit )?balance"
    rb"|balance is \$?(?:-|0(?:\.0*)?(?![.\d]))",
    re.IGNORECASE,
)
_UNAFFORDABLE = re.compile(rb"max_tokens|can only afford|prompt tokens limit|remaining balance", re.IGNORECASE)


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


_CLIENTS_FAULT = frozenset({FailureKind.BAD_REQUEST, FailureKind.CONTEXT_LENGTH, FailureKind.CONTENT_FILTERED})
# Another request may well be answered there: who counted these would let one customer shut a provider for the others.
_ONLY_THIS_REQUEST = frozenset(
    {
        *_CLIENTS_FAULT,
        FailureKind.UNSUPPORTED,
        FailureKind.UNAFFORDABLE,
        FailureKind.NOT_FOUND,
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
        403: FailureKind.UNAUTHORISED,
        408: FailureKind.TIMEOUT,
        # Portkey's: a budget of ours is used up, a guardrail of ours refused the prompt.
        412: FailureKind.ACCOUNT_EMPTY,
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


def kind_of(status: int, body: bytes) -> FailureKind:
    """Say what an error answer means by its status, and where that is not enough by the words of its body.

    source  OpenRouter: https://openrouter.ai/docs/api/errors; Featherless:
            https://featherless.ai/docs/api-reference-error-codes; Portkey:
            https://portkey.ai/docs/api-reference/inference-api/error-codes
    """
    text = body[:_MAX_TEXT_BYTES]
    match status:
        case 400 | 413 | 422:
            return _kind_of_rejection(text)
        case 402:
            return _kind_of_bill(text)
        case 403 if _CONTENT_FILTER.search(text):
            # OpenRouter's 403 is a prompt that moderation flagged; any other provider's is about our key.
            return FailureKind.CONTENT_FILTERED
        case 404:
            return _kind_of_absence(text)
        case 403 | 503 if _UNSUPPORTED.search(text):
            return FailureKind.UNSUPPORTED
        case _:
            return _KINDS_BY_STATUS.get(status, FailureKind.UNAVAILABLE)


def _kind_of_bill(text: bytes) -> FailureKind:
    is_empty = _ACCOUNT_EMPTY.search(text) and not _UNAFFORDABLE.search(text)
    return FailureKind.ACCOUNT_EMPTY if is_empty else FailureKind.UNAFFORDABLE


def _kind_of_absence(text: bytes) -> FailureKind:
    if _UNSUPPORTED.search(text):
        return FailureKind.UNSUPPORTED
    return FailureKind.MODEL_GONE if _MODEL_GONE.search(text) else FailureKind.NOT_FOUND


def _kind_of_rejection(text: bytes) -> FailureKind:
    if _MODEL_COLD.search(text):
        return FailureKind.OVERLOADED
    if _CONTEXT_LENGTH.search(text):
        return FailureKind.CONTEXT_LENGTH
    return FailureKind.CONTENT_FILTERED if _CONTENT_FILTER.search(text) else FailureKind.BAD_REQUEST
