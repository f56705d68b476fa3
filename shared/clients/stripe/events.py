"""What an event is about. Nothing else of it is believed: what it says may be old, and is read again at Stripe."""

import re
from collections.abc import Iterator
from typing import Any, Literal

import msgspec

from shared.core.errors import GatewayError, InvalidRequest

_ID = re.compile(r"[A-Za-z0-9_]{1,255}")

Kind = Literal["payment", "subscription", "invoice"]


class HintUnreadable(GatewayError):
    """A hint that is kept is none that this version knows of; its event waits for one that does, or for a person."""

    status = 500
    code = "hint_unreadable"
    type = "server_error"


class Hint(msgspec.Struct, frozen=True):
    """Something at Stripe that may have changed."""

    kind: Kind
    id: str

    def __str__(self) -> str:
        return f"{self.kind}:{self.id}"


class Event(msgspec.Struct, frozen=True):
    """An event, and what it gives a hint of: nothing where it is about something else. created_at: unix seconds."""

    id: str
    type: str
    created_at: int
    hints: tuple[Hint, ...]


class _Data(msgspec.Struct, frozen=True):
    object: dict[str, Any]


class _Event(msgspec.Struct, frozen=True):
    id: str
    type: str
    created: int
    data: _Data


def read_event(body: bytes) -> Event:
    """Read a delivery whose signature is right.

    raises  InvalidRequest for what is no event
    """
    try:
        event = msgspec.json.decode(body, type=_Event)
    # RecursionError: brackets in brackets without an end.
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise InvalidRequest("The body is no event of Stripe's.") from None
    if not _is_id(event.id) or len(event.type) > 255:
        raise InvalidRequest("The body is no event of Stripe's.")
    hints = dict.fromkeys(Hint(kind, name) for kind, name in _named(event.data.object) if _is_id(name))
    return Event(event.id, event.type, event.created, tuple(hints))


def read_hint(text: str) -> Hint:
    """Read a hint as it was kept.

    raises  HintUnreadable
    """
    kind, _, name = text.partition(":")
    try:
        return msgspec.convert({"kind": kind, "id": name}, Hint)
    except msgspec.ValidationError:
        raise HintUnreadable("An event that is kept hints at something unknown.") from None


def _named(row: dict[str, Any]) -> Iterator[tuple[Kind, Any]]:
    """Name what an object belongs to, by the kind of the object: a type of event that is new tells no less."""
    match row.get("object"):
        case "payment_intent":
            yield "payment", row.get("id")
        case "charge" | "refund" | "dispute":
            yield "payment", row.get("payment_intent")
        case "checkout.session":
            yield "payment", row.get("payment_intent")
            yield "subscription", row.get("subscription")
        case "invoice_payment":
            yield "payment", _within(row, "payment", "payment_intent")
        case "invoice" if _within(row, "parent", "subscription_details", "subscription"):
            # It names what paid it only where one asks; of one to come there is no more than its subscription.
            yield "invoice", row.get("id")
        case "subscription":
            yield "subscription", row.get("id")
        case "subscription_schedule":
            yield "subscription", row.get("subscription") or row.get("released_subscription")


def _within(row: dict[str, Any], *names: str) -> Any:
    value: Any = row
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _is_id(name: Any) -> bool:
    return isinstance(name, str) and _ID.fullmatch(name) is not None
