"""How providers do, as anybody may see it."""

from typing import Any

from infra.local.stack import LocalStack
from shared.routing.offer_health import FAILURES_TO_OPEN
from tests.functions.catalog.client import get
from tests.functions.chat.client import ask
from tests.harness.gateways import Gateways
from tests.harness.tenants import Models, Tenants


async def test_an_open_breaker_is_shown_by_another_gateway(
    start_gateway: Gateways, tenant: Tenants, make_model: Models
) -> None:
    asked, looked_at = start_gateway(), start_gateway()
    customer, failing = tenant(), make_model("status=500", providers=("featherless",))
    served = make_model("tokens=60,pace_ms=5", providers=("featherless",))
    for _ in range(FAILURES_TO_OPEN):
        await ask(asked, customer, failing)
    await ask(asked, customer, served, stream=True)

    providers = {one["slug"]: one for one in (await get(looked_at, "/models/providers")).json["data"]}
    (breaker,) = [one for one in providers["featherless"]["breakers"] if one["model"] == failing.id]
    assert breaker["state"] == "open"
    assert 1 <= breaker["retry_after_s"] <= 30
    assert 0 < providers["featherless"]["success_rate"] < 1
    assert providers["featherless"]["median_tokens_per_second"] > 0

    async def offer(model_id: str) -> dict[str, Any]:
        (shown,) = (await get(looked_at, f"/v1/models/{model_id}")).json["offers"]
        return dict(shown)

    down, up = await offer(failing.id), await offer(served.id)
    assert (down["status"], down["breaker"], down["latency_ms"]) == ("down", "open", None)
    assert up["breaker"] == "closed"
    assert up["latency_ms"] >= 0
    assert up["tokens_per_second"] > 0


async def test_without_redis_providers_and_models_are_listed_with_nothing_known_of_their_health(
    stack: LocalStack, start_gateway: Gateways, make_model: Models
) -> None:
    gateway, model = start_gateway(), make_model()
    with stack.without("redis-rest"):
        listed = await get(gateway, "/models/providers")
        shown = await get(gateway, f"/v1/models/{model.id}")
    assert (listed.status, shown.status) == (200, 200)
    assert {(one["success_rate"], one["status"]) for one in listed.json["data"]} == {(None, "healthy")}
    assert [(one["breaker"], one["latency_ms"]) for one in shown.json["offers"]] == [("closed", None)]
