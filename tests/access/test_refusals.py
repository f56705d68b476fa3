"""The matrix: every route of every function, and everyone who may not call it."""

import re
from dataclasses import replace

import aiohttp
import pytest
import pytest_asyncio

from infra.local.stack import LocalStack
from tests.access.intruders import SUSPEND, UNKNOWN_KEY, Intruder
from tests.access.people import AS_SCHEDULER, Owner, Town
from tests.access.requests import REQUESTS, ROUTES, bearer, call, name_of, path_of, routes_for, send
from tests.access.tables import digest_all
from tests.functions.chat.client import HELLO, PATH, Answer
from tests.functions.keys.client import KEYS, run_sql
from tests.functions.test_access import DeclaredRoute
from tests.harness.simulator import Simulator

# Written when somebody is refused, once an hour for a key.
SECURITY_LOG = ("audit_log",)
# What no two answers have in common.
OF_ITS_OWN = ("x-request-id", "request-id", "date")


def named(routes: list[DeclaredRoute]) -> list[object]:
    return [pytest.param(route, id=name_of(route)) for route in routes]


WITH_KEY, OF_ADMINS, WITH_CRON_SECRET, PUBLIC = map(routes_for, ("key", "admin", "cron_secret", "public"))


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def reader(town: Town) -> Owner:
    return await town.new_owner()


def told(route: DeclaredRoute, answer: Answer) -> tuple[int, str]:
    """Return what somebody was told, after looking whether a refusal has the contract's shape."""
    if answer.status < 400 or route.method == "HEAD":
        return answer.status, ""
    error = answer.error
    if answer.status < 500:
        assert (error["retryable"], answer.headers["x-should-retry"]) == (False, "false")
    assert ("WWW-Authenticate" in answer.headers) == (answer.status == 401)
    assert error["code"] == "not_configured" or answer.status < 500
    return answer.status, error["code"]


def test_every_route_has_a_request_here_and_every_request_its_route() -> None:
    assert sorted(REQUESTS) == sorted(ROUTES)


def test_the_matrix_has_everyone_in_it(intruders: list[Intruder]) -> None:
    assert len(WITH_KEY) > 25
    assert len({intruder.name for intruder in intruders}) == len(intruders) > 30


@pytest.mark.parametrize("route", named(list(ROUTES.values())))
async def test_whoever_may_call_a_route_is_answered(
    stack: LocalStack, town: Town, session: aiohttp.ClientSession, reader: Owner, route: DeclaredRoute
) -> None:
    owner = reader if route.method == "GET" else await town.new_owner()
    operator = bearer(stack.credentials.admin_api_key)
    headers = {"key": bearer(owner.holder.secret), "admin": operator, "cron_secret": AS_SCHEDULER, "public": {}}[
        route.access.admits
    ]
    answer = await send(session, route, owner.belongings, headers)
    assert answer.status == REQUESTS[name_of(route)].status, answer.raw


@pytest.mark.parametrize("route", named(WITH_KEY))
async def test_who_may_not_call_a_route_is_told_why_and_nothing_changes(
    stack: LocalStack,
    session: aiohttp.ClientSession,
    simulator: Simulator,
    intruders: list[Intruder],
    route: DeclaredRoute,
) -> None:
    before, asked = digest_all(stack.database_url, but=SECURITY_LOG), simulator.last_seq()
    answered = (REQUESTS[name_of(route)].status, "")
    met, expected, of_no_key = {}, {}, {}
    for intruder in [each for each in intruders if not may_change(each, route)]:
        answer = await send(session, route, intruder.belongings, intruder.headers(route))
        met[intruder.name] = told(route, answer)
        expected[intruder.name] = intruder.verdict(route) or answered
        if expected[intruder.name] == UNKNOWN_KEY:
            of_no_key[intruder.name] = without_what_is_its_own(answer)
    assert met == expected
    assert digest_all(stack.database_url, but=SECURITY_LOG) == before
    assert simulator.last_seq() == asked
    # Keys that do not work cannot be told apart.
    assert len(of_no_key) > 15
    assert {name for name, answer in of_no_key.items() if answer != of_no_key["an unknown key"]} == set()


@pytest.mark.parametrize("route", named(OF_ADMINS))
async def test_nobody_but_who_operates_the_gateway_sees_or_changes_anything_as_an_admin(
    stack: LocalStack, town: Town, session: aiohttp.ClientSession, intruders: list[Intruder], route: DeclaredRoute
) -> None:
    owner, key = await town.new_owner(), stack.credentials.admin_api_key
    presented = {each.name: (each.headers(route), each.verdict(route)) for each in intruders}
    presented |= {
        "an owner": (bearer(owner.holder.secret), None),
        "someone signed in": (bearer(owner.person.secret), None),
        "half the key": (bearer(key[:-1]), UNKNOWN_KEY),
        "more than the key": (bearer(f"{key}0"), UNKNOWN_KEY),
        "the key in capitals": (bearer(key.upper()), UNKNOWN_KEY),
        "the scheduler": (AS_SCHEDULER, UNKNOWN_KEY),
        "what is no text": ({"Authorization": "Bearer \xe9"}, UNKNOWN_KEY),
    }
    before = digest_all(stack.database_url, but=SECURITY_LOG)
    met = {}
    for name, (headers, _) in presented.items():
        met[name] = told(route, await send(session, route, owner.belongings, headers))
    assert met == {name: verdict or (403, "admin_required") for name, (_, verdict) in presented.items()}
    assert digest_all(stack.database_url, but=SECURITY_LOG) == before


def may_change(intruder: Intruder, route: DeclaredRoute) -> bool:
    looks = route.method == "GET" or str(route.access.scope).endswith(":read")
    return not looks and intruder.verdict(route) is None


async def test_who_may_change_something_all_the_same_is_someone_suspended_or_disputed_who_ends_a_key(
    town: Town, session: aiohttp.ClientSession, intruders: list[Intruder]
) -> None:
    changing = {(name_of(route), each.name) for route in WITH_KEY for each in intruders if may_change(each, route)}
    # Who is suspended may pay what he owes.
    billing = {name_of(route) for route in WITH_KEY if route.access.scope == "billing:write"}
    assert {name for name, _ in changing} == {"DELETE /user/api-keys/{key_id}"} | billing
    assert all(
        name.endswith(("suspended account", "disputed account", "is suspended", "is disputed")) for _, name in changing
    )
    owner = await town.new_owner()
    key = await owner.holder.make(name="leaked")
    run_sql(owner.database_url, SUSPEND, owner.account_id)
    answer = await call(session, "DELETE", f"{KEYS}/{key.id}", bearer(owner.holder.secret))
    assert answer.status == 204
    assert told(ROUTES["GET /v1/key"], await call(session, "GET", "/v1/key", bearer(key.secret))) == UNKNOWN_KEY


def without_what_is_its_own(answer: Answer) -> tuple[int, bytes, dict[str, str]]:
    assert answer.headers["X-Request-Id"].encode() in answer.raw
    body = answer.raw.replace(answer.headers["X-Request-Id"].encode(), b"req_")
    headers = {name.lower(): value for name, value in answer.headers.items() if name.lower() not in OF_ITS_OWN}
    return answer.status, body, headers


async def test_a_stream_is_refused_before_it_begins(
    stack: LocalStack, session: aiohttp.ClientSession, simulator: Simulator, intruders: list[Intruder]
) -> None:
    before, asked = digest_all(stack.database_url, but=SECURITY_LOG), simulator.last_seq()
    (route,) = [route for route in WITH_KEY if route.path == PATH]
    met = {}
    for intruder in intruders:
        body = {"model": intruder.belongings.model_id, "messages": HELLO, "stream": True}
        met[intruder.name] = told(route, await call(session, "POST", PATH, intruder.headers(route), body))
    assert met == {intruder.name: intruder.verdict(route) for intruder in intruders}
    assert digest_all(stack.database_url, but=SECURITY_LOG) == before
    assert simulator.last_seq() == asked


@pytest.mark.parametrize("route", named(WITH_CRON_SECRET))
async def test_no_key_and_no_token_starts_a_job(
    stack: LocalStack,
    town: Town,
    session: aiohttp.ClientSession,
    intruders: list[Intruder],
    route: DeclaredRoute,
) -> None:
    owner, secret = await town.new_owner(), AS_SCHEDULER["Authorization"]
    presented = {intruder.name: intruder.headers(route) for intruder in intruders}
    presented |= {
        "an owner": bearer(owner.holder.secret),
        "someone signed in": bearer(owner.person.secret),
        "half the secret": {"Authorization": secret[:-1]},
        "more than the secret": {"Authorization": f"{secret}s"},
        "the secret in capitals": {"Authorization": secret.upper()},
        "the secret as a key": {"x-api-key": secret.removeprefix("Bearer ")},
        "no secret": {"Authorization": "Bearer"},
        "what is no text": {"Authorization": "Bearer \xe9"},
        "a scheduler's name": {"User-Agent": "vercel-cron/1.0", "x-vercel-cron": "1"},
    }
    before = digest_all(stack.database_url)
    met = {
        name: told(route, await send(session, route, owner.belongings, headers)) for name, headers in presented.items()
    }
    assert met == dict.fromkeys(presented, (401, "wrong_cron_secret"))
    assert digest_all(stack.database_url) == before


@pytest.mark.parametrize("route", named([route for route in PUBLIC if route.method != "POST"]))
async def test_what_is_public_asks_nobody_for_a_key(
    session: aiohttp.ClientSession, intruders: list[Intruder], route: DeclaredRoute
) -> None:
    answers = {
        intruder.name: await send(session, route, intruder.belongings, intruder.headers(route))
        for intruder in intruders
    }
    assert {answer.status for answer in answers.values()} == {REQUESTS[name_of(route)].status}
    assert not [
        name for name, answer in answers.items() if any(re.match("x-ratelimit", each) for each in answer.headers)
    ]


@pytest.mark.parametrize("route", named([route for route in PUBLIC if route.path.startswith("/auth")]))
async def test_nobody_signs_in_with_what_is_no_token_of_his(
    stack: LocalStack,
    session: aiohttp.ClientSession,
    intruders: list[Intruder],
    route: DeclaredRoute,
) -> None:
    before, met = digest_all(stack.database_url), {}
    for intruder in intruders:
        headers = intruder.headers(route)
        if intruder.verdict(route) in (UNKNOWN_KEY, (401, "invalid_token")) and "Authorization" in headers:
            belongings = replace(intruder.belongings, token=headers["Authorization"].removeprefix("Bearer "))
            met[intruder.name] = told(route, await send(session, route, belongings, {}))
    assert len(met) > 20
    assert met == dict.fromkeys(met, (401, "invalid_token"))
    assert digest_all(stack.database_url) == before


@pytest.mark.parametrize("route", named([route for route in ROUTES.values() if route.method in {"GET", "POST"}]))
async def test_another_spelling_of_a_path_sends_nobody_elsewhere(
    session: aiohttp.ClientSession, town: Town, reader: Owner, route: DeclaredRoute
) -> None:
    """A redirect would have a client send its key again, to a name and over a scheme that the request chose."""
    path, headers = path_of(route, reader.belongings), {**bearer(reader.holder.secret), "Host": "evil.example"}
    for spelling in (f"{path}/", f"/{path}", path.upper()):
        url = town.gateway.url + spelling
        async with session.request(route.method, url, headers=headers, allow_redirects=False) as response:
            assert response.status not in range(300, 400)
            assert "Location" not in response.headers
            assert b"evil.example" not in await response.read()
