"""The refusals of a key as whoever uses it reads them: each names what to do next."""

from shared.core.caller import Caller
from shared.core.errors import GatewayError
from shared.core.verdicts import Refused
from shared.keys.format import InvalidApiKey


class SignInRequired(GatewayError):
    """The access token is Privy's, and whoever it is has no account here."""

    status = 401
    code = "sign_in_required"
    advice = "The access token is Privy's, and its owner has no account here; sign in by `POST /auth/privy`."
    type = "authentication_error"

    def __init__(self) -> None:
        super().__init__("You have no account here yet, or it was deleted. Sign in by POST /auth/privy.")


class AccountSuspended(GatewayError):
    """The account may only look, and pay."""

    status = 403
    code = "account_suspended"
    advice = "Contact support."
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
    advice = "The key is bound to other origins."
    type = "permission_error"


class MissingScope(GatewayError):
    """The key lacks the scope that the route asks for."""

    status = 403
    code = "missing_scope"
    advice = "The key lacks the scope; use another."
    type = "permission_error"


class ModelNotAllowed(GatewayError):
    """The key is bound to other models."""

    status = 403
    code = "model_not_allowed"
    type = "permission_error"


class KeyRequestsExhausted(GatewayError):
    """The key has made all the requests it was given."""

    status = 429
    code = "key_requests_exhausted"
    advice = "The key has made all its requests."
    type = "insufficient_quota"


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
    "key_requests_exhausted": (
        KeyRequestsExhausted,
        "This API key has used its {limit} requests. Use another key.",
        None,
    ),
}


def refusal_of(refused: Refused) -> GatewayError | None:
    """Turn a verdict about a key into the error a customer reads; None for any other."""
    if refused.code not in _WORDS:
        return None
    error, words, param = _WORDS[refused.code]
    return error(words.format(**refused.numbers), param=param)


def unknown_caller(caller: Caller) -> GatewayError:
    """Return what is said to a caller whom the database does not know."""
    return SignInRequired() if caller.is_session else InvalidApiKey()
