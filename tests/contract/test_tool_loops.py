"""The loops that official clients have of their own: they run the tools and ask again, unasked by the customer."""

from collections.abc import Callable

import pytest

from shared.core.money import NANOS_PER_DOLLAR
from tests.contract.clients import FOLDER
from tests.contract.matrix import AI_SDK, with_clients
from tests.contract.programs import Programs, RunClient
from tests.contract.table import PAGE
from tests.functions.chat.books import assert_settled
from tests.functions.chat.client import words
from tests.harness.gateways import RunningGateway
from tests.harness.simulator import Simulator
from tests.harness.tenants import Models, Tenants
from tests.harness.wire import Fault, Wire

START = 10 * NANOS_PER_DOLLAR


@pytest.mark.parametrize("scenario", ["toolLoop", "streamedToolLoop"])
@with_clients("tools", "openai-node", "anthropic-node", "anthropic-python")
def test_the_client_s_own_loop_runs_the_tool_and_asks_again(
    *,
    run_client: RunClient,
    tenant: Tenants,
    make_model: Models,
    simulator: Simulator,
    client: str,
    scenario: str,
) -> None:
    customer, model = tenant(), make_model("tool_calls=1")
    looped = run_client(client, scenario, customer, model)["answer"]
    # The loop ends after its second turn, whose call Anthropic's runs too.
    assert looped["inputs"][0] == {"city": "text"}
    assert looped["stops"] in (["tool_calls"] * 2, ["tool_use"] * 2)
    assert len(simulator.requests(model.upstream_model)) == 2
    assert assert_settled(customer, START) == simulator.bill_nanos(model.upstream_model) > 0


@pytest.mark.parametrize("scenario", ["structuredByTool", "streamedStructuredByTool"])
@with_clients("structured", "ai-anthropic")
def test_a_client_that_takes_a_tool_call_for_a_structure_gets_one(
    run_client: RunClient, tenant: Tenants, make_model: Models, *, client: str, scenario: str
) -> None:
    answer = run_client(client, scenario, tenant(), make_model("tool_calls=1"))["answer"]
    assert answer == {"name": "text", "people": 1}


@pytest.mark.parametrize("scenario", ["tools", "streamedTools"])
@with_clients("retries", *AI_SDK)
def test_a_loop_that_names_each_request_by_its_body_pays_once_for_a_lost_answer(
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
    lossy, customer, calls, talks = open_wire(gateway.url), tenant(), make_model("tool_calls=1"), make_model("tokens=3")
    with lossy.broken(Fault(drops_answer=True), times=1):
        looped = clients.run(lossy.url, client, scenario, customer, calls, then=talks.id, call="one-call")["answer"]
    assert looped[1]["text"] == words(3)
    assert len(lossy.exchanges()) == 3
    assert len(simulator.requests(calls.upstream_model)) == len(simulator.requests(talks.upstream_model)) == 1
    bills = simulator.bill_nanos(calls.upstream_model) + simulator.bill_nanos(talks.upstream_model)
    assert assert_settled(customer, START) == bills > 0


def test_the_page_shows_how_to_name_a_request_by_its_body_as_it_is_tested() -> None:
    _, once = (FOLDER / "javascript" / "once.mjs").read_text().split("export ")
    assert f"```js\n{once}" in PAGE.read_text()
