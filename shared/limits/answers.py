"""Reads what reserve.lua answers."""

from typing import cast

import msgspec

from shared.core.ids import AccountId, KeyId
from shared.limits.refusals import Excess, RateLimited, refuse
from shared.limits.types import Allowance, KeyUnknown, KeyUnseen, Measure, RateState, Reservation


class Request(msgspec.Struct, frozen=True):
    """What is to be let through: one request of a key, under a lease of its own.

    is_counted: it is one of its minute's already
    """

    key: str
    lease_id: str
    tokens: int
    is_counted: bool = False


def read_answer(answer: object, request: Request) -> Reservation | KeyUnseen | KeyUnknown | RateLimited:
    """Turn the script's answer into ours.

    shape   as the head of reserve.lua has it
    raises  ValueError when it is anything else
    """
    match answer:
        case ["reserved", int(account_id), int(key_id), int(bucket), *state]:
            return Reservation(
                lease_id=request.lease_id,
                account_id=AccountId(account_id),
                key_id=KeyId(key_id),
                key=request.key,
                bucket=bucket,
                tokens=request.tokens,
                state=_read_state(state),
            )
        case ["refused", ("key" | "account" | "address") as subject, str(measure), int(limit), int(retry_ms), *state]:
            excess = Excess(
                subject=subject,
                measure=Measure(measure),
                limit=limit,
                retry_ms=None if retry_ms < 0 else retry_ms,
            )
            return refuse(excess, _read_state(state))
        case ["unseen", str(change)]:
            return KeyUnseen(change)
        case ["unknown"]:
            return KeyUnknown()
        case _:
            raise ValueError("the reserve script answered in a form that is not its own")


def _read_state(numbers: list[object]) -> RateState:
    match numbers:
        case [int(), int(), int(), int(), int(), int()]:
            whole = cast(list[int], numbers)
            return RateState(requests=_read_allowance(*whole[:3]), tokens=_read_allowance(*whole[3:]))
        case _:
            raise ValueError("the reserve script answered a state that is not six numbers")


def _read_allowance(limit: int, remaining: int, reset_ms: int) -> Allowance | None:
    return Allowance(limit=limit, remaining=remaining, reset_ms=reset_ms) if limit else None
