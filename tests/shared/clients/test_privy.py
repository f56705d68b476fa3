"""Tokens of Privy, real and forged."""

import asyncio
import base64
import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.local.privy_tokens import SigningKey
from shared.clients.privy import LEEWAY_S, MAX_TOKEN_LENGTH, InvalidToken, Privy
from tests.harness.privy import PrivyTokens, hmac_signed_token, new_privy_id, unsigned_token
from tests.shared.clients.privy_world import PERSON, World

EMAIL = "ada@example.com"


def in_s(seconds: float) -> int:
    return int(time.time() + seconds)


# Each is a way to make a token from the claims of a good one; none may open anything, whatever else is the case.
FORGERIES: dict[str, Callable[[PrivyTokens], str]] = {
    "alg none": lambda tokens: unsigned_token(tokens.access_claims(PERSON), {"alg": "none", "typ": "JWT"}),
    "alg none in odd letters": lambda tokens: unsigned_token(tokens.access_claims(PERSON), {"alg": "nOnE"}),
    "no alg": lambda tokens: unsigned_token(tokens.access_claims(PERSON), {"kid": tokens.key.id}),
    "ES256 without a signature": lambda tokens: unsigned_token(
        tokens.access_claims(PERSON), {"alg": "ES256", "kid": tokens.key.id}
    ),
    "HS256 under the public key": lambda tokens: hmac_signed_token(
        tokens.access_claims(PERSON), {"alg": "HS256", "kid": tokens.key.id}, tokens.key.public_pem.encode()
    ),
    "HS256 that says ES256": lambda tokens: hmac_signed_token(
        tokens.access_claims(PERSON), {"alg": "ES256", "kid": tokens.key.id}, tokens.key.public_pem.encode()
    ),
    "another's key under Privy's id": lambda tokens: SigningKey.generate().sign(
        tokens.access_claims(PERSON), kid=tokens.key.id
    ),
    "a key of its own in the header": lambda tokens: (forger := SigningKey.generate()).sign(
        tokens.access_claims(PERSON), kid=tokens.key.id, jwk=forger.jwk
    ),
    "another app": lambda tokens: tokens.access(PERSON, aud="another-app"),
    "this app among others": lambda tokens: tokens.access(PERSON, aud=[tokens.app_id, "another-app"]),
    "no audience": lambda tokens: tokens.access(PERSON, aud=None),
    "another issuer": lambda tokens: tokens.access(PERSON, iss="https://privy.io"),
    "no issuer": lambda tokens: tokens.access(PERSON, iss=None),
    "expired": lambda tokens: tokens.access(PERSON, exp=in_s(-LEEWAY_S - 5)),
    "without an end": lambda tokens: tokens.access(PERSON, exp=None),
    "an end that is no number": lambda tokens: tokens.access(PERSON, exp="never"),
    "not valid yet": lambda tokens: tokens.access(PERSON, nbf=in_s(LEEWAY_S + 30)),
    "issued in the future": lambda tokens: tokens.access(PERSON, iat=in_s(LEEWAY_S + 30)),
    "no session": lambda tokens: tokens.access(PERSON, sid=None),
    "an empty session": lambda tokens: tokens.access(PERSON, sid=""),
    "a session that is no text": lambda tokens: tokens.access(PERSON, sid=7),
    "nobody": lambda tokens: tokens.access(PERSON, sub=None),
    "no person of Privy's": lambda tokens: tokens.access("auth0|1234"),
    "a subject that is no text": lambda tokens: tokens.key.sign(tokens.access_claims(PERSON) | {"sub": [PERSON]}),
    "a subject with a line break": lambda tokens: tokens.access(f"{PERSON}\n"),
    "an endless subject": lambda tokens: tokens.access("did:privy:" + "x" * 300),
    "an identity token": lambda tokens: tokens.identity(PERSON, EMAIL),
    "an identity token with a session": lambda tokens: tokens.identity(PERSON, EMAIL, sid="session-1"),
    "unknown critical header": lambda tokens: tokens.key.sign(
        tokens.access_claims(PERSON), crit=["https://example.com/x"]
    ),
    "detached payload": lambda tokens: tokens.key.sign(tokens.access_claims(PERSON), b64=False, crit=["b64"]),
    "a changed claim": lambda tokens: _with_claim_changed(tokens.access(PERSON)),
    "too long": lambda tokens: tokens.access(PERSON, padding="x" * MAX_TOKEN_LENGTH),
    "deep brackets": lambda tokens: f"{_encoded(b'{"alg":"ES256"}')}.{_encoded(b'[' * 10_000)}.x",
    "deep brackets in the header": lambda tokens: f"{_encoded(b'[' * 10_000)}.x.x",
    "half a surrogate": lambda tokens: f"eyJ\ud800.{tokens.access(PERSON)}",
    "no token at all": lambda tokens: "eyJ.eyJ.eyJ",
}


def _encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _with_claim_changed(token: str) -> str:
    header, payload, signature = token.split(".")
    claims = json.loads(base64.urlsafe_b64decode(payload + "=="))
    return f"{header}.{_encoded(json.dumps(claims | {'sub': new_privy_id()}).encode())}.{signature}"


JSON_BYTES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["alg", "kid", "crit", "exp", "aud"]), inner),
).map(lambda value: json.dumps(value).encode())
PARTS = st.one_of(JSON_BYTES, st.just(b'{"alg":"ES256"}'), st.binary()).map(_encoded)


@given(st.text() | st.tuples(PARTS, PARTS, PARTS).map(".".join))
def test_whatever_is_sent_as_a_token_is_refused_and_never_a_bug(text: str) -> None:
    privy = Privy("app", SigningKey.generate().public_pem)
    for verify in (privy.verify_access_token, privy.verify_identity_token):
        with pytest.raises(InvalidToken):
            asyncio.run(verify(text))


async def test_an_access_token_says_who_it_is_by_key_and_by_key_set(
    world: World, static: tuple[Privy, PrivyTokens]
) -> None:
    assert await world.privy.verify_access_token(world.tokens.access(PERSON)) == PERSON
    privy, tokens = static
    assert await privy.verify_access_token(tokens.access(PERSON)) == PERSON


@pytest.mark.parametrize("forge", FORGERIES.values(), ids=FORGERIES.keys())
async def test_a_forged_or_foreign_token_is_refused(
    world: World, static: tuple[Privy, PrivyTokens], forge: Callable[[PrivyTokens], str]
) -> None:
    privy, tokens = static
    with pytest.raises(InvalidToken):
        await privy.verify_access_token(forge(tokens))
    with pytest.raises(InvalidToken):
        await world.privy.verify_access_token(forge(world.tokens))


ASKS_FOR_A_KEY = (
    "another's key",
    "a key of its own",
    "ES256 without",
    "HS256 that says",
    "a changed",
    "unknown critical",
)


@pytest.mark.parametrize(
    "forge",
    [forge for name, forge in FORGERIES.items() if not name.startswith(ASKS_FOR_A_KEY)],
    ids=[name for name in FORGERIES if not name.startswith(ASKS_FOR_A_KEY)],
)
async def test_what_is_refused_for_what_it_says_asks_privy_for_nothing_even_while_its_keys_are_away(
    world: World, forge: Callable[[PrivyTokens], str]
) -> None:
    world.server.is_down()
    with pytest.raises(InvalidToken):
        await world.privy.verify_access_token(forge(world.tokens))
    assert world.server.reads == 0


async def test_a_refusal_tells_whom_it_hits_what_to_do_and_never_the_token(static: tuple[Privy, PrivyTokens]) -> None:
    privy, tokens = static
    token = tokens.access(PERSON, exp=in_s(-3600))
    with pytest.raises(InvalidToken) as refused:
        await privy.verify_access_token(token)
    assert "has expired" in refused.value.message
    assert refused.value.status == 401
    assert token.rpartition(".")[2] not in repr(refused.value.__dict__)
    assert refused.value.__suppress_context__


@pytest.mark.parametrize(
    ("claim", "from_now_s"),
    [("exp", -LEEWAY_S + 10), ("nbf", LEEWAY_S - 10), ("iat", LEEWAY_S - 10)],
    ids=["just expired", "about to begin", "just to be issued"],
)
async def test_clocks_may_differ_by_half_a_minute(
    static: tuple[Privy, PrivyTokens], claim: str, from_now_s: int
) -> None:
    privy, tokens = static
    assert LEEWAY_S == 30
    assert await privy.verify_access_token(tokens.access(PERSON, **{claim: in_s(from_now_s)})) == PERSON


async def test_an_identity_token_tells_the_address_that_privy_verified(static: tuple[Privy, PrivyTokens]) -> None:
    privy, tokens = static
    identity = await privy.verify_identity_token(tokens.identity(PERSON, EMAIL))
    assert (identity.privy_id, identity.email) == (PERSON, EMAIL)


@pytest.mark.parametrize(
    ("accounts", "email"),
    [
        ([], None),
        ([{"type": "wallet", "address": EMAIL}], None),
        ([{"type": "github_oauth", "email": EMAIL}], None),
        ([{"type": "google_oauth", "email": "g@example.com"}, {"type": "email", "address": EMAIL}], EMAIL),
        ([{"type": "google_oauth", "email": EMAIL}], EMAIL),
        ([{"type": "apple_oauth", "email": EMAIL}], EMAIL),
        ([{"type": "email", "address": None}], None),
        ([{"type": "email", "address": "two@@example.com"}], None),
        ([{"type": "email", "address": "a\nb@example.com"}], None),
        ([{"type": "email", "address": "ada@example.com, bob@example.com"}], None),
        ([{"type": "email", "address": "x" * 300 + "@example.com"}], None),
        ([{"email": EMAIL}], None),
    ],
)
async def test_an_address_counts_only_where_its_owner_was_checked(
    static: tuple[Privy, PrivyTokens], accounts: list[Any], email: str | None
) -> None:
    privy, tokens = static
    token = tokens.identity(PERSON, linked_accounts=json.dumps(accounts))
    assert (await privy.verify_identity_token(token)).email == email


@pytest.mark.parametrize("accounts", ["no list", "{}", "[1]", "[" * 3000, 7, [], {}, ""])
async def test_an_identity_token_whose_accounts_are_no_list_in_a_text_is_refused(
    static: tuple[Privy, PrivyTokens], accounts: object
) -> None:
    privy, tokens = static
    with pytest.raises(InvalidToken):
        await privy.verify_identity_token(tokens.identity(PERSON, linked_accounts=accounts))


async def test_an_access_token_is_no_identity_token(static: tuple[Privy, PrivyTokens]) -> None:
    privy, tokens = static
    with pytest.raises(InvalidToken, match="no identity token"):
        await privy.verify_identity_token(tokens.access(PERSON))
