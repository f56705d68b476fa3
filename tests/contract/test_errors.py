"""Every official client against the gateway, unchanged: each refusal is the error that the client has for it."""

from collections.abc import Callable

import pytest

from shared.core.money import NANOS_PER_DOLLAR
from tests.contract.matrix import AI_SDK, with_clients
from tests.contract.programs import Programs, RunClient
from tests.functions.chat.books import assert_settled
from tests.functions.chat.client import words
from tests.harness.gateways import RunningGateway
from tests.harness.simulator import Simulator
from tests.harness.tenants import Models, PlanLimits, Tenant, Tenants, TestModel
from tests.harness.wire import Fault, Wire

START = 10 * NANOS_PER_DOLLAR
# As the class is named for a status; None is a stream that broke.
PLAIN: dict[int | None, str] = {
    400: "BadRequestError",
    401: "AuthenticationError",
    403: "PermissionDeniedError",
    404: "NotFoundError",
    429: "RateLimitError",
    503: "InternalServerError",
    None: "APIError",
}
ANTHROPIC_S = PLAIN | {402: "PaymentRequiredError", 503: "ServiceUnavailableError"}
LANGCHAIN_S = {
    400: "OpenAIInvalidRequestError",
    401: "OpenAIAuthenticationError",
    403: "OpenAIPermissionDeniedError",
    404: "OpenAIModelNotFoundError",
    429: "OpenAIRateLimitError",
    503: "OpenAIAPIError",
}
NAMES = {
    "openai-python": PLAIN | {402: "APIStatusError"},
    "openai-python-older": PLAIN | {402: "APIStatusError"},
    "langchain": PLAIN | LANGCHAIN_S | {402: "APIStatusError"},
    "anthropic-python": ANTHROPIC_S | {None: "APIStatusError"},
    "openai-node": PLAIN | {402: "APIError"},
    "anthropic-node": ANTHROPIC_S,
}

Caller = Tenant | str
Arrange = Callable[[Tenants, Models], tuple[Caller, TestModel | str]]


def _at_a_forbidden_address(tenant: Tenants, make_model: Models) -> tuple[Caller, TestModel | str]:
    customer = tenant()
    customer.allow_addresses("192.0.2.0/24")
    return customer, make_model()


REFUSED: list[tuple[int, str, Arrange]] = [
    (401, "invalid_api_key", lambda _, make_model: ("gw_live_nonsense", make_model())),
    (402, "insufficient_credits", lambda tenant, make_model: (tenant(credit_nanos=0), make_model())),
    (403, "address_not_allowed", _at_a_forbidden_address),
    (404, "model_not_found", lambda tenant, _: (tenant(), "nobody/nothing")),
    (429, "provider_rate_limited", lambda tenant, make_model: (tenant(), make_model("status=429"))),
    (503, "provider_overloaded", lambda tenant, make_model: (tenant(), make_model("status=503"))),
]


@pytest.mark.parametrize("scenario", ["text", "stream"])
@pytest.mark.parametrize(("status", "code", "arrange"), REFUSED, ids=[str(status) for status, _, _ in REFUSED])
@with_clients("errors")
def test_a_refusal_is_the_client_s_own_error(
    *,
    run_client: RunClient,
    tenant: Tenants,
    make_model: Models,
    client: str,
    status: int,
    code: str,
    arrange: Arrange,
    scenario: str,
) -> None:
    caller, model = arrange(tenant, make_model)
    error = run_client(client, scenario, caller, model, maxRetries=0)["error"]
    assert (error["name"], error["status"], error["code"]) == (_name(client, status), status, code)
    assert error["requestId"].startswith("req_")


@with_clients("errors")
def test_a_picture_for_a_model_without_eyes_is_bad_input(
    run_client: RunClient, tenant: Tenants, make_model: Models, client: str
) -> None:
    error = run_client(client, "vision", tenant(), make_model())["error"]
    assert (error["name"], error["status"], error["code"]) == (_name(client, 400), 400, "images_not_supported")


@with_clients("errors")
def test_a_limit_is_told_from_an_answer(
    run_client: RunClient, tenant: Tenants, make_model: Models, client: str
) -> None:
    customer, model = tenant(limits=PlanLimits(requests_per_minute=1)), make_model("tokens=2")
    assert run_client(client, "text", customer, model, maxRetries=0)["answer"]["text"] == words(2)
    error = run_client(client, "text", customer, model, maxRetries=0)["error"]
    assert (error["name"], error["status"], error["code"]) == (_name(client, 429), 429, "rate_limit_requests")


@with_clients("errors")
def test_a_stream_that_is_cut_is_an_error(
    run_client: RunClient, tenant: Tenants, make_model: Models, client: str
) -> None:
    model = make_model("tokens=9,at=3,cut=mid_stream")
    error = run_client(client, "stream", tenant(), model)["error"]
    if client in AI_SDK:
        assert error["name"] == "StreamProviderError"
    else:
        assert (error["name"], error["code"]) == (NAMES[client][None], "stream_interrupted")


@pytest.mark.parametrize("scenario", ["text", "stream"])
@with_clients("retries")
def test_a_request_that_failed_is_tried_again_by_the_client(
    *,
    run_client: RunClient,
    tenant: Tenants,
    make_model: Models,
    simulator: Simulator,
    client: str,
    scenario: str,
) -> None:
    customer, model = tenant(), make_model("tokens=5,prompt_tokens=10,status=503,fail_times=1,retry_after=1")
    assert run_client(client, scenario, customer, model)["answer"]["text"] == words(5)
    assert len(simulator.requests(model.upstream_model)) == 2
    assert assert_settled(customer, START) == 10 * 1_000 + 5 * 2_000


@pytest.mark.parametrize("scenario", ["text", "stream"])
@with_clients("retries")
def test_a_lost_answer_is_asked_for_again_and_paid_once(
    *,
    clients: Programs,
    gateway: RunningGateway,
    open_wire: Callable[[str], Wire],
    tenant: Tenants,
    make_model: Models,
    simulator: Simulator,
    client: str,
    scenario: str,
) -> None:
    lossy, customer, model = open_wire(gateway.url), tenant(), make_model("tokens=5,prompt_tokens=10")
    # The AI SDK's retries do not say that they are.
    headers = {"Idempotency-Key": "the-one-question"} if client in AI_SDK else None
    with lossy.broken(Fault(drops_answer=True), times=1):
        answer = clients.run(lossy.url, client, scenario, customer, model, headers=headers)["answer"]
    assert answer["text"] == words(5)
    assert len(lossy.exchanges()) == 2
    assert len(simulator.requests(model.upstream_model)) == 1
    assert assert_settled(customer, START) == 10 * 1_000 + 5 * 2_000


@pytest.mark.parametrize("client", NAMES)
def test_what_cannot_help_is_not_tried_again(
    *, run_client: RunClient, tenant: Tenants, make_model: Models, simulator: Simulator, client: str
) -> None:
    model = make_model("status=401")
    error = run_client(client, "text", tenant(), model)["error"]
    assert (error["status"], error["code"]) == (502, "provider_account_problem")
    assert len(simulator.requests(model.upstream_model)) == 1


def _name(client: str, status: int) -> str:
    return "APICallError" if client in AI_SDK else NAMES[client][status]
