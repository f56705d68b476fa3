"""Test cards: what happens when each is charged, refunded, disputed."""

import hashlib
from dataclasses import dataclass
from typing import Literal

RefundFate = Literal["succeeded", "pending", "failed"]
MIN_DIGITS = 12
MAX_DIGITS = 19
BRANDS = {"4": "visa", "5": "mastercard", "2": "mastercard", "3": "amex", "6": "discover"}


@dataclass(frozen=True, slots=True)
class Card:
    """name: as the page and `pm_card_<name>` have it; code and decline_code: how a charge is declined, if it is."""

    name: str
    number: str
    code: str | None = None
    decline_code: str | None = None
    message: str = "Your card was declined."
    needs_authentication: bool = False
    dispute_reason: str | None = None
    refund_fate: RefundFate = "succeeded"

    @property
    def last4(self) -> str:
        """The digits that are shown."""
        return self.number[-4:]

    @property
    def brand(self) -> str:
        """Whose card it is."""
        return BRANDS.get(self.number[0], "unknown")

    @property
    def fingerprint(self) -> str:
        """The same for the same number, whoever pays with it."""
        return hashlib.sha256(f"fingerprint of {self.number}".encode()).hexdigest()[:16]


# source  https://docs.stripe.com/testing
CARDS = {
    card.name: card
    for card in (
        Card("visa", "4242424242424242"),
        Card("mastercard", "5555555555554444"),
        Card("amex", "378282246310005"),
        Card("chargeDeclined", "4000000000000002", "card_declined", "generic_decline"),
        Card(
            "chargeDeclinedInsufficientFunds",
            "4000000000009995",
            "card_declined",
            "insufficient_funds",
            "Your card has insufficient funds.",
        ),
        Card("chargeDeclinedExpiredCard", "4000000000000069", "expired_card", "expired_card", "Your card has expired."),
        Card(
            "chargeDeclinedIncorrectCvc",
            "4000000000000127",
            "incorrect_cvc",
            "incorrect_cvc",
            "Your card's security code is incorrect.",
        ),
        Card(
            "chargeDeclinedProcessingError",
            "4000000000000119",
            "processing_error",
            "processing_error",
            "An error occurred while processing your card. Try again in a little bit.",
        ),
        Card("chargeCustomerFail", "4000000000000341", "card_declined", "generic_decline"),
        Card("authenticationRequired", "4000002760003184", needs_authentication=True),
        Card("createDispute", "4000000000000259", dispute_reason="fraudulent"),
        Card("createDisputeProductNotReceived", "4000000000002685", dispute_reason="product_not_received"),
        Card("pendingRefund", "4000000000007726", refund_fate="pending"),
        Card("refundFail", "4000000000005126", refund_fate="failed"),
    )
}
_BY_NUMBER = {card.number: card for card in CARDS.values()}
TOKEN_PREFIX = "pm_card_"


def find_card(text: str) -> Card | None:
    """Return the card of a name, a `pm_card_` token or a number; any number that adds up is a good card."""
    name = text.strip().removeprefix(TOKEN_PREFIX)
    if name in CARDS:
        return CARDS[name]
    digits = name.replace(" ", "")
    if digits in _BY_NUMBER:
        return _BY_NUMBER[digits]
    return Card("visa", digits) if _adds_up(digits) else None


def card_details(card: Card) -> dict[str, object]:
    """Return what a payment method and a charge both tell of a card."""
    return {
        "brand": card.brand,
        "checks": {"address_line1_check": None, "address_postal_code_check": None, "cvc_check": "pass"},
        "country": "US",
        "exp_month": 12,
        "exp_year": 2040,
        "fingerprint": card.fingerprint,
        "funding": "credit",
        "last4": card.last4,
    }


def _adds_up(digits: str) -> bool:
    """Tell whether the check digit is right (ISO/IEC 7812, Luhn)."""
    if not (digits.isascii() and digits.isdecimal() and MIN_DIGITS <= len(digits) <= MAX_DIGITS):
        return False
    total = 0
    for index, digit in enumerate(reversed(digits)):
        doubled = int(digit) * (1 + index % 2)
        total += doubled - 9 if doubled > 9 else doubled
    return total % 10 == 0
