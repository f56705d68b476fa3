"""What the internet reaches through PostgREST with the keys that a browser may have: nothing."""

import http.client
import json
from typing import Any

import psycopg
import pytest

from infra.local.credentials import JWT_EXPIRES_AT_S, sign_jwt
from infra.local.stack import LocalStack
from tests.infra.supabase.catalog import Function, read_functions, read_relations

Headers = dict[str, str]


def _headers(stack: LocalStack, who: str) -> Headers:
    credentials = stack.credentials
    if who == "publishable":
        return {"apikey": credentials.publishable_key}
    if who == "legacy anon":
        key = credentials.role_jwt("anon")
        return {"apikey": key, "Authorization": f"Bearer {key}"}
    user = sign_jwt({"role": "authenticated", "exp": JWT_EXPIRES_AT_S}, credentials.jwt_secret)
    return {"apikey": credentials.publishable_key, "Authorization": f"Bearer {user}"}


def _ask(stack: LocalStack, method: str, path: str, headers: Headers, body: Any = None) -> tuple[int, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", stack.ports.front, timeout=10)
    try:
        text = None if body is None else json.dumps(body)
        connection.request(method, f"/rest/v1/{path}", text, {"Content-Type": "application/json", **headers})
        response = connection.getresponse()
        content = response.read()
        return response.status, json.loads(content) if content else None
    finally:
        connection.close()


def _nulls(function: Function) -> dict[str, None]:
    return dict.fromkeys(function.argument_names)


@pytest.mark.parametrize(("who", "status"), [("publishable", 401), ("legacy anon", 401), ("signed-in user", 403)])
def test_no_function_can_be_called_from_outside(
    stack: LocalStack, owner: psycopg.Connection, who: str, status: int
) -> None:
    for function in read_functions(owner, "api"):
        answer = _ask(stack, "POST", f"rpc/{function.name}", _headers(stack, who), _nulls(function))
        assert (answer[0], answer[1]["code"]) == (status, "42501"), (function.signature, answer)


def test_the_secret_key_calls_a_function(stack: LocalStack) -> None:
    headers = {"apikey": stack.credentials.secret_key}
    assert _ask(stack, "POST", "rpc/check_books", headers, {}) == (200, [])


@pytest.mark.parametrize("who", ["publishable", "legacy anon", "signed-in user", "secret"])
@pytest.mark.parametrize("schema", ["gateway", "public", "extensions", "supabase_migrations", "pg_catalog"])
def test_only_the_schema_api_is_exposed(stack: LocalStack, who: str, schema: str) -> None:
    headers = {"apikey": stack.credentials.secret_key} if who == "secret" else _headers(stack, who)
    read = _ask(stack, "GET", "accounts", {**headers, "Accept-Profile": schema})
    called = _ask(stack, "POST", "rpc/lock_wallet", {**headers, "Content-Profile": schema}, {"p_account_id": 1})
    assert [(status, body["code"]) for status, body in (read, called)] == [(406, "PGRST106")] * 2


@pytest.mark.parametrize("who", ["publishable", "signed-in user"])
def test_no_table_can_be_read_or_written_from_outside(stack: LocalStack, owner: psycopg.Connection, who: str) -> None:
    for relation in read_relations(owner):
        for method, body in (("GET", None), ("POST", {}), ("PATCH", {}), ("DELETE", None)):
            status, _ = _ask(stack, method, relation.name, _headers(stack, who), body)
            assert status in (401, 403, 404), (method, relation.full_name)
