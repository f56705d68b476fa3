"""Every official client while a provider thinks: our pings are none of their events, and each waits to the end."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.contract.matrix import clients_of
from tests.contract.programs import Programs
from tests.functions.chat.client import words
from tests.harness.gateways import RunningGateway
from tests.harness.simulator import Simulator
from tests.harness.tenants import Models, Tenants
from tests.harness.wire import Fault, Wire

FEATURE = "keep_alive"
CLIENTS = clients_of(FEATURE)
SILENCE_MS = 40_000
# Load balancers between a client and the gateway hang up on what is silent for so long, or for longer.
IDLE_LIMIT_S = 20.0
# One test for all of them: they wait side by side.
pytestmark = [pytest.mark.cell(client, FEATURE) for client in CLIENTS]


def test_a_stream_is_read_to_its_end_after_forty_seconds_of_silence(
    clients: Programs,
    gateway: RunningGateway,
    open_wire: Callable[[str], Wire],
    *,
    tenant: Tenants,
    make_model: Models,
    simulator: Simulator,
) -> None:
    customer, model = tenant(), make_model(f"tokens=3,first_byte_ms={SILENCE_MS}")
    wire = open_wire(gateway.url)
    with wire.broken(Fault(silence_limit_s=IDLE_LIMIT_S)), ThreadPoolExecutor(len(CLIENTS)) as threads:
        told = list(threads.map(lambda client: clients.run(wire.url, client, "stream", customer, model), CLIENTS))
    assert [each["answer"]["text"] for each in told] == [words(3)] * len(CLIENTS)
    # Nobody asked twice, also not for an answer that was kept.
    assert len(wire.exchanges()) == len(CLIENTS)
    assert len(simulator.requests(model.upstream_model)) == len(CLIENTS)
