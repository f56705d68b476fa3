import pytest

from shared.core.redaction import without_secrets
from shared.keys.format import generate_secret, mask


@pytest.mark.parametrize("environment", ["live", "test", "staging", "development"])
def test_a_key_is_taken_out_wherever_it_stands(environment: str) -> None:
    secret = generate_secret(environment)  # type: ignore[arg-type]
    prefix = secret[: secret.rindex("_") + 1]
    for before, after in (("", ""), ("/v1/models/", ""), ("sk-", "/rotate"), ("The model ", " does not exist.")):
        assert without_secrets(f"{before}{secret}{after}") == f"{before}{prefix}…{after}"
    assert without_secrets(secret[:-20]) == f"{prefix}…"
    assert without_secrets(f"{secret},{secret}") == f"{prefix}…,{prefix}…"


def test_a_token_is_taken_out() -> None:
    token = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJkaWQ6cHJpdnk6eCJ9.c2ln-bmF0_dXJl"
    for each in (token, token.rpartition(".")[0] + ".", f"x{token}"):
        assert without_secrets(f"/user/{each}/x") == f"/user/{'x' if each[0] == 'x' else ''}ey…/x"


@pytest.mark.parametrize(
    "text",
    [
        "/v1/chat/completions",
        "/v1/models/openai/gpt-5",
        "/user/api-keys/key_42/rotate",
        "Send yours in the header `Authorization: Bearer gw_…` (or `x-api-key: gw_…`).",
        mask(generate_secret("live")),
        "eyJ is how a token begins",
        "",
    ],
)
def test_all_else_stays(text: str) -> None:
    assert without_secrets(text) == text
