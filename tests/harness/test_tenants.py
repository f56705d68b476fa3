import aiohttp

from tests.harness.gateways import Gateways, RunningGateway
from tests.harness.simulator import Simulator
from tests.harness.tenants import Models, Tenants


async def test_a_tenant_can_call_a_scripted_model(
    gateway: RunningGateway, tenant: Tenants, make_model: Models, simulator: Simulator
) -> None:
    customer, model = tenant(), make_model("tokens=3")
    request = {"model": model.id, "messages": [{"role": "user", "content": "Hello"}]}
    async with (
        aiohttp.ClientSession(headers=customer.headers) as session,
        session.post(f"{gateway.url}/v1/chat/completions", json=request) as response,
    ):
        body = await response.json()
    assert response.status == 200, body
    assert body["usage"]["completion_tokens"] == 3
    (served,) = simulator.requests(model.upstream_model)
    assert served["completion_tokens"] == 3


async def test_a_killed_gateway_is_gone_and_its_stack_goes_on(start_gateway: Gateways, gateway: RunningGateway) -> None:
    other = start_gateway()
    assert other.url != gateway.url
    other.kill()
    async with aiohttp.ClientSession() as session, session.get(f"{gateway.url}/ping") as response:
        assert response.status == 200
