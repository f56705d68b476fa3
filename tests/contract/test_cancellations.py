"""Every official client against the gateway, unchanged: streams that are stopped."""

import pytest

from shared.core.money import NANOS_PER_DOLLAR
from tests.contract.matrix import AI_SDK, clients_of
from tests.contract.programs import RunClient
from tests.functions.chat.books import assert_settled, wait_until_settled
from tests.harness.simulator import Simulator
from tests.harness.tenants import Models, Tenants

START = 10 * NANOS_PER_DOLLAR
PACE_MS = 100
# Whoever retries by himself and leaves within 2 s is read on for, since he may come again.
PIECES_OF_PATIENCE = 25
# In Python whoever reads within a task may be cancelled at any await.
IN_A_TASK = ("openai-python", "openai-python-older", "anthropic-python")
STOPS = [
    pytest.param(client, scenario, marks=pytest.mark.cell(client, "cancellation"))
    for scenario, clients in {"cancel": clients_of("cancellation"), "cancelTask": IN_A_TASK}.items()
    for client in clients
]


@pytest.mark.parametrize(("client", "scenario"), STOPS)
def test_a_stream_that_is_stopped_ends_at_the_provider_and_is_charged_so_far(
    *,
    run_client: RunClient,
    tenant: Tenants,
    make_model: Models,
    simulator: Simulator,
    client: str,
    scenario: str,
) -> None:
    customer, model = tenant(), make_model(f"tokens=600,prompt_tokens=10,pace_ms={PACE_MS}")
    pieces = 1 if client in AI_SDK else PIECES_OF_PATIENCE
    answer = run_client(client, scenario, customer, model, pieces=pieces)["answer"]
    assert answer["pieces"] < pieces + 10
    line = wait_until_settled(customer)
    (served,) = simulator.requests(model.upstream_model)
    assert served["client_left"]
    assert pieces <= served["completion_tokens"] < pieces + 30
    assert line["outcome"] == "abandoned"
    assert assert_settled(customer, START) == 10 * 1_000 + served["completion_tokens"] * 2_000
