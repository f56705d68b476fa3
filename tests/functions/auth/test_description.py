"""The sign-in as its own OpenAPI describes it, and as a page in a browser meets it."""

from typing import Any

import aiohttp
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from multidict import CIMultiDict
from schemathesis import Case, GenerationMode
from schemathesis.core.result import Ok

from functions.auth.app import app
from tests.functions.chat.client import Answer, read_error
from tests.harness.gateways import RunningGateway

BOUNDED = settings(max_examples=40, deadline=None, database=None, suppress_health_check=list(HealthCheck))


def operations() -> list[Any]:
    schema = schemathesis.openapi.from_dict(app.openapi())
    return [result.ok() for result in schema.get_all_operations() if isinstance(result, Ok)]


def test_both_paths_are_described_alike_and_need_no_key() -> None:
    paths = app.openapi()["paths"]
    assert set(paths) == {"/auth/privy", "/auth"}
    for path in paths.values():
        operation = path["post"]
        body = operation["requestBody"]["content"]["application/json"]["schema"]
        assert set(body["properties"]) == {"token", "identity_token", "referral_code"}
        answer = operation["responses"]["200"]["content"]["application/json"]["schema"]
        assert set(answer["properties"]) == {"user", "is_new_user", "api_key"}
        assert not operation.get("security")


def test_whatever_is_sent_as_described_or_not_is_refused_in_the_contracts_shape(gateway: RunningGateway) -> None:
    cases = [
        operation.as_strategy(generation_mode=mode)
        for operation in operations()
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)
    ]

    @BOUNDED
    @given(st.one_of(cases))
    def of_any_input(case: Case[Any]) -> None:
        response = case.call(base_url=gateway.url)
        headers = CIMultiDict((name, value) for name, values in response.headers.items() for value in values)
        assert response.status_code in {400, 401, 405, 413}, response.content
        read_error(Answer(response.status_code, headers, response.content))

    of_any_input()


async def test_a_page_of_any_origin_may_sign_its_people_in(gateway: RunningGateway) -> None:
    headers = {
        "Origin": "https://app.example.com",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type,idempotency-key,authorization",
    }
    async with (
        aiohttp.ClientSession() as session,
        session.options(f"{gateway.url}/auth/privy", headers=headers) as answer,
    ):
        assert answer.status == 200
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
        assert "Access-Control-Allow-Credentials" not in answer.headers
        assert "idempotency-key" in answer.headers["Access-Control-Allow-Headers"].lower()
