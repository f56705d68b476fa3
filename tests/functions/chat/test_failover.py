import json

import pytest

from shared.core.money import NANOS_PER_DOLLAR
from tests.functions.chat.books import assert_settled, has_no_usage_line, usage_line
from tests.functions.chat.client import Answer, ask, words
from tests.functions.chat.raw_provider import RawProvider
from tests.harness.gateways import RunningGateway
from tests.harness.simulator import Simulator
from tests.harness.tenants import Models, Tenant, Tenants

START = 10 * NANOS_PER_DOLLAR
BOTH = ("openrouter", "featherless")
TOO_LONG_BODY = (
    b'{"error":{"message":"This model\'s maximum context length is 1000 tokens","code":"context_length_exceeded"}}'
)
TOO_LONG = b"HTTP/1.1 400 Bad Request\r\nContent-Length: %d\r\n\r\n%s" % (len(TOO_LONG_BODY), TOO_LONG_BODY)


def assert_refused(answer: Answer, status: int, code: str) -> None:
    assert answer.status == status, answer.raw
    assert answer.error["code"] == code
    assert answer.generation_id
    assert ("Retry-After" in answer.headers) == (status in {429, 503})


def assert_waived(tenant: Tenant, answer: Answer, attempts: int) -> None:
    line = usage_line(tenant, answer.generation_id)
    assert (line["outcome"], line["usage_source"], line["waived_reason"]) == ("failed", "none", "no_answer")
    assert len(line["attempts"]) == attempts
    assert not any(attempt["is_success"] for attempt in line["attempts"])
    assert assert_settled(tenant, START) == line["cost_nanos"] == 0


@pytest.mark.parametrize("is_stream", [False, True])
@pytest.mark.parametrize(
    "fault",
    ["status=408", "status=429", "status=500", "status=502", "status=503", "status=401", "status=404",
     "cut=before_headers"],
)  # fmt: skip
async def test_a_provider_that_fails_is_followed_by_the_next(
    gateway: RunningGateway, tenant: Tenants, make_model: Models, fault: str, is_stream: bool
) -> None:
    customer = tenant()
    failing = make_model(fault)
    healthy = make_model("tokens=3")
    answer = await ask(gateway, customer, failing, models=[healthy.id], stream=is_stream)
    assert answer.status == 200, answer.raw
    assert (answer.text if is_stream else answer.json["choices"][0]["message"]["content"]) == words(3)
    line = usage_line(customer, answer.generation_id)
    assert [attempt["is_success"] for attempt in line["attempts"]] == [False, True]
    assert line["attempts"][0]["model_id"] == failing.id
    assert line["model_id"] == healthy.id
    assert line["cost_nanos"] == assert_settled(customer, START) > 0


async def test_a_provider_that_is_not_there_is_followed_by_the_next(
    odd_gateway: RunningGateway, tenant: Tenants, make_model: Models
) -> None:
    customer, model = tenant(), make_model("tokens=3", providers=("chutes", "openrouter"))
    answer = await ask(odd_gateway, customer, model)
    assert answer.headers["X-Provider"] == "openrouter"
    attempts = usage_line(customer, answer.generation_id)["attempts"]
    assert [(attempt["provider"], attempt["status"]) for attempt in attempts] == [("chutes", None), ("openrouter", 200)]


@pytest.mark.parametrize("is_stream", [False, True])
async def test_a_request_that_reached_no_provider_is_voided(
    odd_gateway: RunningGateway, tenant: Tenants, make_model: Models, is_stream: bool
) -> None:
    customer = tenant()
    answer = await ask(odd_gateway, customer, make_model(providers=("chutes",)), stream=is_stream)
    assert_refused(answer, 502, "provider_unavailable")
    assert has_no_usage_line(customer)
    assert [hold.state for hold in customer.books.holds()] == ["voided"]
    assert customer.books.counted_requests().in_day == 0
    assert assert_settled(customer, START) == 0


@pytest.mark.parametrize("is_stream", [False, True])
@pytest.mark.parametrize("upstream_status", [400, 422])
async def test_what_is_the_client_s_fault_is_not_tried_elsewhere(
    gateway: RunningGateway,
    tenant: Tenants,
    make_model: Models,
    simulator: Simulator,
    *,
    upstream_status: int,
    is_stream: bool,
) -> None:
    customer, model = tenant(), make_model(f"status={upstream_status}", providers=BOTH)
    answer = await ask(gateway, customer, model, stream=is_stream)
    assert_refused(answer, 400, "provider_rejected_request")
    assert answer.headers["x-should-retry"] == "false"
    assert len(simulator.requests(model.upstream_model)) == 1
    assert_waived(customer, answer, attempts=1)


@pytest.mark.parametrize("is_stream", [False, True])
async def test_what_is_too_long_for_one_is_tried_where_more_fits_and_nowhere_else(
    odd_gateway: RunningGateway,
    tenant: Tenants,
    make_model: Models,
    raw_provider: RawProvider,
    simulator: Simulator,
    *,
    is_stream: bool,
) -> None:
    customer, small = tenant(), make_model(providers=("portkey",), context_length=1_000)
    as_small = make_model("tokens=3", context_length=1_000)
    larger = make_model("tokens=3", context_length=1_001)
    raw_provider.answers(small.upstream_model, TOO_LONG)
    answer = await ask(odd_gateway, customer, small, models=[as_small.id, larger.id], stream=is_stream)
    assert answer.status == 200, answer.raw
    line = usage_line(customer, answer.generation_id)
    assert [attempt["model_id"] for attempt in line["attempts"]] == [small.id, larger.id]
    # It says nothing about the provider.
    assert line["attempts"][0]["is_request_at_fault"]
    assert line["cost_nanos"] == assert_settled(customer, START) > 0
    refused = await ask(odd_gateway, customer, small, models=[as_small.id], stream=is_stream)
    assert_refused(refused, 400, "context_length_exceeded")
    assert simulator.requests(as_small.upstream_model) == []


@pytest.mark.parametrize(
    ("upstream_status", "status", "code"),
    [
        (429, 429, "provider_rate_limited"),
        (500, 502, "provider_unavailable"),
        (502, 502, "provider_unavailable"),
        (503, 503, "provider_overloaded"),
        (529, 503, "provider_overloaded"),
        (408, 504, "provider_timeout"),
        (504, 504, "provider_timeout"),
        (401, 502, "provider_account_problem"),
        (402, 502, "provider_account_problem"),
        (403, 502, "provider_account_problem"),
        (404, 502, "provider_account_problem"),
    ],
)
async def test_when_all_fail_the_status_keeps_its_meaning_and_costs_nothing(
    gateway: RunningGateway, tenant: Tenants, make_model: Models, upstream_status: int, *, status: int, code: str
) -> None:
    for is_stream in (False, True):
        customer, model = tenant(), make_model(f"status={upstream_status},retry_after=17", providers=BOTH)
        answer = await ask(gateway, customer, model, stream=is_stream)
        assert_refused(answer, status, code)
        assert answer.headers.get("Retry-After") == ("17" if status in {429, 503} else None)
        assert_waived(customer, answer, attempts=2)


@pytest.mark.parametrize("fault", ["cut=mid_stream", "cut=clean", "garbage=1", "error_event=1"])
async def test_a_whole_answer_that_arrives_broken_is_asked_of_the_next_and_costs_nothing(
    gateway: RunningGateway, tenant: Tenants, make_model: Models, fault: str
) -> None:
    customer, broken = tenant(), make_model(fault, providers=BOTH)
    answer = await ask(gateway, customer, broken)
    assert_refused(answer, 502, "provider_unavailable")
    assert_waived(customer, answer, attempts=2)
    answer = await ask(gateway, customer, broken, models=[make_model("tokens=2").id])
    assert answer.json["choices"][0]["message"]["content"] == words(2)


@pytest.mark.parametrize(
    "body",
    [
        b"{}",
        b"[]",
        b"null",
        b'{"choices":[]}',
        b'{"choices":null,"error":{"message":"secret-provider-detail","code":502}}',
        b'{"choices":[{"index":0,"message":{"content":""},"finish_reason":"error"}]}',
        b'{"choices":[{"index":0,"message":{"content":"x"},"error":{"code":502,"message":"secret-provider-detail"}}]}',
        b"[" * 100_000,
    ],
)
async def test_what_is_no_completion_is_the_provider_s_failure(
    odd_gateway: RunningGateway, tenant: Tenants, make_model: Models, raw_provider: RawProvider, body: bytes
) -> None:
    customer, model = tenant(), make_model(providers=("portkey",))
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    raw_provider.answers(model.upstream_model, head + body)
    answer = await ask(odd_gateway, customer, model)
    assert_refused(answer, 502, "provider_unavailable")
    assert_waived(customer, answer, attempts=1)


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:9/secret-provider-detail\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 204 No Content\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 22\r\n\r\nsecret-provider-detail",
        b"not http at all secret-provider-detail\r\n\r\n",
        b"HTTP/1.1 429 Slow\r\nRetry-After: 1\x0bX-Injected: 1\r\nContent-Length: 0\r\n\r\n",
    ],
)
@pytest.mark.parametrize("is_stream", [False, True])
async def test_strange_http_is_the_provider_s_failure(
    odd_gateway: RunningGateway,
    tenant: Tenants,
    make_model: Models,
    raw_provider: RawProvider,
    *,
    head: bytes,
    is_stream: bool,
) -> None:
    customer, model = tenant(), make_model(providers=("portkey",))
    raw_provider.answers(model.upstream_model, head)
    answer = await ask(odd_gateway, customer, model, stream=is_stream)
    assert answer.status in {429, 502}
    assert answer.error["code"].startswith("provider_")
    assert "X-Injected" not in answer.headers
    assert_waived(customer, answer, attempts=1)


async def test_a_provider_that_fails_only_once_is_asked_again_by_the_next_request(
    gateway: RunningGateway, tenant: Tenants, make_model: Models
) -> None:
    customer, model = tenant(), make_model("status=500,fail_times=1")
    assert [(await ask(gateway, customer, model)).status for _ in range(2)] == [502, 200]


async def test_no_more_than_four_attempts_are_made(
    gateway: RunningGateway, tenant: Tenants, make_model: Models
) -> None:
    customer = tenant()
    models = [make_model("status=500", providers=BOTH) for _ in range(3)]
    answer = await ask(gateway, customer, models[0], models=[model.id for model in models[1:]])
    assert_refused(answer, 502, "provider_unavailable")
    assert_waived(customer, answer, attempts=4)


async def test_a_provider_s_words_and_a_prompt_reach_no_log(
    gateway: RunningGateway, tenant: Tenants, make_model: Models
) -> None:
    prompt = [{"role": "user", "content": "a-prompt-that-nobody-may-log"}]
    customer = tenant()
    for script in ("status=400", "status=500", "garbage=1", "error_event=1", "tokens=2,usage=garbage"):
        for is_stream in (False, True):
            await ask(gateway, customer, make_model(script), messages=prompt, stream=is_stream)
    log = gateway.log_text()
    assert "secret-provider-detail" not in log
    assert "a-prompt-that-nobody-may-log" not in log
    assert customer.api_key not in log
    events = {json.loads(line)["event"] for line in log.splitlines() if line.startswith("{")}
    assert {"attempt_failed", "request_answered", "usage_implausible"} <= events
    assert not events & {"request_crashed", "stream_crashed", "settlement_failed"}
