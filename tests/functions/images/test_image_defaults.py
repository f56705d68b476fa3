"""What a request leaves open is one size and quality, whoever serves it."""

from decimal import Decimal

from shared.core.money import NANOS_PER_DOLLAR
from tests.functions.chat.books import assert_settled
from tests.functions.images.client import draw
from tests.harness.gateways import RunningGateway
from tests.harness.simulator import Simulator
from tests.harness.tenants import Models, Tenants, TestModel, TestVariant

START = 10 * NANOS_PER_DOLLAR
SMALL, HUGE = TestVariant("1024x1024", "", Decimal("0.01")), TestVariant("4096x4096", "", Decimal(5))


def _made_by_two(make_model: Models, script: str = "") -> TestModel:
    model = make_model.image_model(script, variants=(SMALL,))
    make_model.publish_images(model, "portkey", HUGE)
    return model


async def test_a_provider_that_fails_is_not_followed_by_another_s_dearer_default(
    gateway: RunningGateway, tenant: Tenants, make_model: Models, simulator: Simulator
) -> None:
    customer, model = tenant(), _made_by_two(make_model, "status=503")
    answer = await draw(gateway, customer, model)
    assert answer.status == 503, answer.raw
    assert {served["provider"] for served in simulator.requests(model.upstream_model)} == {"openrouter"}
    assert assert_settled(customer, START) == 0


async def test_the_default_is_held_for_and_no_other_provider_s(
    gateway: RunningGateway, tenant: Tenants, make_model: Models
) -> None:
    customer, model = tenant(credit_nanos=NANOS_PER_DOLLAR), _made_by_two(make_model)
    answer = await draw(gateway, customer, model)
    assert (answer.status, answer.json["size"]) == (200, "1024x1024"), answer.raw
    assert assert_settled(customer, NANOS_PER_DOLLAR) == NANOS_PER_DOLLAR // 100


async def test_who_chooses_the_provider_is_served_its_default(
    gateway: RunningGateway, tenant: Tenants, make_model: Models
) -> None:
    customer, model = tenant(), _made_by_two(make_model)
    answer = await draw(gateway, customer, model, provider={"only": ["portkey"]})
    assert (answer.status, answer.json["size"]) == (200, "4096x4096"), answer.raw
    assert assert_settled(customer, START) == 5 * NANOS_PER_DOLLAR
