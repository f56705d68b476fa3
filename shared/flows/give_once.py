"""Give a person what he is given once: know him by what his sign-in vouches for, and give it in one transaction."""

from collections.abc import Awaitable, Callable
from typing import Protocol

import msgspec

from shared.accounts.store import Accounts
from shared.core.caller import Caller
from shared.core.errors import StoreUnavailable
from shared.core.receipts import Receipt, note_replay
from shared.core.verdicts import LimitsPolicy, Refused
from shared.flows.ask import Desk, ask_within_limits
from shared.flows.own_receipt import own_receipt
from shared.flows.remembered_people import known_person
from shared.trials.types import KnownPerson, PersonChanged

# Each time somebody else has to change the owner's address in between.
ATTEMPTS = 3


class GiftDesk(msgspec.Struct, frozen=True):
    """What gifts are given with."""

    desk: Desk
    secret_keys: tuple[str, ...]


class GiftRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Who asks for a gift, how the request is known when it comes again, and its answer's headers."""

    caller: Caller
    receipt: Receipt | None
    answer_headers: dict[str, str]


class Gift(Protocol):
    """What was given, now or when the same request came first."""

    @property
    def policy(self) -> LimitsPolicy:
        """The limits of the caller's key and account."""
        ...

    @property
    def is_replayed(self) -> bool:
        """Whether the request has come before."""
        ...


async def give_once[Given: Gift](
    means: GiftDesk,
    request: GiftRequest,
    give: Callable[[KnownPerson, Receipt], Awaitable[Given | PersonChanged | Refused]],
) -> Given:
    """Find out whose account it is, and ask the database to give him what he may have once.

    raises  as ask_within_limits
    """
    accounts = Accounts(means.desk.database)
    receipt = own_receipt(request.receipt, request.caller, means.secret_keys)

    async def ask() -> Given | Refused:
        for _ in range(ATTEMPTS):
            person = await accounts.read_person(request.caller)
            if isinstance(person, Refused):
                return person
            answer = await give(known_person(person.privy_id, person.email_normalised, means.secret_keys), receipt)
            if not isinstance(answer, PersonChanged):
                return answer
        raise StoreUnavailable("database")

    given = await ask_within_limits(means.desk, request.caller, ask, request.answer_headers)
    if given.is_replayed and request.receipt is not None:
        note_replay(request.answer_headers)
    return given
