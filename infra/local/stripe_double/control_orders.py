"""What the bodies of control requests say."""

from typing import Literal

import msgspec

from infra.local.stripe_double.cards import RefundFate
from infra.local.stripe_double.deliveries import DeliveryOrder
from infra.local.stripe_double.refusals import Json


class ClockOrder(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Where the clock is moved: to a moment, or ahead."""

    to: int | None = None
    ahead_s: int = 0


class ResetOrder(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """now: stand still there; seed: make the same ids again. Endpoints stay unless told otherwise."""

    now: int | None = None
    seed: int | None = None
    keeps_endpoints: bool = True


class SettingsOrder(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """What an owner sets in the dashboard; retry_after_s: of failed deliveries."""

    after_retries: Literal["unpaid", "cancel", "past_due"] | None = None
    retry_after_days: tuple[int, ...] | None = None
    draft_s: int | None = None
    dispute_fee: int | None = None
    tax_basis_points: int | None = None
    delivery_retry_after_s: tuple[float, ...] | None = None


class PaymentOrder(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Pay a session without its page; delayed: by a bank."""

    card: str = "visa"
    email: str = "payer@example.com"
    delayed: bool = False


class MoneyBackOrder(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """A refund made in the dashboard, or a dispute made by the card's owner."""

    charge: str | None = None
    payment_intent: str | None = None
    amount: int | None = None
    reason: str | None = None
    fate: RefundFate = "succeeded"
    is_inquiry: bool = False

    def params(self) -> Json:
        """Return what the API would be asked with."""
        given = {"charge": self.charge, "payment_intent": self.payment_intent, "amount": self.amount}
        return {name: value for name, value in {**given, "reason": self.reason}.items() if value is not None}


class SendOrder(DeliveryOrder, forbid_unknown_fields=True, frozen=True):
    """Which events are sent (again): by id, by type, or all; and how."""

    events: tuple[str, ...] = ()
    types: tuple[str, ...] = ()
