import json

import pytest

from infra.local.credentials import JWT_EXPIRES_AT_S, sign_jwt
from infra.local.ports import post_json
from infra.local.stack import LocalStack

READ = "/rest/v1/rpc/read_balance"


def _ask(stack: LocalStack, headers: dict[str, str]) -> tuple[int, str]:
    status, body = post_json(stack.ports.front, READ, b'{"p_account_id": 0}', headers)
    answer = json.loads(body)
    return status, str(answer.get("message", "")) if isinstance(answer, dict) else ""


def _legacy(stack: LocalStack) -> str:
    return stack.credentials.role_jwt("service_role")


def test_the_secret_key_in_apikey_alone_is_service_role(stack: LocalStack) -> None:
    assert _ask(stack, {"apikey": stack.credentials.secret_key})[0] == 200


def test_the_secret_key_in_both_headers_is_service_role(stack: LocalStack) -> None:
    key = stack.credentials.secret_key
    assert _ask(stack, {"apikey": key, "Authorization": f"Bearer {key}"})[0] == 200


def test_the_publishable_key_is_anon_and_may_read_nothing(stack: LocalStack) -> None:
    status, message = _ask(stack, {"apikey": stack.credentials.publishable_key})
    assert status == 401
    assert "permission denied" in message


def test_a_legacy_service_key_in_both_headers_is_service_role(stack: LocalStack) -> None:
    key = _legacy(stack)
    assert _ask(stack, {"apikey": key, "Authorization": f"Bearer {key}"})[0] == 200


def test_a_user_token_keeps_its_own_role_beside_the_secret_key(stack: LocalStack) -> None:
    user = sign_jwt({"role": "authenticated", "exp": JWT_EXPIRES_AT_S}, stack.credentials.jwt_secret)
    headers = {"apikey": stack.credentials.secret_key, "Authorization": f"Bearer {user}"}
    status, message = _ask(stack, headers)
    assert status == 403
    assert "permission denied" in message


@pytest.mark.parametrize("key", ["sb_secret_unknown", "sb_publishable_", "eyJhbGciOiJub25lIn0.e30."])
def test_an_unknown_key_is_401(stack: LocalStack, key: str) -> None:
    assert _ask(stack, {"apikey": key}) == (401, "Invalid API key")


def test_another_key_in_authorization_is_401(stack: LocalStack) -> None:
    headers = {"apikey": stack.credentials.publishable_key, "Authorization": f"Bearer {stack.credentials.secret_key}"}
    assert _ask(stack, headers) == (401, "Invalid API key")


def test_no_key_is_401(stack: LocalStack) -> None:
    assert _ask(stack, {}) == (401, "No API key found in request")


def test_a_path_outside_the_rest_prefix_is_404(stack: LocalStack) -> None:
    status, _ = post_json(stack.ports.front, "/rpc/read_balance", b"{}", {"apikey": stack.credentials.secret_key})
    assert status == 404


def test_a_forged_token_is_refused_by_postgrest(stack: LocalStack) -> None:
    forged = sign_jwt({"role": "service_role", "exp": JWT_EXPIRES_AT_S}, "not the secret of this stack at all")
    assert _ask(stack, {"apikey": stack.credentials.publishable_key, "Authorization": f"Bearer {forged}"})[0] == 401
