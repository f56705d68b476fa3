"""What API Gateway answers by itself is in the contract's envelope, with a code that the contract documents."""

import json
import re
from typing import Any

import pytest

from infra.aws.template import ROOT, read_template
from shared.core.errors import GatewayError, envelope

FRAGMENT = read_template(ROOT / "infra" / "aws" / "refusals.yml")
REFUSALS = {name: resource["Properties"] for name, resource in FRAGMENT["Resources"].items()}
CODE = re.compile(r"^\| `([a-z_]+)` \| (\d{3}) \| (yes|no) \|", re.MULTILINE)

each_refusal = pytest.mark.parametrize("refusal", REFUSALS.values(), ids=REFUSALS.keys())


def error_of(refusal: dict[str, Any]) -> dict[str, Any]:
    template = refusal["ResponseTemplates"]["application/json"].replace("$context.error.responseType", "BAD_REQUEST")
    body = json.loads(template.replace("$context.requestId", "0f0e"))
    assert list(body) == ["error"]
    error: dict[str, Any] = body["error"]
    return error


@each_refusal
def test_a_refusal_has_the_fields_of_our_own(refusal: dict[str, Any]) -> None:
    ours = envelope(GatewayError("message"), "0f0e")["error"]
    error = error_of(refusal)
    assert list(error) == list(ours)
    assert error["request_id"] == "0f0e"


@each_refusal
def test_a_refusals_code_status_and_retry_are_documented(refusal: dict[str, Any]) -> None:
    documented = {match[1]: (match[2], match[3]) for match in CODE.finditer((ROOT / "docs" / "api.md").read_text())}
    error = error_of(refusal)
    assert documented[error["code"]] == (refusal["StatusCode"], "yes" if error["retryable"] else "no")


@each_refusal
def test_a_refusal_tells_official_clients_whether_to_retry(refusal: dict[str, Any]) -> None:
    headers = refusal["ResponseParameters"]
    assert headers["gatewayresponse.header.x-should-retry"] == f"'{str(error_of(refusal)['retryable']).lower()}'"
    assert ("gatewayresponse.header.Retry-After" in headers) == error_of(refusal)["retryable"]


@each_refusal
def test_a_page_may_read_a_refusal(refusal: dict[str, Any]) -> None:
    assert refusal["ResponseParameters"]["gatewayresponse.header.Access-Control-Allow-Origin"] == "'*'"


def test_no_refusal_of_api_gateway_keeps_its_own_shape() -> None:
    types = {refusal["ResponseType"] for refusal in REFUSALS.values()}
    special = {"THROTTLED", "REQUEST_TOO_LARGE", "INTEGRATION_FAILURE", "INTEGRATION_TIMEOUT"}
    assert {"DEFAULT_4XX", "DEFAULT_5XX", *special} == types


def test_the_api_is_deployed_after_its_refusals() -> None:
    (extension,) = FRAGMENT["extensions"].values()
    assert extension["DependsOn"] == list(REFUSALS)
