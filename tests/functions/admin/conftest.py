import pytest

from infra.local.stack import LocalStack
from tests.functions.admin.people import Office
from tests.functions.keys.client import Holder
from tests.harness.gateways import RunningGateway
from tests.harness.tenants import Models, Tenants
from tests.shared.flows.conftest import bench

__all__ = ["bench"]


@pytest.fixture
def operator(stack: LocalStack, gateway: RunningGateway) -> Holder:
    """Whoever has ADMIN_API_KEY."""
    return Holder(gateway, stack.credentials.admin_api_key)


@pytest.fixture
def office(gateway: RunningGateway, tenant: Tenants, make_model: Models, operator: Holder) -> Office:
    """Where admins are, and what they may act on."""
    return Office(gateway, tenant, make_model, operator)
