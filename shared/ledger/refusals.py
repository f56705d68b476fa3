"""The ledger's refusals as a customer reads them: each names what to do next."""

import uuid
from types import MappingProxyType

from shared.core.errors import GatewayError
from shared.core.ids import GenerationId, format_generation_id
from shared.core.money import Nanos, format_dollars
from shared.core.verdicts import Refused
from shared.ledger.types import Output

# Most answers take seconds; a client that asks each second would use up its requests per minute.
IN_PROGRESS_RETRY_S = "2"


class ModelNotFound(GatewayError):
    """No such model."""

    status = 404
    code = "model_not_found"
    advice = "No such model; see `GET /v1/models`."


class NoProviderAvailable(GatewayError):
    """The model exists, but no provider that may serve it has a price for it."""

    status = 404
    code = "no_provider_available"
    advice = "No provider that the request allows has a price for the model; relax `provider`."


class ImagesNotSupported(GatewayError):
    """The model takes no images."""

    code = "images_not_supported"
    advice = "The model takes no images; choose one that does."


class ModelNotForThis(GatewayError):
    """The model exists, but does not make what this path is for."""

    code = "model_not_for_this"
    advice = "The model does not make what this path is for; the message names the path of what it makes."


class ImageVariantNotOffered(GatewayError):
    """Nobody offers the model's images in this size and quality."""

    code = "image_variant_not_offered"
    advice = "Nobody offers the model's images in this size and quality; the message lists those offered."


class InsufficientCredits(GatewayError):
    """The balance does not cover what the request may cost."""

    status = 402
    code = "insufficient_credits"
    advice = "The balance does not cover what the request may cost; the message has both numbers."
    type = "insufficient_quota"


class KeySpendLimitReached(GatewayError):
    """The key's own spend limit does not cover what the request may cost."""

    status = 402
    code = "key_spend_limit_reached"
    advice = "The key's own limit does not cover it; raise the limit."
    type = "insufficient_quota"


class QuotaExhausted(GatewayError):
    """The plan's requests or tokens for the day or month are used up."""

    status = 429
    type = "insufficient_quota"

    def __init__(self, message: str, *, retry_after_s: int) -> None:
        super().__init__(message, headers={"Retry-After": str(retry_after_s)})


class DayRequestsExhausted(QuotaExhausted):
    """The plan's requests of the day (UTC) are used up."""

    code = "day_requests_exhausted"


class DayTokensExhausted(QuotaExhausted):
    """The plan's tokens of the day are used up."""

    code = "day_tokens_exhausted"


class MonthRequestsExhausted(QuotaExhausted):
    """The plan's requests of the month are used up."""

    code = "month_requests_exhausted"


class MonthTokensExhausted(QuotaExhausted):
    """The plan's tokens of the month are used up."""

    code = "month_tokens_exhausted"


_QUOTAS = MappingProxyType(
    {
        quota.code: quota
        for quota in (DayRequestsExhausted, DayTokensExhausted, MonthRequestsExhausted, MonthTokensExhausted)
    }
)


class GenerationIdTaken(GatewayError):
    """The generation id belongs to someone else's request."""

    status = 409
    code = "generation_id_taken"
    advice = "Send the request again."


class GenerationNotFound(GatewayError):
    """No such request, or one of another account: which of them is not told."""

    status = 404
    code = "generation_not_found"
    advice = "The account has no such generation; `X-Generation-Id` of an answer names one."


class IdempotencyInProgress(GatewayError):
    """The same request is still being answered."""

    status = 409
    code = "idempotency_in_progress"
    advice = "The same request is still being answered; wait for `Retry-After`."
    is_retryable = True


class IdempotencyKeyReused(GatewayError):
    """The Idempotency-Key came before with another request."""

    status = 409
    code = "idempotency_key_reused"
    advice = "The key came before with another request; use a new one for each."


class AnswerNotStored(GatewayError):
    """The request came before and was paid for, and its answer was not kept."""

    status = 409
    code = "answer_not_stored"
    advice = (
        "The request was answered and charged before, and its answer was not kept; the message names the generation."
    )


# How to ask for what costs less.
_LESS: dict[Output, str] = {
    "text": "lower max_tokens",
    "embeddings": "send fewer or shorter inputs",
    "image": "ask for fewer or cheaper images",
}
# What a customer reads; the names in braces are the verdict's numbers.
_WORDS: dict[str, tuple[type[GatewayError], str, str | None]] = {
    "model_not_found": (
        ModelNotFound,
        "The model {model} does not exist. GET /v1/models lists those that do.",
        "model",
    ),
    "no_provider_available": (
        NoProviderAvailable,
        "No provider that your request allows offers the model {model} at a known price. "
        "Relax `provider`, or choose another model.",
        "model",
    ),
    "images_not_supported": (ImagesNotSupported, "The model {model} takes no images.", "messages"),
    "model_not_for_this": (
        ModelNotForThis,
        "The model {model} makes {outputs}, and here {output} is asked for. Text is made at /v1/chat/completions, "
        "embeddings at /v1/embeddings, and an image at /v1/images/generations.",
        "model",
    ),
    "image_variant_not_offered": (
        ImageVariantNotOffered,
        "No image of the model {model} is offered in this size and quality. Offered are: {offered}.",
        "size",
    ),
    "idempotency_key_reused": (
        IdempotencyKeyReused,
        "This Idempotency-Key was used within the last 24 hours with another request. Use a new key.",
        "Idempotency-Key",
    ),
    "generation_not_found": (
        GenerationNotFound,
        "This account has no such generation. Ids are in the header X-Generation-Id of its answers.",
        "id",
    ),
    "generation_id_taken": (GenerationIdTaken, "This generation id is taken. Send the request again.", None),
}


def refusal_of(refused: Refused) -> GatewayError | None:
    """Turn a verdict of the books into the error a customer reads; None for any other."""
    if (money := money_refusal_of(refused, "text")) is not None:
        return money
    if refused.code in _QUOTAS:
        return _quota_refusal(refused)
    if refused.code == IdempotencyInProgress.code:
        return IdempotencyInProgress(
            f"This request is still being answered, as {_generation(refused)}. Wait, then send it again with its key.",
            headers={"Retry-After": IN_PROGRESS_RETRY_S},
        )
    if refused.code == AnswerNotStored.code:
        return answer_not_stored(_generation(refused))
    if refused.code not in _WORDS:
        return None
    error, words, param = _WORDS[refused.code]
    return error(words.format(**refused.numbers), param=param)


def answer_not_stored(generation_id: str) -> AnswerNotStored:
    """Return what is said to a retry of a request whose answer cannot be given again."""
    return AnswerNotStored(
        f"This request was answered and charged before, as {generation_id}, but its answer was not kept: it was too "
        "large, was erased, or the account keeps none. To have it answered and charged anew, send it as a new request."
    )


def money_refusal_of(refused: Refused, output: Output) -> GatewayError | None:
    """Turn the refusal of what a request may cost into its error, which says how to ask for less of that output."""
    if refused.code not in (InsufficientCredits.code, KeySpendLimitReached.code):
        return None
    required = _dollars(refused, "required_nanos")
    if refused.code == KeySpendLimitReached.code:
        return KeySpendLimitReached(
            f"This request may cost up to {required} USD, but the API key has spent or set aside "
            f"{_dollars(refused, 'spent_nanos')} of its limit of {_dollars(refused, 'limit_nanos')} USD. "
            f"Raise the key's limit, or {_LESS[output]}."
        )
    return InsufficientCredits(
        f"This request may cost up to {required} USD, but {_dollars(refused, 'available_nanos')} USD are available. "
        f"Add credits, or {_LESS[output]}."
    )


def extension_error(refused: Refused) -> GatewayError:
    """Turn the refusal to let a hold grow into the error that ends its answer.

    shape   the verdict's required_nanos is what was still to be set aside
    """
    refusal = KeySpendLimitReached if refused.code == "key_spend_limit_reached" else InsufficientCredits
    whose = "The API key's limit" if refusal is KeySpendLimitReached else "The balance"
    return refusal(
        f"{whose} does not cover more of this answer: another {_dollars(refused, 'required_nanos')} USD were needed. "
        "What arrived is charged. Add credits or raise the limit, and send the request again for the rest."
    )


def _quota_refusal(refused: Refused) -> GatewayError:
    period, unit, _ = refused.code.split("_")
    return _QUOTAS[refused.code](
        f"The plan's {refused.numbers['limit']} {unit} per {period} are used up. "
        f"They start anew with the next {period} (UTC); a larger plan has more.",
        retry_after_s=int(refused.numbers["retry_after_s"]),
    )


def _generation(refused: Refused) -> str:
    return format_generation_id(GenerationId(uuid.UUID(str(refused.numbers["generation_id"]))))


def _dollars(refused: Refused, name: str) -> str:
    return format_dollars(Nanos(int(refused.numbers[name])))
