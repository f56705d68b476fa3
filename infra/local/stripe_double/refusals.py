"""What Stripe refuses and in which words: each refusal knows its status and its error envelope."""

from typing import Any

DOCUMENTATION = "https://docs.stripe.com/error-codes/"

Json = dict[str, Any]


class StripeRefusal(Exception):
    """A request that is answered with an error."""

    status = 400
    type = "invalid_request_error"
    code: str | None = None
    # Whether the endpoint had begun, so that the answer is kept under its idempotency key.
    is_kept = True

    def __init__(self, message: str, *, param: str | None = None, code: str | None = None, **details: object) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.code = code or self.code
        self.details = details

    def as_json(self) -> Json:
        """Return Stripe's envelope."""
        error: Json = {"message": self.message, "type": self.type, **self.details}
        if self.param is not None:
            error["param"] = self.param
        if self.code is not None:
            error |= {"code": self.code, "doc_url": DOCUMENTATION + self.code.replace("_", "-")}
        return {"error": error}


class Unauthorized(StripeRefusal):
    """No secret test key came along."""

    status = 401
    is_kept = False


class UnknownUrl(StripeRefusal):
    """Stripe has no such URL, or the double does not."""

    status = 404
    is_kept = False

    def __init__(self, method: str, path: str) -> None:
        super().__init__(
            f"Unrecognized request URL ({method}: {path}). Please see https://stripe.com/docs or we can help at "
            "https://support.stripe.com/."
        )


class MalformedRequest(StripeRefusal):
    """The parameters are not what the endpoint takes; it did not begin."""

    is_kept = False


class UnknownParameter(MalformedRequest):
    """The endpoint has no such parameter."""

    code = "parameter_unknown"

    def __init__(self, name: str) -> None:
        super().__init__(f"Received unknown parameter: {name}", param=name)


class MissingParameter(MalformedRequest):
    """The endpoint cannot do without the parameter."""

    code = "parameter_missing"

    def __init__(self, name: str) -> None:
        super().__init__(f"Missing required param: {name}.", param=name)


class NotModelled(MalformedRequest):
    """Stripe takes the parameter; the double would have to pretend."""

    def __init__(self, name: str) -> None:
        super().__init__(f"The Stripe double does not model {name}.", param=name, code="double_not_modelled")


class InvalidRequest(StripeRefusal):
    """The request is well formed and cannot be met."""


class ResourceMissing(StripeRefusal):
    """No object has this id: 404 when the URL names it, 400 when a parameter does."""

    code = "resource_missing"

    def __init__(self, noun: str, object_id: str, *, param: str | None = None) -> None:
        super().__init__(f"No such {noun}: '{object_id}'", param=param or "id")
        self.status = 404 if param is None else 400


class CardRefused(StripeRefusal):
    """The card's bank said no, or wants to see its owner."""

    status = 402
    type = "card_error"


class IdempotencyMismatch(StripeRefusal):
    """The idempotency key was used with another request."""

    type = "idempotency_error"
    is_kept = False

    def __init__(self, key: str, what: str) -> None:
        super().__init__(
            f"Keys for idempotent requests can only be used {what}. Try using a key other than '{key}' if you meant"
            " to execute a different request."
        )


class IdempotencyInUse(StripeRefusal):
    """The first request with this key is still being answered."""

    status = 409
    code = "idempotency_key_in_use"
    is_kept = False

    def __init__(self, key: str) -> None:
        super().__init__(
            "There is currently another in-progress request using this Idempotent Key (that probably means you"
            f" submitted twice, and the other request is still going through): {key}"
        )


class RateLimited(StripeRefusal):
    """A scripted 429."""

    status = 429
    code = "rate_limit"
    is_kept = False


class ServerFault(StripeRefusal):
    """A scripted 5xx."""

    type = "api_error"

    def __init__(self, status: int) -> None:
        super().__init__("An unknown error occurred")
        self.status = status
