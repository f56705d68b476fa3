"""Every route as its own OpenAPI describes it, called with what such a description allows and what it does not."""

import asyncio
import json
import re
from collections.abc import Iterator
from http import HTTPStatus
from secrets import token_hex
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from multidict import CIMultiDict
from schemathesis import Case, GenerationMode
from schemathesis.checks import CheckFunction
from schemathesis.core.result import Ok
from schemathesis.schemas import APIOperation
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from infra.describe.__main__ import DOCUMENT
from infra.describe.applications import load_applications
from infra.local.stack import LocalStack
from tests.functions.chat.client import Answer, read_error
from tests.functions.keys.client import Holder, owner_of, run_sql
from tests.harness.gateways import Gateways, RunningGateway
from tests.harness.tenants import Tenants

Operation = APIOperation[Any, Any, Any, Any]

BOUNDED = settings(
    max_examples=12, deadline=None, database=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck)
)
CHECKS: list[CheckFunction] = [status_code_conformance, content_type_conformance, response_schema_conformance]
MODEL = "openai/gpt-5-mini"
CRON_SECRET = "schemathesis-schemathesis"
WITH_INPUT = {
    "GET /admin/audit",
    "GET /admin/models",
    "GET /admin/monitor",
    "GET /admin/users",
    "PATCH /admin/coupons/{code}",
    "PATCH /admin/models/{model_id}",
    "PATCH /admin/users/{user_id}",
    "POST /admin/coupons",
    "POST /admin/users",
    "POST /admin/users/{user_id}/credits",
    "PUT /admin/switches",
    "GET /models",
    "GET /v1/models",
    "POST /v1/chat/completions",
    "POST /billing/checkout",
    "POST /coupons/redeem",
    "GET /billing/payments",
    "PATCH /user/profile",
    "PUT /user/notifications/preferences",
    "GET /user/transactions",
    "GET /user/activity",
    "GET /user/activity/stats",
    "POST /user/api-keys",
    "PATCH /user/api-keys/{key_id}",
    "POST /user/api-keys/{key_id}/rotate",
    "GET /user/api-keys/usage",
    "POST /v1/chat/sessions",
    "PATCH /v1/chat/sessions/{session_id}",
    "POST /v1/chat/sessions/{session_id}/messages",
    "GET /v1/chat/search",
    "POST /v1/chat/search",
}

# Refusals that have a body of their own.
TOLD_OTHERWISE = {"/unsubscribe": {"400"}, "/health": {"503"}}
RESTORE = """
    update gateway.switches set are_trials_stopped = false, is_inference_stopped = false, daily_loss_bound_nanos = null
"""
# As OpenAI's clients read it.
DELETES_THAT_ANSWER = {"/v1/responses/{response_id}"}


def operations() -> list[Operation]:
    """Return every operation of every function, from the document that is served."""
    schema = schemathesis.openapi.from_dict(json.loads(DOCUMENT.read_text()))
    return [result.ok() for result in schema.get_all_operations() if isinstance(result, Ok)]


OPERATIONS = operations()
EVERY_CASE = [
    pytest.param(operation, mode, id=f"{mode.value}-{operation.label}")
    for operation in OPERATIONS
    for mode in GenerationMode
    if mode is GenerationMode.POSITIVE or operation.label in WITH_INPUT
]


@pytest.fixture(scope="module")
def described_gateway(stack: LocalStack) -> Iterator[RunningGateway]:
    """A gateway at which nothing is left out, so that nothing is refused as not configured."""
    gateways = Gateways(stack)
    try:
        yield gateways(CRON_SECRET=CRON_SECRET)
    finally:
        gateways.stop_all()


@pytest.fixture(autouse=True)
def _nothing_stays_stopped(database_url: str) -> Iterator[None]:
    """Let go on whatever a switch has stopped."""
    yield
    run_sql(database_url, RESTORE)


@pytest.mark.parametrize(("operation", "mode"), EVERY_CASE)
def test_a_described_route_answers_as_described(
    described_gateway: RunningGateway, tenant: Tenants, operation: Operation, mode: GenerationMode
) -> None:
    customer = tenant(environment="test")
    owner = owner_of(described_gateway, customer)
    there = asyncio.run(what_is_there(owner, operation.path)) if operation.path_parameters else {}

    @BOUNDED
    @given(operation.as_strategy(generation_mode=mode), st.booleans())
    def of_any_input(case: Case[Any], is_there: bool) -> None:
        if is_there:
            case.path_parameters |= {name: there[name] for name in case.path_parameters if name in there}
        _call(described_gateway, headers_for(operation.path, owner), case)

    of_any_input()


def headers_for(path: str, owner: Holder) -> dict[str, str]:
    """Return how whoever the route is for calls it."""
    secret = owner.secret
    if path.startswith("/internal/jobs/"):
        secret = CRON_SECRET
    elif path.startswith("/admin/"):
        secret = owner.gateway.stack.credentials.admin_api_key
    return {"Authorization": f"Bearer {secret}"}


async def what_is_there(owner: Holder, path: str) -> dict[str, str]:
    """Return an id for each name in a path that the caller's account has, or that everybody has."""
    if path.startswith("/admin/"):
        return await what_admins_see(owner)
    session = await owner.call("POST", "/v1/chat/sessions", {})
    response = await owner.call("POST", "/v1/responses", {"model": MODEL, "input": "Hello"})
    there = {
        "key_id": (await owner.make(name="another", environment="test")).id,
        "session_id": session.json["id"],
        "response_id": response.json["id"],
        "generation_id": response.generation_id,
    }
    return there | {"model_id": MODEL, "plan_id": "free", "name": "settlement_sweep"}


async def what_admins_see(owner: Holder) -> dict[str, str]:
    """Return what this test alone has: whoever changes a model or a provider changes it for all tests."""
    operator = Holder(owner.gateway, owner.gateway.stack.credentials.admin_api_key)
    body = {"code": f"C{token_hex(6)}".upper(), "amount": "1", "max_redemptions": 1}
    coupon = await operator.call("POST", "/admin/coupons", body)
    users = await operator.call("GET", "/admin/users?limit=1")
    return {"code": coupon.json["code"], "user_id": users.json["data"][0]["id"]}


def test_every_name_in_a_path_has_something_behind_it_but_for_these() -> None:
    named = {each for operation in OPERATIONS for each in re.findall(r"{(\w+)}", operation.path)}
    assert named - {
        "key_id",
        "session_id",
        "response_id",
        "generation_id",
        "model_id",
        "plan_id",
        "name",
        "user_id",
        "code",
    } == {"payment_id", "slug", "letter_id"}


def test_every_operation_of_every_function_is_asked() -> None:
    asked = {label.partition(" ")[2] for label in (operation.label for operation in OPERATIONS)}
    assert asked == {path for app in load_applications().values() for path in app.openapi()["paths"]}


def test_a_description_holds_together() -> None:
    for app in load_applications().values():
        description = app.openapi()
        assert "#/$defs/" not in str(description)
        for path, methods in description["paths"].items():
            is_empty_deletion = path not in DELETES_THAT_ANSWER
            for method, operation in methods.items():
                # A link that does not hold is told on a page of its own, and how ill the gateway is by its health.
                told = {status for status, answer in operation["responses"].items() if "$ref" not in answer}
                allowed = {"204"} if method == "delete" and is_empty_deletion else {"200", "201", "202"}
                assert told - TOLD_OTHERWISE.get(path, set()) <= allowed
                assert len(told & {"200", "201", "202", "204"}) == 1
                assert {"default", "422"} & set(operation["responses"]) == set()


def _call(gateway: RunningGateway, headers: dict[str, str], case: Case[Any]) -> None:
    response = case.call(base_url=gateway.url, headers=headers)
    answered = CIMultiDict((name, value) for name, values in response.headers.items() for value in values)
    # A method that is not described is refused wherever it comes in.
    if response.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        assert case.method.lower() not in case.operation.schema.raw_schema["paths"][case.operation.path]
        return
    assert response.status_code < 500, response.content
    if response.status_code not in {200, 201, 202, 204} and not response.headers["content-type"][0].startswith(
        "text/html"
    ):
        read_error(Answer(response.status_code, answered, response.content))
    case.validate_response(response, checks=CHECKS)
