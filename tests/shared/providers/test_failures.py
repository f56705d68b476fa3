"""What becomes of a provider's errors."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.providers.failure_kinds import FailureKind, ProviderFailure
from shared.providers.failures import (
    MAX_RETRY_AFTER_S,
    TIMED_OUT,
    UNREACHABLE,
    classify_error,
    classify_status,
    refusal_for,
)
from tests.shared.providers.recorded import AZURE_FILTERED, OPENROUTER_MODERATED, VLLM_CONTEXT_LENGTH

MODEL = "maker/model-1"


@pytest.mark.parametrize(
    ("status", "body", "is_elsewhere", "told_status", "told_code"),
    [
        (400, b"", False, 400, "provider_rejected_request"),
        (400, VLLM_CONTEXT_LENGTH, False, 400, "context_length_exceeded"),
        (400, AZURE_FILTERED, False, 400, "content_filtered"),
        (413, b"prompt is too long: 300000 tokens", False, 400, "context_length_exceeded"),
        (413, b"", False, 400, "provider_rejected_request"),
        (422, b"{}", False, 400, "provider_rejected_request"),
        (401, b"", True, 502, "provider_account_problem"),
        (402, b"", True, 502, "provider_account_problem"),
        (403, b"key disabled", True, 502, "provider_account_problem"),
        (403, OPENROUTER_MODERATED, False, 400, "content_filtered"),
        (404, b"", True, 502, "provider_account_problem"),
        (408, b"", True, 504, "provider_timeout"),
        (429, b"", True, 429, "provider_rate_limited"),
        (500, b"", True, 502, "provider_unavailable"),
        (501, b"", True, 502, "provider_unavailable"),
        (502, b"<html>", True, 502, "provider_unavailable"),
        (503, b"", True, 503, "provider_overloaded"),
        (504, b"", True, 504, "provider_timeout"),
        (524, b"", True, 504, "provider_timeout"),
        (529, b"", True, 503, "provider_overloaded"),
        (302, b"", True, 502, "provider_unavailable"),
        (418, b"", True, 502, "provider_unavailable"),
    ],
)
def test_status_keeps_its_meaning(
    status: int, body: bytes, is_elsewhere: bool, told_status: int, told_code: str
) -> None:
    failure = classify_status(status, {}, body, MODEL)
    told = refusal_for(failure)
    assert failure.is_retryable_elsewhere is is_elsewhere
    assert (told.status, told.code) == (told_status, told_code)


@given(st.integers(100, 599), st.binary(max_size=50))
def test_provider_text_is_never_passed_on(status: int, body: bytes) -> None:
    told = refusal_for(classify_status(status, {}, b"SECRET-acct " + body, MODEL))
    assert "SECRET" not in told.message
    assert "retry-after" in {name.lower() for name in told.headers} or told.status not in {429, 503}


@pytest.mark.parametrize("kind", FailureKind)
def test_every_kind_has_an_answer(kind: FailureKind) -> None:
    assert 400 <= refusal_for(ProviderFailure(kind=kind)).status <= 504


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "7"}, 7),
        ({"retry-after": "7.2"}, 8),
        ({"RETRY-AFTER": "0"}, 1),
        ({"Retry-After": "999999999"}, MAX_RETRY_AFTER_S),
        ({"Retry-After": "-5"}, None),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "9" * 400}, None),
        ({"Retry-After": "Wed, 21 Oct 2026 07:28:30 GMT", "Date": "Wed, 21 Oct 2026 07:28:00 GMT"}, 30),
        ({"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT", "Date": "Wed, 21 Oct 2026 07:29:00 GMT"}, 1),
        ({"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"}, None),
        ({"Retry-After": "Wed, 21 Oct 99999 07:28:00 GMT", "Date": "x"}, None),
        ({}, None),
    ],
)
def test_retry_after_is_bounded(headers: dict[str, str], seconds: int | None) -> None:
    assert classify_status(429, headers, b"", MODEL).retry_after_s == seconds


def test_rate_limit_passes_its_wait_on() -> None:
    told = refusal_for(classify_status(429, {"Retry-After": "33"}, b"", MODEL))
    assert told.headers["Retry-After"] == "33"
    assert told.is_retryable


def test_account_problems_do_not_ask_for_a_retry() -> None:
    assert not refusal_for(classify_status(402, {}, b"", MODEL)).is_retryable


def test_silence_and_absence_are_kinds_too() -> None:
    assert refusal_for(TIMED_OUT).status == 504
    assert refusal_for(UNREACHABLE).status == 502


@pytest.mark.parametrize(
    ("raw", "kind"),
    [
        (b'{"code":429,"message":"x"}', FailureKind.RATE_LIMITED),
        (b'{"code":"429"}', FailureKind.RATE_LIMITED),
        (b'{"code":502}', FailureKind.UNAVAILABLE),
        (b'{"code":403,"metadata":{"reasons":["x"],"flagged_input":"y"}}', FailureKind.CONTENT_FILTERED),
        (b'{"code":402}', FailureKind.UNAFFORDABLE),
        (b'{"type":"overloaded_error"}', FailureKind.OVERLOADED),
        (b'{"code":"rate_limit_exceeded"}', FailureKind.RATE_LIMITED),
        (b'{"code":"context_length_exceeded","type":"invalid_request_error"}', FailureKind.CONTEXT_LENGTH),
        (b'{"code":"server_error"}', FailureKind.UNAVAILABLE),
        (b'{"code":200}', FailureKind.REFUSED),
        (b"{}", FailureKind.REFUSED),
        (b'"boom"', FailureKind.REFUSED),
        (b"{", FailureKind.REFUSED),
        (b'{"code":{"a":1}}', FailureKind.REFUSED),
    ],
)
def test_error_inside_an_answer_is_classified(raw: bytes, kind: FailureKind) -> None:
    assert classify_error(raw, MODEL).kind is kind
