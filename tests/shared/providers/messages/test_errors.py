"""Refusals in Anthropic's shape."""

import json

import pytest

from shared.core.errors import GatewayError, InvalidRequest, StoreUnavailable
from shared.providers.failures import ProviderOverloaded, ProviderRateLimited, ProviderTimedOut, ProviderUnavailable
from shared.providers.messages.errors import error_body, error_event, error_type
from tests.shared.providers.messages.grammar import StreamChecker


class Refusal(GatewayError):
    def __init__(self, status: int) -> None:
        super().__init__("no")
        self.status = status


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, "invalid_request_error"),
        (401, "authentication_error"),
        (402, "billing_error"),
        (403, "permission_error"),
        (404, "not_found_error"),
        (405, "invalid_request_error"),
        (408, "timeout_error"),
        (409, "conflict_error"),
        (413, "request_too_large"),
        (422, "invalid_request_error"),
        (429, "rate_limit_error"),
        (500, "api_error"),
        (501, "api_error"),
        (502, "api_error"),
        (503, "api_error"),
        (504, "timeout_error"),
        (529, "overloaded_error"),
    ],
)
def test_status_has_its_type(status: int, kind: str) -> None:
    assert error_type(Refusal(status)) == kind


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (ProviderOverloaded("x"), "overloaded_error"),
        (ProviderRateLimited("x"), "rate_limit_error"),
        (ProviderTimedOut("x"), "timeout_error"),
        (ProviderUnavailable("x"), "api_error"),
        (StoreUnavailable("database"), "api_error"),
    ],
)
def test_failure_has_the_type_of_its_meaning(error: GatewayError, kind: str) -> None:
    assert error_type(error) == kind


def test_body_has_anthropics_shape_and_what_our_own_says_beyond_it() -> None:
    body = error_body(InvalidRequest("max_tokens: is required.", param="max_tokens"), "req_1")
    assert body == {
        "type": "error",
        "error": {
            "type": "invalid_request_error",
            "message": "max_tokens: is required.",
            "details": {"error_code": "invalid_request", "param": "max_tokens", "retryable": False},
        },
        "request_id": "req_1",
    }


def test_secret_that_a_message_repeats_is_not_shown() -> None:
    secret = "gw_live_" + "a" * 43
    assert "a" * 43 not in json.dumps(error_body(InvalidRequest(f"no model {secret}"), None))


def test_event_ends_a_stream() -> None:
    checker = StreamChecker()
    checker.feed(error_event(ProviderRateLimited("slow down"), "req_1"))
    assert checker.error is not None and checker.error["error"]["type"] == "rate_limit_error"
