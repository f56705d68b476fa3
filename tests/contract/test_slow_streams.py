"""Every official client while a provider thinks: our pings are none of their events, and each waits to the end."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.contract.matrix import clients_of
from tests.contract.programs import RunClient
from tests.functions.chat.client import words
from tests.harness.simulator import Simulator
from tests.harness.tenants import Models, Tenants

FEATURE = "keep_alive"
CLIENTS = clients_of(FEATURE)
SILENCE_MS = 40_000
# One test for all of them: they wait side by side.
pytestmark = [pytest.mark.cell(client, FEATURE) for client in CLIENTS]


def test_a_stream_is_read_to_its_end_after_forty_seconds_of_silence(
    run_client: RunClient, tenant: Tenants, make_model: Models, simulator: Simulator
) -> None:
    customer, model = tenant(), make_model(f"tokens=3,first_byte_ms={SILENCE_MS}")
    with ThreadPoolExecutor(len(CLIENTS)) as threads:
        told = list(threads.map(lambda client: run_client(client, "stream", customer, model), CLIENTS))
    assert [each["answer"]["text"] for each in told] == [words(3)] * len(CLIENTS)
    # Nobody asked twice.
    assert len(simulator.requests(model.upstream_model)) == len(CLIENTS)
