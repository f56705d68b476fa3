from pathlib import Path

from infra.local.environment import developer_environment, gateway_environment, write_environment
from infra.local.stack import LocalStack


def test_every_provider_is_the_simulator_unless_its_key_is_given(stack: LocalStack) -> None:
    given = {"OPENROUTER_API_KEY": "real", "CHUTES_BASE_URL": "http://ignored.invalid"}
    variables = gateway_environment(stack, given)
    assert variables["OPENROUTER_API_KEY"] == "real"
    assert "OPENROUTER_BASE_URL" not in variables
    assert variables["CHUTES_API_KEY"] == "simulated"
    assert variables["CHUTES_BASE_URL"] == f"{stack.simulator_url}/chutes/v1"


def test_a_given_address_goes_with_its_given_key(stack: LocalStack) -> None:
    given = {"PORTKEY_API_KEY": "real", "PORTKEY_BASE_URL": "http://127.0.0.1:1/v1"}
    variables = gateway_environment(stack, given)
    assert {name: variables[name] for name in given} == given


def test_people_sign_in_with_the_stacks_own_tokens_unless_an_app_at_privy_is_given(stack: LocalStack) -> None:
    assert gateway_environment(stack, {"PRIVY_VERIFICATION_KEY": "ignored"})["PRIVY_JWKS_URL"] == stack.jwks_url
    given = {"PRIVY_APP_ID": "cm0app", "PRIVY_VERIFICATION_KEY": "a key"}
    variables = gateway_environment(stack, given)
    assert {name: text for name, text in variables.items() if name.startswith("PRIVY_")} == given
    assert developer_environment(stack, "http://gateway.test", "gw_")["PRIVY_URL"] == stack.privy_url


def test_the_written_environment_is_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "dev.env"
    write_environment(path, {"A": "1", "B": "two"})
    assert path.read_text() == "A=1\nB=two\n"
    assert path.stat().st_mode & 0o777 == 0o600
