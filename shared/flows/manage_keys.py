"""Make, change, rotate and end the keys of the caller's account; a secret leaves here once, and is kept nowhere."""

from collections.abc import Awaitable, Callable

import msgspec

from shared.clients.fernet import Sealer
from shared.core.caller import Caller
from shared.core.ids import KeyEnvironment, KeyId
from shared.core.receipts import Receipt, note_replay
from shared.core.verdicts import Refused
from shared.flows.ask import Desk, ask_within_limits
from shared.flows.own_receipt import own_receipt
from shared.keys.change_refusals import SecretCannotBeOpened
from shared.keys.fingerprint import fingerprint, secret_id
from shared.keys.format import generate_secret, mask
from shared.keys.store import KeyStore, NewSecret, Settings
from shared.keys.types import ApiKey, KeyRevoked, KeyTold

# What is sealed for one of them cannot be opened as the other.
SHOWN_ONCE = "keys shown once"
ROTATED = "rotated keys"


class KeyDesk(msgspec.Struct, frozen=True, kw_only=True):
    """A function's means for managing keys, built once.

    shown_once: seals what a retry is shown again; rotated: opens what the rotation by schedule has sealed
    """

    desk: Desk
    secret_keys: tuple[str, ...]
    shown_once: Sealer
    rotated: Sealer

    @property
    def store(self) -> KeyStore:
        """The account's keys."""
        return KeyStore(self.desk.database)


class Petition(msgspec.Struct, frozen=True, kw_only=True):
    """One request to change keys: who calls, how it is known when it comes again, and its answer's headers."""

    caller: Caller
    receipt: Receipt | None
    answer_headers: dict[str, str]


class IssuedKey(msgspec.Struct, frozen=True):
    """A key with its secret; that is None for whoever asks again when it is no longer shown."""

    key: ApiKey
    secret: str | None


async def create_key(means: KeyDesk, petition: Petition, settings: Settings, environment: KeyEnvironment) -> IssuedKey:
    """Make a key and show its secret.

    raises  RateLimited, KeyExceedsYours, KeyNameTaken, TooManyKeys, IdempotencyKeyReused and the refusals of the
            caller's own key, StoreUnavailable
    """
    secret = generate_secret(environment)
    receipt = _receipt(means, petition).to_json(sealed=means.shown_once.seal(secret.encode()))

    async def ask() -> KeyTold | Refused:
        return await means.store.create(petition.caller, settings, _stored(means, secret), receipt)

    return _issue(means.shown_once, await _change(means, petition, ask), secret)


async def rotate_key(means: KeyDesk, petition: Petition, key_id: KeyId, overlap_hours: int) -> IssuedKey:
    """Give a key a new secret and show it; those before it work for overlap_hours more.

    raises  as create_key, and KeyNotFound, TooManyOldSecrets
    """
    made: list[str] = []

    async def ask() -> KeyTold | Refused:
        # A secret says its key's environment, which never changes.
        found = await means.store.read(petition.caller, key_id)
        if isinstance(found, Refused):
            return found
        secret = generate_secret(found.key.environment)
        made.append(secret)
        receipt = _receipt(means, petition).to_json(sealed=means.shown_once.seal(secret.encode()))
        return await means.store.rotate(petition.caller, key_id, _stored(means, secret), overlap_hours, receipt)

    told = await _change(means, petition, ask)
    return _issue(means.shown_once, told, made[0])


async def collect_key(means: KeyDesk, petition: Petition, key_id: KeyId) -> IssuedKey:
    """Show, once, the secret that a rotation by schedule made.

    raises  as create_key, and NoSecretToCollect, SecretCannotBeOpened
    """
    receipt = _receipt(means, petition).to_json()
    secret_ids = [secret_id(secret_key) for secret_key in means.secret_keys]

    async def ask() -> KeyTold | Refused:
        return await means.store.collect(petition.caller, key_id, secret_ids, receipt)

    told = await _change(means, petition, ask)
    issued = _issue(means.rotated, told, None)
    if issued.secret is None and not told.is_replayed:
        # The database hands out only what our secrets should open: this was changed where it lay.
        raise SecretCannotBeOpened
    return issued


async def update_key(means: KeyDesk, petition: Petition, key_id: KeyId, changes: Settings) -> ApiKey:
    """Change the named settings of the named key.

    raises  as create_key, and KeyEnvironmentFixed
    """

    async def ask() -> KeyTold | Refused:
        return await means.store.update(petition.caller, key_id, changes)

    return (await _change(means, petition, ask)).key


async def revoke_key(means: KeyDesk, petition: Petition, key_id: KeyId) -> None:
    """End a key: the next request that carries it is refused, wherever it comes in. Again is harmless.

    raises  as create_key
    """

    async def ask() -> KeyRevoked | Refused:
        return await means.store.revoke(petition.caller, key_id)

    await _change(means, petition, ask)


async def _change[Told: (KeyTold, KeyRevoked)](
    means: KeyDesk, petition: Petition, ask: Callable[[], Awaitable[Told | Refused]]
) -> Told:
    """Ask, and have the limiter ask anew for the key that was changed."""
    told = await ask_within_limits(means.desk, petition.caller, ask, petition.answer_headers)
    await means.desk.limiter.forget_policies(told.fingerprints)
    if isinstance(told, KeyTold) and told.is_replayed and petition.receipt is not None:
        note_replay(petition.answer_headers)
    return told


def _receipt(means: KeyDesk, petition: Petition) -> Receipt:
    return own_receipt(petition.receipt, petition.caller, means.secret_keys)


def _stored(means: KeyDesk, secret: str) -> NewSecret:
    return NewSecret(key_hmac=fingerprint(secret, means.secret_keys[0]), masked=mask(secret))


def _issue(sealer: Sealer, told: KeyTold, secret: str | None) -> IssuedKey:
    """Put the secret beside its key: the new one, or what was sealed of it."""
    if not told.is_replayed and secret is not None:
        return IssuedKey(told.key, secret)
    opened = None if told.sealed is None else sealer.open(told.sealed)
    return IssuedKey(told.key, None if opened is None else opened.decode())
