"""The official clients' own retries, unchanged, when an answer is lost on its way: paid once."""

from collections.abc import Callable, Iterator

import openai
import pytest

from shared.core.money import NANOS_PER_DOLLAR
from tests.contract.test_openai_python import HELLO
from tests.functions.chat.books import assert_settled
from tests.functions.chat.client import words
from tests.harness.gateways import RunningGateway
from tests.harness.simulator import Simulator
from tests.harness.tenants import Models, Tenant, Tenants
from tests.harness.wire import Fault, Wire

START = 10 * NANOS_PER_DOLLAR
COST = 10 * 1_000 + 8 * 2_000

MakeWiredClient = Callable[..., openai.OpenAI]


@pytest.fixture
def lossy(gateway: RunningGateway, open_wire: Callable[[str], Wire]) -> Wire:
    """A wire before the gateway."""
    return open_wire(gateway.url)


@pytest.fixture
def wired_client_of(lossy: Wire) -> Iterator[MakeWiredClient]:
    clients: list[openai.OpenAI] = []

    def make(tenant: Tenant, **options: float) -> openai.OpenAI:
        clients.append(openai.OpenAI(base_url=f"{lossy.url}/v1", api_key=tenant.api_key, **options))  # type: ignore[arg-type]
        return clients[-1]

    yield make
    for client in clients:
        client.close()


@pytest.mark.parametrize("losses", [1, 2])
@pytest.mark.parametrize("is_stream", [False, True], ids=["whole", "stream"])
@pytest.mark.cell("openai-python", "retries")
def test_python_retries_a_lost_answer_and_pays_once(
    *,
    lossy: Wire,
    wired_client_of: MakeWiredClient,
    tenant: Tenants,
    make_model: Models,
    simulator: Simulator,
    losses: int,
    is_stream: bool,
) -> None:
    customer, model = tenant(), make_model("prompt_tokens=10")
    client = wired_client_of(customer)
    with lossy.broken(Fault(drops_answer=True), times=losses):
        if is_stream:
            chunks = list(client.chat.completions.create(model=model.id, messages=HELLO, stream=True))
            text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
        else:
            text = client.chat.completions.create(model=model.id, messages=HELLO).choices[0].message.content or ""
    assert text == words(8)
    assert len(lossy.exchanges()) == losses + 1
    assert len(simulator.requests(model.upstream_model)) == 1
    assert assert_settled(customer, START) == COST


@pytest.mark.cell("openai-python", "retries")
def test_python_that_loses_patience_waits_again_and_pays_once(
    lossy: Wire, wired_client_of: MakeWiredClient, tenant: Tenants, make_model: Models, simulator: Simulator
) -> None:
    customer, model = tenant(), make_model("prompt_tokens=10,first_byte_ms=2500")
    answer = wired_client_of(customer, timeout=1.5).chat.completions.create(model=model.id, messages=HELLO)
    assert answer.choices[0].message.content == words(8)
    assert len(lossy.exchanges()) >= 2
    assert len(simulator.requests(model.upstream_model)) == 1
    assert assert_settled(customer, START) == COST


def test_a_key_given_to_python_as_a_header_gets_the_same_answer_from_another_client(
    wired_client_of: MakeWiredClient, tenant: Tenants, make_model: Models
) -> None:
    customer, model = tenant(), make_model("prompt_tokens=10")
    answers = [
        wired_client_of(customer).chat.completions.create(
            model=model.id, messages=HELLO, extra_headers={"Idempotency-Key": "k-1"}
        )
        for _ in range(2)
    ]
    assert answers[0] == answers[1]
    assert assert_settled(customer, START) == COST
