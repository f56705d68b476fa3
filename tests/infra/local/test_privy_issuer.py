"""The issuer that stands in for Privy on this machine."""

import http.client
import json

import jwt
import pytest

from infra.local.ports import LOOPBACK
from infra.local.privy_issuer import JWKS_PATH
from infra.local.privy_tokens import LOCAL_APP_ID, SigningKey
from infra.local.stack import LocalStack


def ask(stack: LocalStack, path: str, host: str | None = None) -> tuple[int, str, dict[str, str]]:
    connection = http.client.HTTPConnection(LOOPBACK, stack.ports.privy, timeout=5)
    try:
        connection.request("GET", path, headers={} if host is None else {"Host": host})
        answer = connection.getresponse()
        return answer.status, answer.read().decode(), dict(answer.getheaders())
    finally:
        connection.close()


def claims_of(stack: LocalStack, token: str) -> dict[str, object]:
    key_set = jwt.PyJWKSet.from_json(ask(stack, JWKS_PATH)[1])
    key = key_set[jwt.get_unverified_header(token)["kid"]]
    return dict(jwt.decode(token, key, algorithms=["ES256"], audience=LOCAL_APP_ID, issuer="privy.io"))


def test_its_access_tokens_say_what_privys_say_under_the_key_that_it_publishes(stack: LocalStack) -> None:
    status, token, headers = ask(stack, "/token?user=ada")
    assert status == 200
    assert set(claims_of(stack, token)) == {"sid", "iss", "iat", "aud", "sub", "exp"}
    assert claims_of(stack, token)["sub"] == "did:privy:ada"
    assert not [name for name in headers if name.lower().startswith("access-control")]


@pytest.mark.parametrize("user", ["ada", "did:privy:ada", "did%3Aprivy%3Aada"])
def test_its_identity_tokens_vouch_for_the_address_that_was_asked_for(stack: LocalStack, user: str) -> None:
    _, token, _ = ask(stack, f"/token?user={user}&kind=identity&email=ada@example.com")
    claims = claims_of(stack, token)
    assert claims["sub"] == "did:privy:ada"
    (account,) = json.loads(str(claims["linked_accounts"]))
    assert (account["type"], account["address"]) == ("email", "ada@example.com")
    _, token, _ = ask(stack, f"/token?user={user}&kind=identity")
    (account,) = json.loads(str(claims_of(stack, token)["linked_accounts"]))
    assert account["type"] == "wallet"


@pytest.mark.parametrize("query", ["user=", "user=a%20b", "user=a/b", "kind=refresh", "user=" + "x" * 101])
def test_what_it_cannot_issue_is_refused(stack: LocalStack, query: str) -> None:
    assert ask(stack, f"/token?{query}")[0] == 400


def test_a_page_under_another_name_that_leads_here_gets_no_token(stack: LocalStack) -> None:
    assert ask(stack, "/token", host=f"evil.test:{stack.ports.privy}")[0] == 403
    assert ask(stack, "/token", host=f"localhost:{stack.ports.privy}")[0] == 200


def test_the_key_is_its_owners_alone_and_the_one_that_tests_sign_with(stack: LocalStack) -> None:
    assert json.loads(ask(stack, JWKS_PATH)[1]) == {"keys": [stack.privy_key.jwk]}
    path = stack.privy_key_path
    assert path.stat().st_mode & 0o777 == 0o600
    assert SigningKey.load_or_create(path).id == stack.privy_key.id
