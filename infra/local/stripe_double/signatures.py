"""Signs webhook payloads as Stripe does: `t=<time>,v1=<HMAC-SHA256 of time, dot and payload>`."""

import hashlib
import hmac
from enum import StrEnum

HEADER = "Stripe-Signature"
OLD_S = 3_600


class Signature(StrEnum):
    """What a delivery carries: right, an hour old, of another secret, of another payload, none at all."""

    GOOD = "good"
    OLD = "old"
    WRONG = "wrong"
    TAMPERED = "tampered"
    MISSING = "missing"


def sign(payload: bytes, secret: str, timestamp: int) -> str:
    """Return the header's value.

    source  https://docs.stripe.com/webhooks#verify-manually
    """
    digest = hmac.new(secret.encode(), b"%d.%s" % (timestamp, payload), hashlib.sha256).hexdigest()
    return f"t={timestamp},v1={digest}"


def signature_header(kind: Signature, payload: bytes, secret: str, now: int) -> dict[str, str]:
    """Return the header of a delivery of this kind; now: the time of the one who checks it."""
    match kind:
        case Signature.GOOD:
            return {HEADER: sign(payload, secret, now)}
        case Signature.OLD:
            return {HEADER: sign(payload, secret, now - OLD_S)}
        case Signature.WRONG:
            return {HEADER: sign(payload, f"{secret} of another endpoint", now)}
        case Signature.TAMPERED:
            return {HEADER: sign(payload + b" ", secret, now)}
        case Signature.MISSING:
            return {}
