"""The catalog as AWS Lambda calls it."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest

from functions.catalog.app import handler
from infra.local.environment import gateway_environment
from infra.local.stack import LocalStack


@pytest.fixture
def loop_of_its_own() -> Iterator[None]:
    """Lambda's runtime is synchronous: the adapter runs the application on the thread's loop."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    yield
    asyncio.set_event_loop(None)
    loop.close()


def proxy_event(path: str) -> dict[str, Any]:
    """An event as API Gateway's REST proxy integration sends it."""
    return {
        "resource": "/{proxy+}",
        "path": path,
        "httpMethod": "GET",
        "headers": {"Host": "gateway.example"},
        "multiValueHeaders": {"Host": ["gateway.example"]},
        "queryStringParameters": None,
        "multiValueQueryStringParameters": None,
        "requestContext": {"httpMethod": "GET", "path": path, "identity": {"sourceIp": "203.0.113.9"}},
        "body": None,
        "isBase64Encoded": False,
    }


@pytest.mark.usefixtures("loop_of_its_own")
def test_an_invocation_answers_as_the_server_does(stack: LocalStack, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in gateway_environment(stack, {}).items():
        monkeypatch.setenv(name, value)
    answer = handler(proxy_event("/v1/models/openai/gpt-5-mini"), None)
    assert answer["statusCode"] == 200
    assert json.loads(answer["body"])["id"] == "openai/gpt-5-mini"
    unknown = handler(proxy_event("/v1/models/none/such"), None)
    assert unknown["statusCode"] == 404
    assert json.loads(unknown["body"])["error"]["code"] == "model_not_found"


@pytest.mark.usefixtures("loop_of_its_own")
def test_a_function_without_a_setting_refuses_to_start_and_names_it(
    stack: LocalStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in gateway_environment(stack, {}).items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("SUPABASE_URL")
    with pytest.raises(Exception, match="SUPABASE_URL"):
        handler(proxy_event("/ping"), None)
