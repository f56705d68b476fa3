import pytest

from tests.functions.keys.client import Holder, owner_of
from tests.harness.gateways import RunningGateway
from tests.harness.tenants import Tenants


@pytest.fixture
def owner(gateway: RunningGateway, tenant: Tenants) -> Holder:
    """Someone with a key that has every scope."""
    return owner_of(gateway, tenant())
