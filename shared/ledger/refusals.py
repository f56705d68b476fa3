"""The ledger's refusals as a customer reads them: each names what to do next."""

from shared.core.errors import GatewayError
from shared.core.money import Nanos, format_dollars
from shared.ledger.types import Refused


class AccountSuspended(GatewayError):
    """The account may not spend."""

    status = 403
    code = "account_suspended"
    type = "permission_error"


class AddressNotAllowed(GatewayError):
    """The key is bound to other addresses."""

    status = 403
    code = "address_not_allowed"
    type = "permission_error"


class DomainNotAllowed(GatewayError):
    """The key is bound to other web origins."""

    status = 403
    code = "domain_not_allowed"
    type = "permission_error"


class MissingScope(GatewayError):
    """The key lacks the scope that the route asks for."""

    status = 403
    code = "missing_scope"
    type = "permission_error"


class ModelNotAllowed(GatewayError):
    """The key is bound to other models."""

    status = 403
    code = "model_not_allowed"
    type = "permission_error"


class ModelNotFound(GatewayError):
    """No such model."""

    status = 404
    code = "model_not_found"


class NoProviderAvailable(GatewayError):
    """The model exists, but no provider that may serve it has a price for it."""

    status = 404
    code = "no_provider_available"


class ImagesNotSupported(GatewayError):
    """The model takes no images."""

    code = "images_not_supported"


class InsufficientCredits(GatewayError):
    """The balance does not cover what the request may cost."""

    status = 402
    code = "insufficient_credits"
    type = "insufficient_quota"


class KeySpendLimitReached(GatewayError):
    """The key's own spend limit does not cover what the request may cost."""

    status = 402
    code = "key_spend_limit_reached"
    type = "insufficient_quota"


class KeyRequestsExhausted(GatewayError):
    """The key has made all the requests it was given."""

    status = 429
    code = "key_requests_exhausted"
    type = "insufficient_quota"


class QuotaExhausted(GatewayError):
    """The plan's requests or tokens for the day or month are used up."""

    status = 429
    type = "insufficient_quota"

    def __init__(self, code: str, message: str, *, retry_after_s: int) -> None:
        super().__init__(message, headers={"Retry-After": str(retry_after_s)})
        self.code = code


class GenerationIdTaken(GatewayError):
    """The generation id belongs to someone else's request."""

    status = 409
    code = "generation_id_taken"


# What a customer reads; the names in braces are the verdict's numbers.
_WORDS: dict[str, tuple[type[GatewayError], str, str | None]] = {
    "account_suspended": (
        AccountSuspended,
        "This account is suspended. Contact support to have it looked at.",
        None,
    ),
    "address_not_allowed": (
        AddressNotAllowed,
        "This API key may not be used from this address. Add it to the key's ip_allowlist.",
        None,
    ),
    "domain_not_allowed": (
        DomainNotAllowed,
        "This API key may not be used from this origin. Add it to the key's allowed_domains.",
        None,
    ),
    "missing_scope": (MissingScope, "This API key lacks the scope {scope}. Use a key that has it.", None),
    "model_not_allowed": (ModelNotAllowed, "This API key may not use the model {model}.", "model"),
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
    "key_requests_exhausted": (
        KeyRequestsExhausted,
        "This API key has used its {limit} requests. Use another key.",
        None,
    ),
    "generation_id_taken": (GenerationIdTaken, "This generation id is taken. Send the request again.", None),
}


def refusal_error(refused: Refused) -> GatewayError:
    """Turn a verdict into the error a customer reads.

    raises  KeyError for a code that no customer should ever see: a fault of ours
    """
    if refused.code in ("insufficient_credits", "key_spend_limit_reached"):
        return _money_refusal(refused)
    if refused.code.endswith("_exhausted") and refused.code not in _WORDS:
        return _quota_refusal(refused)
    error, words, param = _WORDS[refused.code]
    return error(words.format(**refused.numbers), param=param)


def _money_refusal(refused: Refused) -> GatewayError:
    required = _dollars(refused, "required_nanos")
    if refused.code == "key_spend_limit_reached":
        return KeySpendLimitReached(
            f"This request may cost up to {required} USD, but the API key has spent or set aside "
            f"{_dollars(refused, 'spent_nanos')} of its limit of {_dollars(refused, 'limit_nanos')} USD. "
            "Raise the key's limit, or lower max_tokens."
        )
    return InsufficientCredits(
        f"This request may cost up to {required} USD, but {_dollars(refused, 'available_nanos')} USD are available. "
        "Add credits, or lower max_tokens."
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
    return QuotaExhausted(
        refused.code,
        f"The plan's {refused.numbers['limit']} {unit} per {period} are used up. "
        f"They start anew with the next {period} (UTC); a larger plan has more.",
        retry_after_s=int(refused.numbers["retry_after_s"]),
    )


def _dollars(refused: Refused, name: str) -> str:
    return format_dollars(Nanos(int(refused.numbers[name])))
