"""The way in of an admin's requests: with ADMIN_API_KEY straight to the database, as a person past the limiter."""

from collections.abc import Awaitable, Callable
from typing import Protocol

import msgspec

from shared.core.admin import Admin
from shared.core.receipts import Receipt, note_replay
from shared.core.verdicts import LimitsPolicy, Refused
from shared.flows.ask import Desk, ask_within_limits
from shared.flows.own_receipt import own_receipt
from shared.flows.refusals import refusal_error


class AdminDesk(msgspec.Struct, frozen=True):
    """What changes by admins are made with."""

    desk: Desk
    secret_keys: tuple[str, ...]


class AdminPetition(msgspec.Struct, frozen=True, kw_only=True):
    """One change: who asks, how it is known when it comes again, and its answer's headers."""

    admin: Admin
    receipt: Receipt | None
    answer_headers: dict[str, str]


class Told(Protocol):
    """What an admin is told."""

    @property
    def policy(self) -> LimitsPolicy | None:
        """The limits of his key; None with ADMIN_API_KEY."""
        ...


class Changed(Told, Protocol):
    """What came of a change."""

    @property
    def is_replayed(self) -> bool:
        """Whether it was made and answered before."""
        ...

    @property
    def fingerprints(self) -> tuple[str, ...]:
        """The keys whose limits are others by it."""
        ...


async def ask_as_admin[Answer: Told](
    desk: Desk, admin: Admin, ask: Callable[[], Awaitable[Answer | Refused]], answer_headers: dict[str, str]
) -> Answer:
    """Ask the database; a person is counted as in all his other requests, whoever has ADMIN_API_KEY is not.

    raises  AdminRequired; as ask_within_limits
    """
    if admin.caller is not None:
        return await ask_within_limits(desk, admin.caller, ask, answer_headers)
    answer = await ask()
    if isinstance(answer, Refused):
        raise refusal_error(answer)
    return answer


async def change_as_admin[Answer: Changed](
    means: AdminDesk, petition: AdminPetition, change: Callable[[Receipt], Awaitable[Answer | Refused]]
) -> Answer:
    """Have something changed, once for each Idempotency-Key, and the limiter ask anew for the keys that it is about.

    raises  as ask_as_admin
    """
    receipt = own_receipt(petition.receipt, petition.admin, means.secret_keys)
    told = await ask_as_admin(means.desk, petition.admin, lambda: change(receipt), petition.answer_headers)
    await means.desk.limiter.forget_policies(told.fingerprints)
    if told.is_replayed and petition.receipt is not None:
        note_replay(petition.answer_headers)
    return told
