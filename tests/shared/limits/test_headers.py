import pytest

from shared.limits.headers import rate_limit_headers
from shared.limits.types import Allowance, RateState


@pytest.mark.parametrize(
    ("reset_ms", "printed"),
    [
        (0, "0s"),
        (20, "20ms"),
        (999, "999ms"),
        (1000, "1s"),
        (1001, "2s"),
        (59_001, "1m0s"),
        (65_000, "1m5s"),
        (360_000, "6m0s"),
    ],
)
def test_reset_is_printed_as_openai_prints_it(reset_ms: int, printed: str) -> None:
    headers = rate_limit_headers(RateState(requests=Allowance(limit=60, remaining=59, reset_ms=reset_ms), tokens=None))
    assert headers == {
        "x-ratelimit-limit-requests": "60",
        "x-ratelimit-remaining-requests": "59",
        "x-ratelimit-reset-requests": printed,
    }


def test_what_is_unlimited_has_no_headers() -> None:
    assert rate_limit_headers(RateState(requests=None, tokens=None)) == {}
    tokens_only = rate_limit_headers(RateState(requests=None, tokens=Allowance(limit=5, remaining=0, reset_ms=1000)))
    assert set(tokens_only) == {"x-ratelimit-limit-tokens", "x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens"}
