import pytest

from shared.limits.refusals import Excess, refuse
from shared.limits.types import Measure, RateState, Subject

NO_STATE = RateState(requests=None, tokens=None)


@pytest.mark.parametrize(
    ("subject", "measure", "code", "words"),
    [
        ("key", Measure.REQUESTS, "rate_limit_requests", "this API key is reached: 60 requests per minute"),
        ("account", Measure.REQUESTS, "rate_limit_requests", "this account is reached: 60 requests per minute"),
        ("key", Measure.TOKENS, "rate_limit_tokens", "this API key is reached: 60 tokens per minute"),
        ("account", Measure.CONCURRENCY, "concurrency_limit", "this account is reached: 60 requests at once"),
        ("address", Measure.REQUESTS, "rate_limit_address", "from this network address"),
    ],
)
def test_a_refusal_names_the_limit_and_when_to_retry(subject: Subject, measure: Measure, code: str, words: str) -> None:
    refusal = refuse(Excess(subject, measure, limit=60, retry_ms=1001), NO_STATE)
    assert (refusal.status, refusal.code, refusal.is_retryable) == (429, code, True)
    assert refusal.headers["Retry-After"] == "2"
    assert words in refusal.message


def test_retry_after_is_never_zero() -> None:
    refusal = refuse(Excess("key", Measure.REQUESTS, limit=60, retry_ms=0), NO_STATE)
    assert refusal.headers["Retry-After"] == "1"


def test_a_request_that_never_fits_says_what_to_change_and_not_to_retry() -> None:
    refusal = refuse(Excess("account", Measure.TOKENS, limit=60, retry_ms=None), NO_STATE)
    assert (refusal.status, refusal.code, refusal.is_retryable) == (429, "request_exceeds_token_limit", False)
    assert "Retry-After" not in refusal.headers
    assert "lower max_tokens" in refusal.message
