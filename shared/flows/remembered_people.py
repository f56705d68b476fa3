"""What someone is remembered by who left: no name and no address, only what our secrets make of them."""

from collections.abc import Sequence
from typing import Literal

from shared.keys.fingerprint import fingerprints

KnownBy = Literal["privy_id", "email"]


def person_fingerprints(known_by: KnownBy, value: str, secret_keys: Sequence[str]) -> tuple[str, ...]:
    """Return what stands in gateway.remembered_people for this Privy id or normalised address, newest secret first.

    One is written under the newest secret; whoever looks for it looks under all.
    """
    return fingerprints(f"person:{known_by}:{value}", secret_keys)
