"""Privy's tokens: who signed in, as far as Privy's signature and nothing else says so."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import TYPE_CHECKING, Any

import aiohttp
import msgspec

from shared.clients.key_set import KeySet, KeysUnavailable
from shared.core.errors import GatewayError
from shared.core.ids import PrivyId
from shared.core.integrations import PrivySettings

if TYPE_CHECKING:
    from jwt import PyJWK

Claims = dict[str, Any]

ALGORITHM = "ES256"
ISSUER = "privy.io"
# By how much Privy's clock and ours may differ.
LEEWAY_S = 30
# Privy keeps them in cookies, which end at 4 KB; someone with many linked accounts has a longer one.
MAX_TOKEN_LENGTH = 16 * 1024
MAX_EMAIL_LENGTH = 254
REQUIRED_CLAIMS = ("iss", "aud", "sub", "iat", "exp")
# Where an address comes from, best first: Privy has sent a code there, or whoever hosts it has signed its owner in.
EMAIL_FIELDS = (("email", "address"), ("google_oauth", "email"), ("apple_oauth", "email"))

_PRIVY_ID = re.compile(r"did:privy:[!-~]{1,200}")
_EMAIL = re.compile(r"[^\s@\x00-\x1f\x7f]{1,64}@[^\s@\x00-\x1f\x7f]{1,253}")


class InvalidToken(GatewayError):
    """The token is not one that Privy issued for us, or its time is over."""

    status = 401
    code = "invalid_token"
    advice = (
        "The sign-in token is forged, expired, of the wrong kind or for another app; the message says which. Get a "
        "new one from Privy."
    )
    type = "authentication_error"

    def __init__(self, reason: str = "It was not issued by Privy for this app") -> None:
        super().__init__(
            f"The sign-in token is not valid. {reason}. Get a new one: `await getAccessToken()` in the browser."
        )


class IdentityProviderUnavailable(GatewayError):
    """Privy's keys cannot be read at the moment, and the token is signed with one that we do not have."""

    status = 503
    code = "identity_provider_unavailable"
    advice = (
        "Privy's keys cannot be read at the moment, so the sign-in token cannot be verified; wait for `Retry-After`."
    )
    type = "server_error"
    is_retryable = True

    def __init__(self) -> None:
        super().__init__(
            "Sign-in tokens cannot be verified right now. Retry in a few seconds.", headers={"Retry-After": "2"}
        )


class Identity(msgspec.Struct, frozen=True):
    """Someone whom Privy has signed in; email is one that Privy has verified, or none."""

    privy_id: PrivyId
    email: str | None = None


class Privy:
    """The users of one app at Privy, by the tokens that Privy signs.

    keys: the app's public key as PEM, or the set in which Privy publishes it
    policy  closed; a token that is refused for what it says costs no request to Privy
    source  https://docs.privy.io/authentication/user-authentication/access-tokens (claims, key or JWKS);
            JWKS: https://auth.privy.io/api/v1/apps/<app id>/jwks.json; Privy's tokens name their key by `kid`
    """

    def __init__(self, app_id: str, keys: KeySet | str) -> None:
        self._app_id = app_id
        self._keys = keys

    async def verify_access_token(self, token: str) -> PrivyId:
        """Return whose access token this is: it names a session and tells nothing of the person.

        raises  InvalidToken; IdentityProviderUnavailable, where a retry is safe
        source  https://docs.privy.io/authentication/user-authentication/access-tokens#access-token-format
        """
        return _privy_id(await self._verify(token, _check_access_claims))

    async def verify_identity_token(self, token: str) -> Identity:
        """Return whose identity token this is, with the e-mail address that it vouches for.

        raises  InvalidToken; IdentityProviderUnavailable, where a retry is safe
        source  https://docs.privy.io/user-management/users/identity-tokens#token-format
        """
        claims = await self._verify(token, _check_identity_claims)
        return Identity(_privy_id(claims), _verified_email(_linked_accounts(claims)))

    async def _verify(self, token: str, check: Callable[[Claims], None]) -> Claims:
        """Return the claims of a token whose form, times, signature and kind are right.

        raises  InvalidToken; IdentityProviderUnavailable
        """
        if len(token) > MAX_TOKEN_LENGTH:
            raise InvalidToken
        with _refusals():
            header = _jwt().get_unverified_header(token)
            # What it says of itself comes first: for a token that is refused anyway nobody is asked for a key.
            check(self._read(token, None))
        key = await self._key_of(header)
        with _refusals():
            claims = self._read(token, key)
            check(claims)
        return claims

    def _read(self, token: str, key: "PyJWK | str | None") -> Claims:
        """Check what a token says, and its signature where the key is given.

        raises  jwt.PyJWTError
        """
        claims: Claims = _jwt().decode(
            token,
            key or "",
            algorithms=[ALGORITHM],
            audience=self._app_id,
            issuer=ISSUER,
            leeway=LEEWAY_S,
            options={
                "verify_signature": key is not None,
                "verify_exp": True,
                "verify_nbf": True,
                "verify_iat": True,
                "verify_aud": True,
                "verify_iss": True,
                "verify_sub": True,
                "strict_aud": True,
                "require": list(REQUIRED_CLAIMS),
            },
        )
        return claims

    async def _key_of(self, header: dict[str, Any]) -> "PyJWK | str":
        """Return the key that the token says it is signed with, if it is one of Privy's.

        raises  InvalidToken; IdentityProviderUnavailable
        """
        if header.get("alg") != ALGORITHM:
            raise InvalidToken
        if isinstance(self._keys, str):
            return self._keys
        key_id = header.get("kid")
        if not isinstance(key_id, str):
            raise InvalidToken
        try:
            key = await self._keys.find(key_id)
        except KeysUnavailable:
            raise IdentityProviderUnavailable from None
        if key is None:
            raise InvalidToken
        with _refusals():
            public_key: PyJWK = _jwt().PyJWK(msgspec.to_builtins(key), ALGORITHM)
        return public_key


def _jwt() -> ModuleType:
    # Imported at the first use: with cryptography it would cost every cold start 80 ms.
    import jwt  # noqa: PLC0415

    return jwt


@contextmanager
def _refusals() -> Iterator[None]:
    """Turn what PyJWT raises into what a customer may read.

    raises  InvalidToken
    """
    errors = _jwt()
    try:
        yield
    except errors.ExpiredSignatureError:
        raise InvalidToken("It has expired") from None
    except errors.ImmatureSignatureError:
        raise InvalidToken("Its time has not begun") from None
    except errors.InvalidAudienceError:
        raise InvalidToken("It is for another app") from None
    # ValueError: what cannot be encoded, such as half a surrogate.
    except (errors.PyJWTError, ValueError):
        raise InvalidToken from None


def open_privy(session: aiohttp.ClientSession, settings: PrivySettings | None) -> Privy | None:
    """Make the client that the settings describe; None where nobody can sign in. Who opened the session closes it."""
    if settings is None:
        return None
    return Privy(settings.app_id, settings.verification_key or KeySet(session, settings.jwks_url))


def _check_access_claims(claims: Claims) -> None:
    """Tell an access token from an identity token, which a browser hands to more parties.

    raises  InvalidToken
    """
    session_id = claims.get("sid")
    if not isinstance(session_id, str) or not session_id or "linked_accounts" in claims:
        raise InvalidToken("It is no access token")
    _privy_id(claims)


def _check_identity_claims(claims: Claims) -> None:
    """Tell an identity token from an access token.

    raises  InvalidToken
    """
    if "linked_accounts" not in claims:
        raise InvalidToken("It is no identity token")
    _linked_accounts(claims)
    _privy_id(claims)


def _privy_id(claims: Claims) -> PrivyId:
    subject = claims["sub"]
    if not isinstance(subject, str) or not _PRIVY_ID.fullmatch(subject):
        raise InvalidToken
    return PrivyId(subject)


def _linked_accounts(claims: Claims) -> list[Claims]:
    """Return what the person has signed in with; Privy writes the list as text within the claim."""
    text = claims["linked_accounts"]
    try:
        return msgspec.json.decode(text, type=list[dict[str, Any]])
    except (TypeError, msgspec.MsgspecError, RecursionError):
        raise InvalidToken("It is no identity token") from None


def _verified_email(accounts: list[Claims]) -> str | None:
    for kind, field in EMAIL_FIELDS:
        for account in accounts:
            address = account.get(field)
            if account.get("type") == kind and isinstance(address, str) and _is_email(address):
                return address
    return None


def _is_email(text: str) -> bool:
    return len(text) <= MAX_EMAIL_LENGTH and _EMAIL.fullmatch(text) is not None
