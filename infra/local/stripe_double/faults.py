"""Scripted faults: the next calls that match are refused, not answered, or done without an answer."""

from dataclasses import dataclass
from enum import StrEnum

import msgspec

MAX_FAULTS = 100
MAX_WAIT_S = 300.0


class FaultKind(StrEnum):
    """error: answer with the status and do nothing; timeout: do nothing and stay silent; lost: do it, then hang up;
    late_error: do it, then answer with the status; slow: wait, then answer as ever.
    """

    ERROR = "error"
    TIMEOUT = "timeout"
    LOST = "lost"
    LATE_ERROR = "late_error"
    SLOW = "slow"


class FaultOrder(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """What a test asks for; method and path prefix: empty matches every call."""

    kind: FaultKind = FaultKind.ERROR
    status: int = 500
    times: int = 1
    method: str = ""
    path: str = "/v1/"
    wait_s: float = 30.0


@dataclass(slots=True)
class _Pending:
    order: FaultOrder
    left: int


class Faults:
    """The faults that are still to come, in the order they were asked for."""

    def __init__(self) -> None:
        self._pending: list[_Pending] = []

    def add(self, order: FaultOrder) -> None:
        """Ask for a fault.

        raises  ValueError
        """
        if not (100 <= order.status <= 599 and order.times > 0 and 0 <= order.wait_s <= MAX_WAIT_S):
            raise ValueError("a fault needs a status, a number of times and a wait within bounds")
        if len(self._pending) >= MAX_FAULTS:
            raise ValueError("too many faults are waiting")
        self._pending.append(_Pending(order, order.times))

    def take(self, method: str, path: str) -> FaultOrder | None:
        """Return the fault for this call and count it."""
        for pending in self._pending:
            order = pending.order
            if order.method in {"", method} and path.startswith(order.path):
                pending.left -= 1
                if pending.left == 0:
                    self._pending.remove(pending)
                return order
        return None

    def clear(self) -> None:
        """Forget them."""
        self._pending.clear()
