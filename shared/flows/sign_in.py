"""Sign someone in: what Privy vouches for becomes an account, and for someone new an account and a key."""

from collections.abc import Callable
from typing import Protocol

import msgspec

from shared.accounts.email import normalise_email
from shared.accounts.sign_in import FirstKey, Person, SignedIn, SignInRequest, SignIns, User
from shared.clients.fernet import Sealer
from shared.clients.privy import Identity
from shared.core.caller import Caller
from shared.core.errors import StoreUnavailable
from shared.core.ids import PrivyId, RequestId
from shared.core.log import log_event
from shared.core.receipts import Receipt, note_replay
from shared.core.verdicts import Refused
from shared.flows.ask import Desk, ask_within_limits
from shared.flows.own_receipt import own_receipt
from shared.flows.remembered_people import known_person
from shared.keys.fingerprint import fingerprint, session_fingerprints
from shared.keys.format import generate_secret, mask
from shared.trials.codes import Codes
from shared.trials.types import KnownPerson

FIRST_KEY_NAME = "First key"


class TokenVerifier(Protocol):
    """Who tells whose tokens they are; both raise InvalidToken and IdentityProviderUnavailable."""

    async def verify_access_token(self, token: str) -> PrivyId:
        """Return whose access token it is."""
        ...

    async def verify_identity_token(self, token: str) -> Identity:
        """Return whose identity token it is, and his address."""
        ...


class Door(msgspec.Struct, frozen=True):
    """What someone passes who signs in."""

    verifier: TokenVerifier
    desk: Desk
    secret_keys: tuple[str, ...]
    sealer: Sealer


class Visit(msgspec.Struct, frozen=True, kw_only=True):
    """One request to sign in: a token of either kind, and where it came from.

    receipt_of: how it is known when it comes again, by what makes it the same; None where it has no Idempotency-Key
    units   received_s: when it came, on the monotonic clock
    """

    access_token: str | None
    identity_token: str | None
    referral_code: str | None
    receipt_of: Callable[[bytes], Receipt] | None
    address: str | None
    request_id: RequestId
    received_s: float


class Welcome(msgspec.Struct, frozen=True):
    """Who is in; api_key is the first key of someone new, shown to nobody again."""

    user: User
    is_new_user: bool
    api_key: str | None


async def sign_in(door: Door, visit: Visit, answer_headers: dict[str, str]) -> Welcome:
    """Verify the token, pass the limiter, and find or make the account of this Privy id.

    raises  InvalidToken, without a look-up; IdentityProviderUnavailable; RateLimited, before anything is made;
            IdempotencyKeyReused; StoreUnavailable, where a retry is safe
    """
    identity = await _identify(door.verifier, visit)
    hmacs = session_fingerprints(identity.privy_id, door.secret_keys)
    receipt = _receipt(visit, identity.privy_id)
    secret = generate_secret("live")
    first_key = FirstKey(
        name=FIRST_KEY_NAME,
        key_hmac=fingerprint(secret, door.secret_keys[0]),
        masked=mask(secret),
        sealed=None if receipt is None else door.sealer.seal(secret.encode()),
    )
    person = Person(privy_id=identity.privy_id, email=identity.email, referral_code=visit.referral_code)
    request = SignInRequest(address=visit.address, request_id=visit.request_id, receipt=receipt)

    async def ask() -> SignedIn | Refused:
        return await SignIns(door.desk.database).sign_in(person, hmacs, first_key, request)

    answer = await ask_within_limits(door.desk, _caller(hmacs, visit), ask, answer_headers)
    if answer.is_replayed:
        note_replay(answer_headers)
        return Welcome(answer.user, answer.is_new_user, _open(door.sealer, answer.sealed))
    if answer.referral_code is not None and answer.user.email is not None:
        someone = known_person(identity.privy_id, normalise_email(answer.user.email), door.secret_keys)
        await _come_by(answer.referral_code, door, someone, _caller(hmacs, visit))
    return Welcome(answer.user, answer.is_new_user, secret if answer.is_new_user else None)


async def _come_by(code: str, door: Door, person: KnownPerson, caller: Caller) -> None:
    """Write down by whose code somebody has come, and remember that he has, should he leave and come again.

    policy  open: a code that does not count is in nobody's way, and one that is not decided on now is looked at when
            he signs in again
    """
    receipt = own_receipt(None, caller, door.secret_keys)
    try:
        await Codes(door.desk.database).apply_referral(caller, code, person, receipt)
    except StoreUnavailable:
        log_event("referral_left_for_later", level="warning", request_id=caller.request_id)


async def _identify(verifier: TokenVerifier, visit: Visit) -> Identity:
    if visit.identity_token is not None:
        return await verifier.verify_identity_token(visit.identity_token)
    assert visit.access_token is not None
    return Identity(await verifier.verify_access_token(visit.access_token))


def _receipt(visit: Visit, privy_id: PrivyId) -> Receipt | None:
    """Return how the request is known: whoever asks again may have another token by then, and is the same."""
    if visit.receipt_of is None:
        return None
    return visit.receipt_of(f"{privy_id} {visit.referral_code or ''}".encode())


def _caller(hmacs: tuple[str, ...], visit: Visit) -> Caller:
    """Return whom the limiter counts: the session, whether or not it exists yet."""
    return Caller(
        fingerprints=hmacs,
        # It changes something: what can be refused for his limits is refused before anything is made.
        scope="account:write",
        environment="live",
        address=visit.address,
        origin_host=None,
        request_id=visit.request_id,
        is_session=True,
        received_s=visit.received_s,
    )


def _open(sealer: Sealer, sealed: str | None) -> str | None:
    secret = None if sealed is None else sealer.open(sealed)
    return None if secret is None else secret.decode()
