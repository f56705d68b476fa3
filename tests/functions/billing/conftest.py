from collections.abc import Iterator

import pytest

from infra.local.stack import LocalStack
from tests.functions.billing.customer import Customer, Market
from tests.harness.gateways import Gateways, RunningGateway
from tests.harness.stripe import StripeDouble
from tests.harness.tenants import Tenants


@pytest.fixture(scope="package")
def seller(stack: LocalStack) -> Iterator[RunningGateway]:
    """The gateway that sells, and that the double tells of what is paid."""
    gateways = Gateways(stack)
    try:
        yield gateways()
    finally:
        gateways.stop_all()


@pytest.fixture
def market(seller: RunningGateway, stripe_double: StripeDouble, tenant: Tenants) -> Iterator[Market]:
    """A market with two plans of its own."""
    stripe_double.tell(seller)
    market = Market(seller, stripe_double, tenant)
    market.open()
    yield market
    market.close()
    stripe_double.reset()


@pytest.fixture
def customer(market: Market) -> Customer:
    """Somebody who has nothing yet."""
    return market.customer()
