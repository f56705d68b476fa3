"""Who is not let in, and what he is told."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import aiohttp
import psycopg
import pytest

from infra.local.privy_tokens import SigningKey
from infra.local.stack import LocalStack
from tests.functions.auth.client import call_with, is_let_in, sign_in
from tests.harness.gateways import Gateways, RunningGateway
from tests.harness.privy import PrivyTokens, hmac_signed_token, new_privy_id, unsigned_token

WHO = new_privy_id()
NOWHERE = "http://127.0.0.1:1/jwks.json"

FORGERIES: dict[str, Callable[[PrivyTokens], str]] = {
    "alg none": lambda privy: unsigned_token(privy.access_claims(WHO), {"alg": "none", "kid": privy.key.id}),
    "HS256 under the public key": lambda privy: hmac_signed_token(
        privy.access_claims(WHO), {"alg": "HS256", "kid": privy.key.id}, privy.key.public_pem.encode()
    ),
    "another's signature": lambda privy: SigningKey.generate().sign(privy.access_claims(WHO), kid=privy.key.id),
    "an unknown key": lambda privy: SigningKey.generate().sign(privy.access_claims(WHO)),
    "another app": lambda privy: privy.access(WHO, aud="another-app"),
    "another issuer": lambda privy: privy.access(WHO, iss="another.io"),
    "expired": lambda privy: privy.access(WHO, exp=1_600_000_000),
    "not begun": lambda privy: privy.access(WHO, nbf=4_000_000_000),
    "no session": lambda privy: privy.access(WHO, sid=None),
    "nobody": lambda privy: privy.access(WHO, sub=None),
    "no person of Privy's": lambda privy: privy.access("ada@example.com"),
    "an identity token": lambda privy: privy.identity(WHO, "ada@example.com"),
    "no token": lambda privy: "gw_live_" + "x" * 43,
}


def count_accounts(stack: LocalStack) -> int:
    with psycopg.connect(stack.database_url) as session:
        row = session.execute("select count(*) from gateway.accounts where privy_id = %s", (WHO,)).fetchone()
    assert row is not None
    return int(row[0])


@pytest.mark.parametrize("forge", FORGERIES.values(), ids=FORGERIES.keys())
async def test_a_forged_token_signs_nobody_in_and_is_no_key(
    gateway: RunningGateway, stack: LocalStack, privy: PrivyTokens, forge: Callable[[PrivyTokens], str]
) -> None:
    token = forge(privy)
    refused = await sign_in(gateway, token=token)
    assert (refused.status, refused.error["code"]) == (401, "invalid_token")
    assert refused.headers["x-should-retry"] == "false"
    assert token.encode() not in refused.raw
    as_bearer = await call_with(gateway, token)
    assert as_bearer.status == 401
    assert as_bearer.error["code"] in {"invalid_token", "invalid_api_key"}
    assert count_accounts(stack) == 0


async def test_an_access_token_is_no_identity_token(gateway: RunningGateway, privy: PrivyTokens) -> None:
    refused = await sign_in(gateway, identity_token=privy.access(WHO))
    assert (refused.status, refused.error["code"]) == (401, "invalid_token")


BODIES: list[tuple[dict[str, Any], str | None]] = [
    ({}, "token"),
    ({"token": "a.b.c", "identity_token": "a.b.c"}, "token"),
    ({"token": None}, "token"),
    ({"token": ""}, "token"),
    ({"token": 7}, "token"),
    ({"token": ["secret-in-a-list"]}, "token"),
    ({"token": "secret" * 4000}, "token"),
    ({"token": "a.b.c", "referral_code": "no spaces"}, "referral_code"),
    ({"token": "a.b.c", "referral_code": "x" * 65}, "referral_code"),
    ({"token": "a.b.c", "email": "someone.else@example.com"}, "email"),
    ({"token": "a.b.c", "privy_id": WHO}, "privy_id"),
]


@pytest.mark.parametrize(("body", "param"), BODIES)
async def test_a_body_that_is_not_as_described_names_its_field_and_repeats_nothing(
    gateway: RunningGateway, body: dict[str, Any], param: str
) -> None:
    refused = await sign_in(gateway, **body)
    assert (refused.status, refused.error["code"], refused.error["param"]) == (400, "invalid_request", param)
    assert b"secret" not in refused.raw
    assert b"someone.else" not in refused.raw


async def test_without_an_app_at_privy_the_route_says_what_is_missing_and_keys_go_on(
    start_gateway: Gateways, gateway: RunningGateway, privy: PrivyTokens
) -> None:
    key = (await sign_in(gateway, token=privy.access(new_privy_id()))).json["api_key"]
    without = start_gateway(PRIVY_APP_ID=None, PRIVY_JWKS_URL=None)
    refused = await sign_in(without, token=privy.access(WHO))
    assert (refused.status, refused.error["code"]) == (501, "not_configured")
    assert "PRIVY_APP_ID" in refused.error["message"]
    assert await is_let_in(without, key)
    as_bearer = await call_with(without, privy.access(WHO))
    assert (as_bearer.status, as_bearer.error["code"]) == (401, "invalid_api_key")


async def test_while_privys_keys_are_away_a_token_is_503_and_a_forgery_still_401(
    start_gateway: Gateways, privy: PrivyTokens
) -> None:
    alone = start_gateway(PRIVY_JWKS_URL=NOWHERE)
    for answer in (await sign_in(alone, token=privy.access(WHO)), await call_with(alone, privy.access(WHO))):
        assert (answer.status, answer.error["code"]) == (503, "identity_provider_unavailable")
        assert (answer.headers["x-should-retry"], answer.headers["Retry-After"]) == ("true", "2")
    without_a_key = {"an unknown key", "another's signature"}
    for name in FORGERIES.keys() - without_a_key:
        assert (await sign_in(alone, token=FORGERIES[name](privy))).status == 401, name


async def test_a_key_in_the_settings_needs_no_privy_and_follows_none(
    start_gateway: Gateways, privy: PrivyTokens
) -> None:
    pem = privy.key.public_pem.replace("\n", "\\n")
    alone = start_gateway(PRIVY_VERIFICATION_KEY=pem, PRIVY_JWKS_URL=None)
    assert (await sign_in(alone, token=privy.access(new_privy_id()))).json["is_new_user"] is True
    other = SigningKey.generate()
    assert (await sign_in(alone, token=other.sign(privy.access_claims(WHO)))).status == 401


@pytest.fixture
def own_gateway(start_gateway: Gateways) -> Iterator[RunningGateway]:
    """One whose log is this test's alone."""
    yield start_gateway()


async def test_no_token_key_or_address_of_a_person_is_logged(own_gateway: RunningGateway, privy: PrivyTokens) -> None:
    who, address = new_privy_id(), "ada.logged@example.com"
    token, identity_token = privy.access(who), privy.identity(who, address)
    answer = await sign_in(own_gateway, identity_token=identity_token, headers={"Idempotency-Key": "logged-1"})
    await sign_in(own_gateway, token=token)
    await call_with(own_gateway, token)
    await sign_in(own_gateway, token=token[:-4] + "AAAA")
    await sign_in(own_gateway, token=token, email=address)
    log = own_gateway.log_text()
    assert log.count('"path": "/auth/privy"') == 4
    for secret in (token, identity_token, answer.json["api_key"]):
        for part in (secret, secret[-30:], secret[20:60]):
            assert part not in log
    assert who not in log
    assert address not in log


async def test_without_a_database_it_is_503_and_nobody_is_half_made(
    own_gateway: RunningGateway, stack: LocalStack, privy: PrivyTokens
) -> None:
    who = new_privy_id()
    with stack.without("supabase-front"):
        answer = await sign_in(own_gateway, token=privy.access(who))
        assert (answer.status, answer.error["code"]) == (503, "storage_unavailable")
    assert (await sign_in(own_gateway, token=privy.access(who))).json["is_new_user"] is True


async def test_without_redis_people_are_let_in(
    own_gateway: RunningGateway, stack: LocalStack, privy: PrivyTokens
) -> None:
    with stack.without("redis-rest"):
        answer = await sign_in(own_gateway, token=privy.access(new_privy_id()))
        assert (answer.status, answer.json["is_new_user"]) == (200, True)


async def test_a_body_that_is_no_object_is_refused(gateway: RunningGateway) -> None:
    for body in (b"", b"[]", b'"token"', json.dumps({"token": "x"}).encode()[:-1]):
        async with (
            aiohttp.ClientSession() as session,
            session.post(f"{gateway.url}/auth/privy", data=body) as response,
        ):
            assert response.status == 400
