"""End an account: no key of it works from here on, nothing says whose it was, and its ledger stays."""

from collections.abc import Sequence

from shared.accounts.store import Accounts
from shared.accounts.types import Deleted, Leaver, Person
from shared.core.caller import Caller
from shared.core.errors import StoreUnavailable
from shared.core.verdicts import Refused
from shared.flows.ask import Desk, ask_within_limits
from shared.flows.remembered_people import KnownBy, person_fingerprints

# Each time somebody else has to change the owner's address in between.
ATTEMPTS = 3


async def delete_account(
    desk: Desk, accounts: Accounts, caller: Caller, secret_keys: Sequence[str], answer_headers: dict[str, str]
) -> None:
    """Delete the caller's account and have the limiter forget its keys.

    raises  as ask_within_limits; a second time the key is not known any more
    """

    async def ask() -> Deleted | Refused:
        for _ in range(ATTEMPTS):
            person = await accounts.read_person(caller)
            if isinstance(person, Refused):
                return person
            answer = await accounts.delete_account(caller, _leaver(person, secret_keys))
            if isinstance(answer, Deleted | Refused):
                return answer
        raise StoreUnavailable("database")

    deleted = await ask_within_limits(desk, caller, ask, answer_headers)
    # The database knows none of them; what the limiter has would only be in the way of who signs in again.
    await desk.limiter.forget_policies([*deleted.fingerprints, *caller.fingerprints])


def _leaver(person: Person, secret_keys: Sequence[str]) -> Leaver:
    return Leaver(
        privy_id=person.privy_id,
        privy_id_hmac=_remembered("privy_id", person.privy_id, secret_keys),
        email_normalised=person.email_normalised,
        email_hmac=_remembered("email", person.email_normalised, secret_keys),
    )


def _remembered(known_by: KnownBy, value: str | None, secret_keys: Sequence[str]) -> str | None:
    return None if value is None else person_fingerprints(known_by, value, secret_keys)[0]
