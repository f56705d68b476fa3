"""Whether a webhook comes from Stripe, and lately."""

from shared.clients.stripe.wire import stripe_package
from shared.core.errors import GatewayError

# How old a delivery may be: Stripe signs each attempt anew.
# source: https://docs.stripe.com/webhooks#replay-prevention
TOLERANCE_S = 300
MAX_HEADER_LENGTH = 2048


class InvalidSignature(GatewayError):
    """The delivery was not signed with a secret of ours, or too long ago."""

    code = "invalid_signature"
    advice = "The event is not signed by who should have sent it, or is older than five minutes."

    def __init__(self) -> None:
        super().__init__("The signature is not valid, or older than five minutes: this is for Stripe alone.")


def check_signature(body: bytes, header: str | None, secrets: tuple[str, ...]) -> None:
    """Check that the body, byte by byte, was signed with one of the secrets within the last five minutes.

    raises  InvalidSignature
    """
    if not header or len(header) > MAX_HEADER_LENGTH or not header.isascii():
        raise InvalidSignature
    if not any(_is_signed(body, header, secret) for secret in secrets):
        raise InvalidSignature


def _is_signed(body: bytes, header: str, secret: str) -> bool:
    stripe = stripe_package()
    try:
        return bool(stripe.WebhookSignature.verify_header(body, header, secret, TOLERANCE_S))
    # ValueError: a body that is no UTF-8.
    except (stripe.SignatureVerificationError, ValueError):
        return False
