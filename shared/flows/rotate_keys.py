"""Give the keys that rotate by themselves their new secrets, which wait sealed until their owners collect them."""

import msgspec

from shared.clients.fernet import Sealer
from shared.core.errors import StoreUnavailable
from shared.core.ids import KeyId
from shared.keys.fingerprint import fingerprint, secret_id
from shared.keys.format import generate_secret, mask
from shared.keys.rules import OVERLAP_HOURS_BY_SCHEDULE
from shared.keys.store import KeyStore, SealedSecret
from shared.keys.types import DueRotation, Rotated

# A hundred keys each; what is left waits for the next day.
MOST_CALLS = 20
# A key that cannot be rotated now must not keep others from it; so many, and it is the store that is away.
MOST_FAILURES = 10


class RotationMeans(msgspec.Struct, frozen=True):
    """What rotations work on; the sealer's newest secret is the first of secret_keys."""

    store: KeyStore
    sealer: Sealer
    secret_keys: tuple[str, ...]


async def rotate_due_keys(means: RotationMeans) -> int:
    """Rotate every key whose time has come and return how many there were.

    raises  StoreUnavailable, after all other keys, where one could not be rotated; a retry is safe, and so are two at
            once: each key is rotated once
    """
    count, failures = 0, dict[KeyId, StoreUnavailable]()
    for _ in range(MOST_CALLS):
        due = [each for each in await means.store.find_due_rotations() if each.key_id not in failures]
        for each in due:
            try:
                count += await _rotate(means, each)
            except StoreUnavailable as error:
                failures[each.key_id] = error
                if len(failures) == MOST_FAILURES:
                    raise
        if not due:
            break
    if failures:
        raise next(iter(failures.values()))
    return count


async def _rotate(means: RotationMeans, due: DueRotation) -> bool:
    answer = await means.store.rotate_due(due, _new_secret(means, due), OVERLAP_HOURS_BY_SCHEDULE)
    return isinstance(answer, Rotated)


def _new_secret(means: RotationMeans, due: DueRotation) -> SealedSecret:
    secret = generate_secret(due.environment)
    return SealedSecret(
        key_hmac=fingerprint(secret, means.secret_keys[0]),
        masked=mask(secret),
        sealed=means.sealer.seal(secret.encode()),
        secret_id=secret_id(means.secret_keys[0]),
    )
