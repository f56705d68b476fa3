"""The catalog as AWS Lambda calls it."""

import json
from collections.abc import Iterator

import pytest

from functions.catalog.app import app
from infra.local.environment import gateway_environment
from infra.local.stack import LocalStack
from shared.core.variables import SettingsError
from shared.web.aws import LambdaHandler
from tests.shared.web.test_aws import proxy_event


@pytest.fixture
def handler(stack: LocalStack, monkeypatch: pytest.MonkeyPatch) -> Iterator[LambdaHandler]:
    for name, value in gateway_environment(stack, {}).items():
        monkeypatch.setenv(name, value)
    handler = LambdaHandler(app)
    try:
        yield handler
    finally:
        handler.close()


def test_invocations_answer_as_the_server_does(handler: LambdaHandler) -> None:
    answer = handler(proxy_event("/v1/models/openai/gpt-5-mini"), None)
    assert answer["statusCode"] == 200
    assert json.loads(answer["body"])["id"] == "openai/gpt-5-mini"
    unknown = handler(proxy_event("/v1/models/none/such"), None)
    assert unknown["statusCode"] == 404
    assert json.loads(unknown["body"])["error"]["code"] == "model_not_found"


def test_a_function_without_a_setting_refuses_to_start_and_names_it(
    handler: LambdaHandler, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SUPABASE_URL")
    with pytest.raises(SettingsError, match="SUPABASE_URL"):
        handler(proxy_event("/ping"), None)
