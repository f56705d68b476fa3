"""Where Privy's keys come from: read when one is lacking, kept while Privy is away, and never at a forger's pace."""

import asyncio
import json
import time

import aiohttp
import pytest
from aiohttp import web

from infra.local.privy_tokens import SigningKey
from shared.clients.key_set import (
    COOL_DOWN_S,
    DEADLINE_S,
    FAILED_COOL_DOWN_S,
    MAX_AGE_S,
    MAX_BYTES,
    MAX_STALE_S,
    REFRESH_PAUSE_S,
    KeySet,
)
from shared.clients.privy import IdentityProviderUnavailable, InvalidToken, Privy
from tests.harness.privy import PrivyTokens, new_privy_id
from tests.shared.clients.privy_world import PERSON, Answer, World


async def test_the_key_set_is_read_once_for_any_number_of_tokens(world: World) -> None:
    world.server.delay_s = 0.1
    people = [new_privy_id() for _ in range(50)]
    answers = await asyncio.gather(*(world.privy.verify_access_token(world.tokens.access(who)) for who in people))
    assert answers == people
    assert world.server.reads == 1


async def test_a_new_key_of_privys_is_picked_up_when_its_first_token_comes(world: World) -> None:
    await world.privy.verify_access_token(world.tokens.access(PERSON))
    newer = PrivyTokens(SigningKey.generate())
    world.server.keys = [newer.key, world.tokens.key]
    world.clock.now_s += COOL_DOWN_S
    assert await world.privy.verify_access_token(newer.access(PERSON)) == PERSON
    assert await world.privy.verify_access_token(world.tokens.access(PERSON)) == PERSON
    assert world.server.reads == 2


async def test_a_key_that_privy_withdrew_is_believed_for_an_hour_at_most(world: World) -> None:
    await world.privy.verify_access_token(world.tokens.access(PERSON))
    world.server.keys = [SigningKey.generate()]
    world.clock.now_s += MAX_AGE_S + 1
    with pytest.raises(InvalidToken):
        await world.privy.verify_access_token(world.tokens.access(PERSON))


async def test_200_forgeries_at_once_with_unknown_keys_make_one_request_a_cool_down(world: World) -> None:
    async def forge() -> type[BaseException]:
        with pytest.raises((InvalidToken, IdentityProviderUnavailable)) as refused:
            await world.privy.verify_access_token(SigningKey.generate().sign(world.tokens.access_claims(PERSON)))
        return refused.type

    for flood in range(1, 4):
        world.server.delay_s = 0.05
        assert await asyncio.gather(*(forge() for _ in range(200))) == [InvalidToken] * 200
        assert world.server.reads == flood
        world.clock.now_s += COOL_DOWN_S


async def test_an_unknown_key_while_the_set_is_away_is_503_and_asked_for_once_a_cool_down(world: World) -> None:
    world.server.is_down()
    for _ in range(3):
        with pytest.raises(IdentityProviderUnavailable) as refused:
            await world.privy.verify_access_token(world.tokens.access(PERSON))
        assert (refused.value.status, refused.value.is_retryable) == (503, True)
    assert world.server.reads == 1
    world.server.answer = lambda: web.json_response({"keys": [world.tokens.key.jwk]})
    world.clock.now_s += FAILED_COOL_DOWN_S
    assert await world.privy.verify_access_token(world.tokens.access(PERSON)) == PERSON


async def test_a_key_that_we_have_works_while_the_set_is_away_for_a_day(world: World) -> None:
    token = world.tokens.access(PERSON)
    await world.privy.verify_access_token(token)
    world.server.is_down()
    world.clock.now_s += MAX_AGE_S + 1
    for _ in range(5):
        assert await world.privy.verify_access_token(token) == PERSON
        world.clock.now_s += REFRESH_PAUSE_S / 6
    assert world.server.reads == 2
    world.clock.now_s += REFRESH_PAUSE_S
    assert await world.privy.verify_access_token(token) == PERSON
    assert world.server.reads == 3
    with pytest.raises(IdentityProviderUnavailable):
        await world.privy.verify_access_token(SigningKey.generate().sign(world.tokens.access_claims(PERSON)))
    world.clock.now_s += MAX_STALE_S
    with pytest.raises(IdentityProviderUnavailable):
        await world.privy.verify_access_token(token)


async def test_nobody_with_a_known_key_waits_for_a_slow_refresh_but_the_one_who_makes_it(world: World) -> None:
    token = world.tokens.access(PERSON)
    await world.privy.verify_access_token(token)
    world.clock.now_s += MAX_AGE_S + 1
    world.server.delay_s = 0.5
    first = asyncio.create_task(world.privy.verify_access_token(token))
    await asyncio.sleep(0.05)
    async with asyncio.timeout(0.3):
        assert await world.privy.verify_access_token(token) == PERSON
    assert not first.done()
    assert await first == PERSON


async def test_whoever_leaves_while_the_set_is_read_does_not_keep_others_from_it(world: World) -> None:
    world.server.delay_s = 0.3
    first = asyncio.create_task(world.privy.verify_access_token(world.tokens.access(PERSON)))
    await asyncio.sleep(0.05)
    first.cancel()
    assert await world.privy.verify_access_token(world.tokens.access(PERSON)) == PERSON


async def test_a_slow_set_is_given_up_at_its_deadline(world: World) -> None:
    world.server.delay_s = DEADLINE_S + 5
    started_s = time.monotonic()
    with pytest.raises(IdentityProviderUnavailable):
        await world.privy.verify_access_token(world.tokens.access(PERSON))
    assert time.monotonic() - started_s < DEADLINE_S + 1


def _set_of(*keys: object) -> Answer:
    return lambda: web.json_response({"keys": list(keys)})


P256 = SigningKey.generate().jwk
BAD_SETS: dict[str, Answer] = {
    "huge": lambda: web.Response(body=json.dumps({"keys": [P256]}).encode() + b" " * MAX_BYTES),
    "an error": lambda: web.Response(status=500),
    "a redirect": lambda: web.Response(status=302, headers={"Location": "/elsewhere.json"}),
    "an empty answer": lambda: web.Response(status=204),
    "a page": lambda: web.Response(text="<html>", content_type="text/html"),
    "not UTF-8": lambda: web.Response(body=b'{"keys": ["\xff"]}'),
    "a list": lambda: web.json_response([P256]),
    "no keys": _set_of(),
    "keys that are none": _set_of(1, None, "key", {}, {"kid": 7}),
    "keys for other algorithms": _set_of(
        P256 | {"alg": "HS256", "kty": "oct"}, P256 | {"use": "enc"}, P256 | {"crv": "P-384"}, {**P256, "kty": "RSA"}
    ),
    "deep brackets": lambda: web.Response(body=b'{"keys": ' + b"[" * 50_000),
}


@pytest.mark.parametrize("answer", BAD_SETS.values(), ids=BAD_SETS.keys())
async def test_what_is_no_key_set_counts_as_none_and_costs_no_key_that_we_have(world: World, answer: Answer) -> None:
    good = world.server.answer
    world.server.answer = answer
    with pytest.raises(IdentityProviderUnavailable):
        await world.privy.verify_access_token(world.tokens.access(PERSON))
    world.server.answer = good
    world.clock.now_s += FAILED_COOL_DOWN_S
    token = world.tokens.access(PERSON)
    await world.privy.verify_access_token(token)
    world.server.answer = answer
    world.clock.now_s += MAX_AGE_S + 1
    assert await world.privy.verify_access_token(token) == PERSON


async def test_a_set_with_strange_keys_beside_ours_is_read_all_the_same(world: World) -> None:
    world.server.answer = _set_of(None, {"kty": "RSA", "kid": "r", "n": "AQ", "e": "AQAB"}, world.tokens.key.jwk)
    assert await world.privy.verify_access_token(world.tokens.access(PERSON)) == PERSON


async def test_a_key_whose_point_is_on_no_curve_verifies_nothing(world: World) -> None:
    world.server.answer = _set_of(world.tokens.key.jwk | {"x": "AAAA"})
    with pytest.raises(InvalidToken):
        await world.privy.verify_access_token(world.tokens.access(PERSON))


async def test_a_set_that_nobody_serves_is_503(static: tuple[Privy, PrivyTokens]) -> None:
    _, tokens = static
    async with aiohttp.ClientSession() as session:
        privy = Privy(tokens.app_id, KeySet(session, "http://127.0.0.1:1/jwks.json"))
        with pytest.raises(IdentityProviderUnavailable):
            await privy.verify_access_token(tokens.access(PERSON))
