"""A gateway that Stripe's double tells of what happens, and a shop to buy at."""

from collections.abc import AsyncIterator, Callable, Iterator

import pytest

from infra.local.environment import STRIPE_API_KEY, STRIPE_WEBHOOK_SECRET
from infra.local.stack import LocalStack
from shared.clients.http_session import open_session
from shared.clients.stripe.client import open_stripe
from shared.core.integrations import StripeSettings
from tests.harness.gateways import Gateways, RunningGateway
from tests.harness.stripe import StripeDouble
from tests.harness.tenants import Tenants
from tests.harness.wire import Wire
from tests.payments.jobs import CRON_SECRET
from tests.payments.shop import Shop

OpenWire = Callable[[str], Wire]


@pytest.fixture(scope="package")
def seller(stack: LocalStack) -> Iterator[RunningGateway]:
    """The gateway that is told."""
    gateways = Gateways(stack)
    try:
        yield gateways(CRON_SECRET=CRON_SECRET)
    finally:
        gateways.stop_all()


@pytest.fixture
async def shop(
    stack: LocalStack, stripe_double: StripeDouble, seller: RunningGateway, tenant: Tenants
) -> AsyncIterator[Shop]:
    """A shop whose double remembers nothing of other tests and tells the seller of all that happens."""
    stripe_double.tell(seller)
    async with open_session() as session:
        settings = StripeSettings(STRIPE_API_KEY, (STRIPE_WEBHOOK_SECRET,), stack.stripe_url)
        stripe = open_stripe(session, settings)
        assert stripe is not None
        yield Shop(stack, stripe_double, stripe, seller, tenant)
    stripe_double.reset()
