"""What someone is remembered by who was given something once: not his name, but what our secrets make of him."""

from collections.abc import Sequence
from typing import Literal

from shared.accounts.email import normalise_email
from shared.core.ids import PrivyId
from shared.keys.fingerprint import fingerprints
from shared.trials.types import KnownPerson

KnownBy = Literal["privy_id", "email"]


def person_fingerprints(known_by: KnownBy, value: str, secret_keys: Sequence[str]) -> tuple[str, ...]:
    """Return what stands in gateway.remembered_people for this Privy id or normalised address, newest secret first.

    One is kept, under the newest secret; whoever looks for it looks under all.
    """
    return fingerprints(f"person:{known_by}:{value}", secret_keys)


def known_person(privy_id: PrivyId | None, email_normalised: str | None, secret_keys: Sequence[str]) -> KnownPerson:
    """Return someone with all that he is known by; both are None where nobody has signed in."""
    # What stands with the account may have been written when less was known of mailboxes.
    mailbox = None if email_normalised is None else normalise_email(email_normalised)
    return KnownPerson(
        privy_id=privy_id,
        privy_id_hmacs=() if privy_id is None else person_fingerprints("privy_id", privy_id, secret_keys),
        email_normalised=email_normalised,
        email_hmacs=() if mailbox is None else person_fingerprints("email", mailbox, secret_keys),
    )
