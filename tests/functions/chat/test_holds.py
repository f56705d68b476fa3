import pytest

from shared.core.money import NANOS_PER_DOLLAR
from tests.functions.chat.books import assert_settled, usage_line
from tests.functions.chat.client import ask, words
from tests.harness.gateways import RunningGateway
from tests.harness.simulator import Simulator
from tests.harness.tenants import Models, PlanLimits, Tenants

START = 10 * NANOS_PER_DOLLAR
# 2 USD per million output tokens, and hardly a prompt.
NANOS_PER_TOKEN = 2_000


@pytest.mark.parametrize("tokens", [4_000, 9_500, 16_384])
async def test_a_stream_that_outgrows_its_hold_goes_on_and_is_charged_exactly(
    gateway: RunningGateway, tenant: Tenants, make_model: Models, simulator: Simulator, tokens: int
) -> None:
    customer, model = tenant(), make_model(f"tokens={tokens},prompt_tokens=10")
    answer = await ask(gateway, customer, model, stream=True)
    assert answer.text == words(tokens)
    assert answer.payloads[-1] == "[DONE]"
    line = usage_line(customer, answer.generation_id)
    assert line["cost_nanos"] == 10 * 1_000 + tokens * NANOS_PER_TOKEN == assert_settled(customer, START)
    assert line["shortfall_nanos"] == 0
    (hold,) = customer.books.holds()
    assert hold.amount_nanos >= line["cost_nanos"]


async def test_a_stream_that_the_balance_cannot_carry_on_ends_with_an_error_and_is_paid_so_far(
    gateway: RunningGateway, tenant: Tenants, make_model: Models
) -> None:
    start = 4_500 * NANOS_PER_TOKEN
    customer = tenant(credit_nanos=start)
    model = make_model("tokens=15000,prompt_tokens=10,pace_ms=0", providers=("featherless",))
    answer = await ask(gateway, customer, model, stream=True)
    assert answer.status == 200
    assert answer.chunks[-1]["error"]["code"] == "insufficient_credits"
    assert answer.chunks[-1]["error"]["retryable"] is False
    assert "[DONE]" not in answer.payloads
    line = usage_line(customer, answer.generation_id)
    assert (line["outcome"], line["usage_source"]) == ("interrupted", "counted")
    assert 0 < assert_settled(customer, start) == line["charged_nanos"] <= start
    assert line["charged_nanos"] + line["shortfall_nanos"] == line["cost_nanos"]


@pytest.mark.parametrize("is_stream", [False, True])
async def test_what_the_balance_cannot_pay_for_is_refused_before_any_call_with_both_numbers(
    gateway: RunningGateway, tenant: Tenants, make_model: Models, simulator: Simulator, is_stream: bool
) -> None:
    customer, model = tenant(credit_nanos=1_500_000), make_model()
    answer = await ask(gateway, customer, model, max_tokens=1_000, stream=is_stream)
    assert (answer.status, answer.error["code"]) == (402, "insufficient_credits")
    assert "0.001500000" in answer.error["message"]
    assert "up to 0.002" in answer.error["message"]
    assert answer.headers["x-should-retry"] == "false"
    assert simulator.requests(model.upstream_model) == []
    assert assert_settled(customer, 1_500_000) == 0


async def test_each_answer_says_what_is_left_of_its_limits(
    gateway: RunningGateway, tenant: Tenants, make_model: Models
) -> None:
    customer = tenant(limits=PlanLimits(requests_per_minute=2, tokens_per_minute=100_000, concurrency=5))
    model, broken = make_model("tokens=2"), make_model("status=500")
    first = await ask(gateway, customer, model, max_tokens=10)
    failed = await ask(gateway, customer, broken, stream=True, max_tokens=10)
    refused = await ask(gateway, customer, model, max_tokens=10)
    assert [answer.status for answer in (first, failed, refused)] == [200, 502, 429]
    for answer, remaining in ((first, "1"), (failed, "0"), (refused, "0")):
        assert answer.headers["x-ratelimit-limit-requests"] == "2"
        assert answer.headers["x-ratelimit-remaining-requests"] == remaining
        assert answer.headers["x-ratelimit-limit-tokens"] == "100000"
        assert answer.headers["x-ratelimit-reset-requests"]
        assert answer.headers["X-Request-Id"].startswith("req_")
    assert refused.error["code"] == "rate_limit_requests"
    assert int(refused.headers["Retry-After"]) > 0
    assert refused.headers["x-should-retry"] == "true"


async def test_a_refusal_for_money_says_what_is_left_of_the_limits_too(
    gateway: RunningGateway, tenant: Tenants, make_model: Models
) -> None:
    customer = tenant(limits=PlanLimits(requests_per_minute=9), credit_nanos=0)
    for _ in range(2):
        answer = await ask(gateway, customer, make_model())
        assert answer.status == 402
        assert answer.headers["x-ratelimit-limit-requests"] == "9"


async def test_a_used_up_day_is_no_reason_to_retry(
    gateway: RunningGateway, tenant: Tenants, make_model: Models
) -> None:
    customer, model = tenant(limits=PlanLimits(requests_per_day=1)), make_model()
    assert (await ask(gateway, customer, model)).status == 200
    answer = await ask(gateway, customer, model)
    assert (answer.status, answer.error["code"]) == (429, "day_requests_exhausted")
    assert answer.headers["x-should-retry"] == "false"
