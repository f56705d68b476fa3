"""Every route as its own OpenAPI describes it, called with what such a description allows and what it does not."""

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from fastapi import FastAPI
from hypothesis import HealthCheck, Phase, given, settings
from multidict import CIMultiDict
from schemathesis import Case, GenerationMode
from schemathesis.checks import CheckFunction
from schemathesis.core.result import Ok
from schemathesis.schemas import APIOperation
from schemathesis.specs.openapi.checks import content_type_conformance, response_schema_conformance

from functions.account.app import app as account
from functions.admin.app import app as admin
from functions.billing.app import app as billing
from functions.catalog.app import app as catalog
from functions.chat.app import app as chat
from functions.history.app import app as history
from functions.images.app import app as images
from functions.keys.app import app as keys
from tests.functions.chat.client import Answer, read_error
from tests.functions.keys.client import owner_of, run_sql
from tests.harness.gateways import RunningGateway
from tests.harness.tenants import Tenants

Operation = APIOperation[Any, Any, Any, Any]

BOUNDED = settings(
    max_examples=12, deadline=None, database=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck)
)
CHECKS: list[CheckFunction] = [content_type_conformance, response_schema_conformance]
APPS = (account, admin, billing, catalog, chat, history, images, keys)
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
    "GET /ranking/apps",
    "GET /ranking/models",
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

RESTORE = """
    update gateway.switches set are_trials_stopped = false, is_inference_stopped = false, daily_loss_bound_nanos = null
"""
# As OpenAI's clients read it.
DELETES_THAT_ANSWER = {"/v1/responses/{response_id}"}


def operations(app: FastAPI) -> list[Operation]:
    schema = schemathesis.openapi.from_dict(app.openapi())
    found = list(schema.get_all_operations())
    return [result.ok() for result in found if isinstance(result, Ok)]


EVERY_CASE = [
    pytest.param(operation, mode, id=f"{mode.value}-{operation.label}")
    for operation in (each for app in APPS for each in operations(app))
    for mode in GenerationMode
    if mode is GenerationMode.POSITIVE or operation.label in WITH_INPUT
]


@pytest.fixture(autouse=True)
def _nothing_stays_stopped(database_url: str) -> Iterator[None]:
    """Let go on whatever a switch has stopped."""
    yield
    run_sql(database_url, RESTORE)


@pytest.mark.parametrize(("operation", "mode"), EVERY_CASE)
def test_a_described_route_answers_as_described(
    gateway: RunningGateway, tenant: Tenants, operation: Operation, mode: GenerationMode
) -> None:
    customer = tenant(environment="test")
    owner_of(gateway, customer)
    is_for_admins = operation.path.startswith("/admin/")
    headers = as_operator(gateway) if is_for_admins else customer.headers

    @BOUNDED
    @given(operation.as_strategy(generation_mode=mode))
    def of_any_input(case: Case[Any]) -> None:
        _call(gateway, headers, case)

    of_any_input()


def test_a_description_holds_together() -> None:
    for app in APPS:
        description = app.openapi()
        assert "#/$defs/" not in str(description)
        for path, methods in description["paths"].items():
            is_empty_deletion = path not in DELETES_THAT_ANSWER
            for method, operation in methods.items():
                answers = set(operation["responses"]) - {"default"}
                # A link that does not hold is told on a page of its own.
                told = answers - {"400"} if "text/html" in str(operation["responses"]) else answers
                allowed = {"204"} if method == "delete" and is_empty_deletion else {"200", "201", "202"}
                assert told <= allowed and len(told) == 1


def as_operator(gateway: RunningGateway) -> dict[str, str]:
    return {"Authorization": f"Bearer {gateway.stack.credentials.admin_api_key}"}


def _call(gateway: RunningGateway, headers: dict[str, str], case: Case[Any]) -> None:
    response = case.call(base_url=gateway.url, headers=headers)
    answered = CIMultiDict((name, value) for name, values in response.headers.items() for value in values)
    if response.status_code not in {200, 201, 204}:
        # Who has deleted his account is known no more; a gateway without e-mail says so.
        of_this_route = {"DELETE /user/account": {401}, "POST /user/notifications/test": {501}}
        allowed = {400, 403, 404, 405, 409, 413} | of_this_route.get(case.operation.label, set())
        assert response.status_code in allowed, response.content
        if response.headers["content-type"][0].startswith("text/html"):
            return
        read_error(Answer(response.status_code, answered, response.content))
    case.validate_response(response, checks=CHECKS)
