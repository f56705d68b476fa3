import re

import pytest

from infra.local.migrate import read_migrations
from shared.core.verdicts import Refused
from shared.flows.refusals import refusal_error
from shared.keys.format import InvalidApiKey

# Answers to our own servers, which no customer causes.
NEVER_SHOWN = {
    "unknown_hold",
    "hold_ended",
    "hold_voided",
    "unknown_account",
    "response_not_stored",
    # Said by the limiter and by admission alike, in the words of shared.keys.
    InvalidApiKey.code,
}
NUMBERS: dict[str, int | str] = {
    "scope": "inference",
    "environment": "test",
    "model": "maker/model",
    "output": "image",
    "outputs": "text embeddings",
    "offered": "1024x1024 high",
    "limit": 7,
    "used": 8,
    "retry_after_s": 3600,
    "limit_nanos": 1_000_000_000,
    "spent_nanos": 900_000_000,
    "available_nanos": 5,
    "owed_nanos": 3_000_000_000,
    "required_nanos": 2_500_000_000,
    "generation_id": "00000000-0000-4000-8000-00000000000a",
    "plan_id": "dev",
    "interval": "month",
    "min_cents": 500,
    "max_cents": 500_000,
    "messages": 200_000,
    "size_bytes": 268_435_456,
    "code": "SPRING",
    "redemptions": 3,
    "provider": "openrouter",
    "name": "production",
    "scopes": "inference, models:read",
    "state": "revoked",
}
# Those that mend themselves by waiting.
RETRYABLE = {"idempotency_in_progress", "test_email_too_soon"}
# A message that shows a line to be sent.
SHOWN_BRACES = ("{id}", '{"role": "admin"}', '{"identity_token": "..."}')


def _codes_in_sql() -> dict[str, int]:
    """Return every code that a function answers with its status."""
    text = "\n".join(migration.text for migration in read_migrations())
    codes = {code: int(status) for status, code in re.findall(r"gateway\.refusal\(\s*(\d+),\s*'(\w+)'", text)}
    # The quotas' codes stand in a table of values that one refusal answers from.
    codes |= dict.fromkeys(re.findall(r"\('(\w+_exhausted)'", text), 429)
    codes |= dict.fromkeys(re.findall(r"'((?:day|month)_\w+_exhausted)'", text), 429)
    return codes


CODES = _codes_in_sql()


def test_every_refusal_in_the_sql_is_seen_by_these_tests() -> None:
    text = "\n".join(migration.text for migration in read_migrations())
    calls = len(re.findall(r"gateway\.refusal\(", text)) - len(re.findall(r"create function gateway\.refusal\(", text))
    constant = len(re.findall(r"gateway\.refusal\(\s*\d+,\s*'\w+'", text))
    from_a_table = len(re.findall(r"gateway\.refusal\(429, quota\.code", text))
    assert calls == constant + from_a_table
    for code in ("day_requests_exhausted", "month_tokens_exhausted", "insufficient_credits"):
        assert code in CODES


@pytest.mark.parametrize("code", sorted(set(CODES) - NEVER_SHOWN))
def test_every_code_that_a_customer_may_meet_has_words_and_the_status_of_the_sql(code: str) -> None:
    error = refusal_error(Refused(status=CODES[code], code=code, numbers=NUMBERS))
    assert (error.code, error.status) == (code, CODES[code])
    message = error.message
    for shown in SHOWN_BRACES:
        message = message.replace(shown, "")
    assert "{" not in message
    assert error.message.endswith((".", "?"))
    assert error.is_retryable == (code in RETRYABLE)


@pytest.mark.parametrize("code", ["idempotency_in_progress", "answer_not_stored"])
def test_a_request_that_came_before_is_named_as_its_headers_named_it(code: str) -> None:
    message = refusal_error(Refused(status=409, code=code, numbers=NUMBERS)).message
    assert "gen_0000000000004000800000000000000a" in message


def test_a_request_that_is_still_running_says_when_to_ask_again() -> None:
    error = refusal_error(Refused(status=409, code="idempotency_in_progress", numbers=NUMBERS))
    assert int(error.headers["Retry-After"]) >= 1


def test_the_codes_that_are_never_shown_exist() -> None:
    assert NEVER_SHOWN.issubset(CODES)


@pytest.mark.parametrize("code", ["hold_voided", "made_up"])
def test_a_code_without_words_is_a_fault_of_ours(code: str) -> None:
    with pytest.raises(KeyError):
        refusal_error(Refused(status=409, code=code, numbers={}))


def test_a_missing_balance_is_told_with_both_numbers() -> None:
    message = refusal_error(Refused(status=402, code="insufficient_credits", numbers=NUMBERS)).message
    assert "2.500000000 USD" in message
    assert "0.000000005 USD" in message


def test_a_spend_limit_is_told_with_its_three_numbers() -> None:
    message = refusal_error(Refused(status=402, code="key_spend_limit_reached", numbers=NUMBERS)).message
    assert ["2.500000000" in message, "0.900000000" in message, "1.000000000" in message] == [True] * 3


@pytest.mark.parametrize("period", ["day", "month"])
@pytest.mark.parametrize("unit", ["requests", "tokens"])
def test_a_quota_says_what_is_used_up_and_when_it_starts_anew(period: str, unit: str) -> None:
    message = refusal_error(Refused(status=429, code=f"{period}_{unit}_exhausted", numbers=NUMBERS)).message
    assert f"7 {unit} per {period}" in message
    assert f"next {period} (UTC)" in message


def test_a_quota_says_in_how_many_seconds_it_starts_anew() -> None:
    error = refusal_error(Refused(status=429, code="day_requests_exhausted", numbers=NUMBERS))
    assert error.headers == {"Retry-After": "3600"}


def test_a_model_is_named_and_points_at_the_field() -> None:
    error = refusal_error(Refused(status=404, code="model_not_found", numbers=NUMBERS))
    assert "maker/model" in error.message
    assert error.param == "model"
