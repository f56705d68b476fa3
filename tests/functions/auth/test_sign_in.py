"""POST /auth/privy over HTTP, and the access token as Bearer elsewhere."""

import asyncio

import psycopg

from tests.functions.auth.client import call_with, is_let_in, sign_in
from tests.harness.gateways import RunningGateway
from tests.harness.privy import PrivyTokens, new_privy_id

READ_PERSON = "select id, email, email_normalised from gateway.accounts where privy_id = %s"


def read_person(database_url: str, privy_id: str) -> tuple[int, str | None, str | None] | None:
    with psycopg.connect(database_url) as session:
        row = session.execute(READ_PERSON.encode(), (privy_id,)).fetchone()
    return None if row is None else (row[0], row[1], row[2])


async def test_someone_new_gets_an_account_and_a_key_that_works(
    gateway: RunningGateway, privy: PrivyTokens, database_url: str
) -> None:
    who = new_privy_id()
    answer = await sign_in(gateway, token=privy.access(who))
    assert answer.status == 200
    assert answer.json["is_new_user"] is True
    assert answer.json["api_key"].startswith("gw_live_")
    assert await is_let_in(gateway, answer.json["api_key"])
    person = read_person(database_url, who)
    assert person is not None
    assert answer.json["user"] == {
        "id": f"user_{person[0]}",
        "email": None,
        "name": None,
        "status": "active",
        "plan": "free",
        "created_at": answer.json["user"]["created_at"],
    }
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["x-ratelimit-limit-requests"] == "20"


async def test_who_comes_again_gets_no_second_key(gateway: RunningGateway, privy: PrivyTokens) -> None:
    who = new_privy_id()
    first = await sign_in(gateway, token=privy.access(who))
    again = await sign_in(gateway, token=privy.access(who))
    assert (again.status, again.json["is_new_user"], again.json["api_key"]) == (200, False, None)
    assert again.json["user"] == first.json["user"]


async def test_the_short_path_is_the_same(gateway: RunningGateway, privy: PrivyTokens) -> None:
    who = new_privy_id()
    first = await sign_in(gateway, path="/auth", token=privy.access(who))
    assert first.json["is_new_user"] is True
    assert (await sign_in(gateway, token=privy.access(who))).json["user"] == first.json["user"]


async def test_an_identity_token_brings_the_address_and_an_access_token_leaves_it(
    gateway: RunningGateway, privy: PrivyTokens, database_url: str
) -> None:
    who = new_privy_id()
    await sign_in(gateway, token=privy.access(who))
    answer = await sign_in(gateway, identity_token=privy.identity(who, "Ada.L+shop@GoogleMail.com"))
    assert answer.json["user"]["email"] == "Ada.L+shop@GoogleMail.com"
    assert (await sign_in(gateway, token=privy.access(who))).json["user"]["email"] == "Ada.L+shop@GoogleMail.com"
    person = read_person(database_url, who)
    assert person is not None
    assert person[2] == "adal@gmail.com"


async def test_one_address_does_not_make_two_people_one(gateway: RunningGateway, privy: PrivyTokens) -> None:
    address = f"{new_privy_id()[-8:]}@example.com"
    one = await sign_in(gateway, identity_token=privy.identity(new_privy_id(), address))
    other = await sign_in(gateway, identity_token=privy.identity(new_privy_id(), address))
    assert one.json["user"]["id"] != other.json["user"]["id"]
    assert (one.json["is_new_user"], other.json["is_new_user"]) == (True, True)


async def test_20_first_sign_ins_at_once_make_one_account_and_the_one_key_that_was_shown_works(
    gateway: RunningGateway, privy: PrivyTokens
) -> None:
    who = new_privy_id()
    tokens = [privy.access(who) for _ in range(20)]
    answers = await asyncio.gather(*(sign_in(gateway, token=token) for token in tokens))
    assert [answer.status for answer in answers] == [200] * 20
    assert len({answer.json["user"]["id"] for answer in answers}) == 1
    (key,) = [answer.json["api_key"] for answer in answers if answer.json["api_key"] is not None]
    assert [answer.json["api_key"] for answer in answers if answer.json["is_new_user"]] == [key]
    assert await is_let_in(gateway, key)


async def test_the_access_token_is_accepted_where_a_key_is_as_soon_as_its_owner_has_signed_in(
    gateway: RunningGateway, privy: PrivyTokens
) -> None:
    who = new_privy_id()
    stranger = await call_with(gateway, privy.access(who))
    assert (stranger.status, stranger.error["code"]) == (401, "sign_in_required")
    await sign_in(gateway, token=privy.access(who))
    assert await is_let_in(gateway, privy.access(who))


async def test_an_identity_token_opens_nothing_but_the_door(gateway: RunningGateway, privy: PrivyTokens) -> None:
    who = new_privy_id()
    await sign_in(gateway, identity_token=privy.identity(who))
    answer = await call_with(gateway, privy.identity(who))
    assert (answer.status, answer.error["code"]) == (401, "invalid_token")


async def test_the_same_request_again_under_its_idempotency_key_shows_the_first_key_again(
    gateway: RunningGateway, privy: PrivyTokens
) -> None:
    headers, token = {"Idempotency-Key": new_privy_id()}, privy.access(new_privy_id())
    first = await sign_in(gateway, token=token, headers=headers)
    again = await sign_in(gateway, token=token, headers=headers)
    assert first.json["is_new_user"] is True
    assert again.json == first.json
    assert ("Idempotent-Replayed" in first.headers, again.headers["Idempotent-Replayed"]) == (False, "true")
    assert await is_let_in(gateway, again.json["api_key"])


async def test_who_asks_again_with_a_renewed_token_or_at_the_other_path_is_shown_the_first_key_again(
    gateway: RunningGateway, privy: PrivyTokens
) -> None:
    headers, who = {"Idempotency-Key": new_privy_id()}, new_privy_id()
    first = await sign_in(gateway, token=privy.access(who), headers=headers)
    others = [
        await sign_in(gateway, token=privy.access(who, sid="another"), headers=headers),
        await sign_in(gateway, path="/auth", token=privy.access(who), headers=headers),
        await sign_in(gateway, identity_token=privy.identity(who), headers=headers),
    ]
    assert first.json["is_new_user"] is True
    assert [(other.status, other.json) for other in others] == [(200, first.json)] * 3


async def test_an_idempotency_key_is_its_owners_and_of_one_content(gateway: RunningGateway, privy: PrivyTokens) -> None:
    headers, who = {"Idempotency-Key": new_privy_id()}, new_privy_id()
    await sign_in(gateway, token=privy.access(who), headers=headers)
    reused = await sign_in(gateway, token=privy.access(who), referral_code="friend", headers=headers)
    assert (reused.status, reused.error["code"]) == (409, "idempotency_key_reused")
    other = await sign_in(gateway, token=privy.access(new_privy_id()), headers=headers)
    assert other.json["is_new_user"] is True


async def test_one_person_is_held_to_the_requests_of_his_plan_and_is_never_refused_his_key(
    gateway: RunningGateway, privy: PrivyTokens
) -> None:
    who = new_privy_id()
    tokens = [privy.access(who) for _ in range(24)]
    answers = await asyncio.gather(*(sign_in(gateway, token=token) for token in tokens))
    assert sum(answer.status == 200 and answer.json["api_key"] is not None for answer in answers) == 1
    late = await sign_in(gateway, token=tokens[0])
    assert (late.status, late.error["code"]) == (429, "rate_limit_requests")
    assert int(late.headers["Retry-After"]) > 0
