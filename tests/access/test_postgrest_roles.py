"""What the publishable key and the token of a signed-in user may do through PostgREST: nothing."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import psycopg
import pytest

from infra.local.credentials import JWT_EXPIRES_AT_S, sign_jwt
from infra.local.stack import LocalStack
from tests.access.people import Owner, Town
from tests.access.requests import bearer
from tests.access.tables import digest_all
from tests.functions.chat.client import TIMEOUT
from tests.harness.privy import hmac_signed_token, unsigned_token
from tests.infra.supabase.catalog import Function, read_functions, read_relations

PREFIX = "/rest/v1"
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
# No right; none of the exposed schemas; no such table; no such function; not by PUT, where the table is not known.
CLOSED = {"42501", "PGRST106", "PGRST205", "PGRST202", "PGRST105"}
ONLY_EXPOSED = {"PGRST106"}


@dataclass(frozen=True, slots=True)
class Outsider:
    """Someone with what a browser may have."""

    name: str
    headers: dict[str, str] = field(repr=False)
    status: int


@dataclass(frozen=True, slots=True)
class Told:
    """What PostgREST answered; code is None where it was no refusal of PostgREST's."""

    status: int
    code: str | None
    body: Any


def outsiders(stack: LocalStack) -> list[Outsider]:
    credentials = stack.credentials
    publishable, anon = {"apikey": credentials.publishable_key}, credentials.role_jwt("anon")
    claims: dict[str, str | int] = {"role": "authenticated", "exp": JWT_EXPIRES_AT_S, "aud": "authenticated"}
    token = sign_jwt({**claims, "sub": "0b5ad83a-2f0e-4d9c-9f4e-2f7a4f2d6c11"}, credentials.jwt_secret)
    return [
        Outsider("the publishable key", publishable, 401),
        Outsider("the legacy anon key", {"apikey": anon, **bearer(anon)}, 401),
        Outsider("a signed-in user", {**publishable, **bearer(token)}, 403),
        Outsider("a signed-in user by the legacy key", {"apikey": anon, **bearer(token)}, 403),
    ]


@pytest.fixture(params=range(4), ids=["publishable", "legacy anon", "signed in", "signed in, legacy"])
def outsider(stack: LocalStack, request: pytest.FixtureRequest) -> Outsider:
    number: int = request.param
    return outsiders(stack)[number]


@pytest.fixture
def owner(stack: LocalStack) -> Iterator[psycopg.Connection]:
    with psycopg.connect(stack.database_url, autocommit=True) as session:
        yield session


@pytest.fixture
async def front(stack: LocalStack) -> Any:
    async with aiohttp.ClientSession(stack.supabase_url, timeout=TIMEOUT) as session:
        yield session


async def ask(
    front: aiohttp.ClientSession, method: str, path: str, headers: dict[str, str], body: object = None
) -> Told:
    async with front.request(method, f"{PREFIX}/{path}", json=body, headers=headers) as response:
        content = await response.json() if await response.read() else None
    code = content.get("code") if isinstance(content, dict) else None
    return Told(response.status, code, content)


def profiles(schema: str) -> list[dict[str, str]]:
    """Return how a request names its schema: not at all, and by name."""
    return [{}, {"Accept-Profile": schema, "Content-Profile": schema}]


async def test_no_table_is_read_or_changed(
    stack: LocalStack, front: aiohttp.ClientSession, owner: psycopg.Connection, town: Town, outsider: Outsider
) -> None:
    await town.new_owner()
    relations, before, met = read_relations(owner), digest_all(stack.database_url), {}
    assert {relation.schema for relation in relations} >= {"gateway", "supabase_migrations"}
    assert len(relations) > 30
    for relation in relations:
        for profile in profiles(relation.schema):
            for method in METHODS:
                body = None if method in {"GET", "HEAD", "DELETE"} else {"id": 1}
                told = await ask(front, method, relation.name, {**outsider.headers, **profile}, body)
                met[method, relation.full_name, bool(profile)] = told
    assert {at: told for at, told in met.items() if not is_closed(told, outsider)} == {}
    assert digest_all(stack.database_url) == before


def is_closed(told: Told, outsider: Outsider) -> bool:
    """Tell whether it was refused, and with nothing in the answer; PostgREST says {} to a change of no table."""
    if told.status == 404 and told.body in (None, {}):
        return True
    if told.status in {406, outsider.status} and told.body is None:
        return True
    return told.status in {404, 405, 406, outsider.status} and told.code in CLOSED


async def test_no_function_is_called(
    stack: LocalStack, front: aiohttp.ClientSession, owner: psycopg.Connection, town: Town, outsider: Outsider
) -> None:
    someone = await town.new_owner()
    functions, before = read_functions(owner), digest_all(stack.database_url)
    met: dict[tuple[str, str], Told] = {}
    assert {function.schema for function in functions} == {"api", "gateway"}
    for function in functions:
        arguments, path = likely_arguments(function, someone), f"rpc/{function.name}"
        for profile in profiles(function.schema):
            headers = {**outsider.headers, **profile}
            met[function.signature, f"POST {profile}"] = await ask(front, "POST", path, headers, arguments)
        met[function.signature, "GET"] = await ask(front, "GET", path, outsider.headers)
    opened = {at: told for at, told in met.items() if not is_closed(told, outsider)}
    assert opened == {}
    of_api = {told.code for (name, how), told in met.items() if name.startswith("api.") and how != "GET"}
    assert of_api == {"42501"}
    assert digest_all(stack.database_url) == before


def likely_arguments(function: Function, someone: Owner) -> dict[str, Any]:
    """Return arguments that a function could work with: somebody's account, and small numbers."""
    by_name = {"p_account_id": someone.account_id, "p_limit": 10, "p_caller": {"key_hmacs": ["00" * 32], "scope": None}}
    return {name: by_name.get(name) for name in function.argument_names}


async def test_nothing_is_described(front: aiohttp.ClientSession, outsider: Outsider) -> None:
    told = await ask(front, "GET", "", outsider.headers)
    assert told.status == 200
    assert list(told.body["paths"]) == ["/"]
    assert told.body.get("definitions") in (None, {})


@pytest.mark.parametrize("schema", ["gateway", "public", "extensions", "pg_catalog", "information_schema", "auth"])
async def test_no_other_schema_is_exposed(front: aiohttp.ClientSession, outsider: Outsider, schema: str) -> None:
    for method, path, body in (("GET", "accounts", None), ("POST", "rpc/enter", {"p_caller": {}}), ("GET", "", None)):
        headers = {**outsider.headers, "Accept-Profile": schema, "Content-Profile": schema}
        assert (await ask(front, method, path, headers, body)).code in ONLY_EXPOSED


async def test_a_token_of_nobody_s_is_refused_and_a_role_of_ours_is_not_to_be_had(
    stack: LocalStack, front: aiohttp.ClientSession, town: Town
) -> None:
    credentials, now_s = stack.credentials, int(time.time())
    someone = await town.new_owner()
    claims: dict[str, Any] = {"role": "service_role", "exp": JWT_EXPIRES_AT_S}
    tokens = {
        "unsigned": unsigned_token(claims, {"alg": "none", "typ": "JWT"}),
        "signed with another secret": sign_jwt(claims, "x" * 40),
        "signed with the publishable key": sign_jwt(claims, credentials.publishable_key),
        "signed with SECRET_KEY": hmac_signed_token(claims, {"alg": "HS256"}, credentials.gateway_secret.encode()),
        "Privy's": someone.person.secret,
        "an API key": someone.holder.secret,
        "expired": sign_jwt({**claims, "exp": now_s - 3600}, credentials.jwt_secret),
        "of the tables' owner": sign_jwt({**claims, "role": "postgres"}, credentials.jwt_secret),
        "of the superuser": sign_jwt({**claims, "role": "supabase_admin"}, credentials.jwt_secret),
    }
    for name, token in tokens.items():
        headers = {"apikey": credentials.publishable_key, **bearer(token)}
        told = await ask(front, "POST", "rpc/read_balance", headers, {"p_account_id": someone.account_id})
        assert told.status in {400, 401, 403}, (name, told)
        assert told.code in {"PGRST301", "PGRST303", "42501", "22023"}, (name, told)
    for key in (someone.holder.secret, someone.person.secret, "", credentials.publishable_key[:-1]):
        told = await ask(front, "POST", "rpc/check_books", {"apikey": key}, {})
        assert told.status == 401


async def test_the_search_would_see_an_open_door(stack: LocalStack, front: aiohttp.ClientSession) -> None:
    outsider = Outsider("our servers", {"apikey": stack.credentials.secret_key}, 403)
    told = await ask(front, "POST", "rpc/check_books", outsider.headers, {})
    assert told.status == 200
    assert not is_closed(told, outsider)
    described = await ask(front, "GET", "", outsider.headers)
    assert "/rpc/admit" in described.body["paths"]
