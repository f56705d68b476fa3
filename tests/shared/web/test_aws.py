"""A function as AWS Lambda calls it: one instance, one invocation after the other."""

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from fastapi import APIRouter, FastAPI

from shared.core.log import log_event, request_id_in_context
from shared.web.access import public
from shared.web.app import create_app
from shared.web.aws import LambdaHandler


@dataclass(slots=True)
class Function:
    """A function that notes when it starts and stops; faults are what its next starts raise."""

    events: list[str] = field(default_factory=list)
    faults: list[Exception] = field(default_factory=list)

    def handler(self) -> LambdaHandler:
        router = APIRouter()
        router.add_api_route("/ping", self.ping)
        return LambdaHandler(create_app("test", router, self.lifespan), run_job=self.run_job)

    @asynccontextmanager
    async def lifespan(self, app: FastAPI) -> AsyncIterator[None]:
        if self.faults:
            raise self.faults.pop()
        self.events.append("started")
        yield
        self.events.append("stopped")

    @public
    async def ping(self) -> dict[str, str]:
        self.events.append("asked")
        return {"message": "pong"}

    async def run_job(self, app: FastAPI, name: str) -> dict[str, Any]:
        if name == "failing":
            raise RuntimeError("no luck")
        if name == "telling":
            log_event("job_told")
        self.events.append(name)
        return {"job": name}


@pytest.fixture
def function() -> Function:
    return Function()


@pytest.fixture
def handler(function: Function) -> Iterator[LambdaHandler]:
    handler = function.handler()
    try:
        yield handler
    finally:
        handler.close()


def proxy_event(path: str, headers: dict[str, str] | None = None) -> dict[str, Any]:
    """An event as API Gateway's REST proxy integration sends it."""
    sent = {"Host": "gateway.example", **(headers or {})}
    return {
        "resource": "/{proxy+}",
        "path": path,
        "httpMethod": "GET",
        "headers": sent,
        "multiValueHeaders": {name: [value] for name, value in sent.items()},
        "queryStringParameters": None,
        "multiValueQueryStringParameters": None,
        "requestContext": {"httpMethod": "GET", "path": f"/prod{path}", "identity": {"sourceIp": "203.0.113.9"}},
        "body": None,
        "isBase64Encoded": False,
    }


def test_an_instance_starts_once_and_answers_many(function: Function, handler: LambdaHandler) -> None:
    assert function.events == []
    for _ in range(3):
        answer = handler(proxy_event("/ping"), None)
        assert (answer["statusCode"], json.loads(answer["body"])) == (200, {"message": "pong"})
    assert function.events == ["started", "asked", "asked", "asked"]
    handler.close()
    assert function.events[-1] == "stopped"


def test_a_schedule_runs_its_job_in_the_same_instance(function: Function, handler: LambdaHandler) -> None:
    handler(proxy_event("/ping"), None)
    assert handler({"job": "settlement_sweep"}, None) == {"job": "settlement_sweep"}
    assert function.events == ["started", "asked", "settlement_sweep"]


def test_what_a_scheduled_run_logs_is_found_by_an_id_of_its_own(
    function: Function, handler: LambdaHandler, capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(2):
        handler({"job": "telling"}, None)
    first, second = (json.loads(line)["request_id"] for line in capsys.readouterr().out.splitlines())
    assert first != second
    assert request_id_in_context.get() is None


def test_a_job_that_fails_fails_its_invocation_so_that_lambda_repeats_it(handler: LambdaHandler) -> None:
    with pytest.raises(RuntimeError, match="no luck"):
        handler({"job": "failing"}, None)
    assert handler({"job": "settlement_sweep"}, None) == {"job": "settlement_sweep"}


def test_an_instance_that_could_not_start_says_why_each_time_and_tries_again(
    function: Function, handler: LambdaHandler
) -> None:
    function.faults = [ValueError("SECRET_KEY is not set")] * 2
    for _ in range(2):
        with pytest.raises(ValueError, match="SECRET_KEY is not set"):
            handler(proxy_event("/ping"), None)
    assert handler(proxy_event("/ping"), None)["statusCode"] == 200
    assert function.events == ["started", "asked"]


def test_closing_what_never_started_is_nothing(handler: LambdaHandler) -> None:
    handler.close()
    handler.close()


def test_an_unknown_path_is_a_refusal_of_ours(handler: LambdaHandler) -> None:
    answer = handler(proxy_event("/none"), None)
    assert (answer["statusCode"], json.loads(answer["body"])["error"]["code"]) == (404, "unknown_path")
