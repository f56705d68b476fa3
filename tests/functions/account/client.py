"""Whoever looks at his account, and what he must be told."""

from typing import Any

from tests.functions.keys.client import Holder, owner_of, run_sql
from tests.harness.gateways import RunningGateway
from tests.harness.tenants import Tenant

SET_STATUS = "update gateway.accounts set status = %s where id = %s"
SET_SCOPES = "update gateway.api_keys set scopes = %s where id = %s"

__all__ = ["Holder", "owner_of", "read", "run_sql", "suspend", "with_scopes"]


async def read(holder: Holder, path: str) -> dict[str, Any]:
    """Return what must be answered."""
    answer = await holder.call("GET", path)
    assert answer.status == 200, answer.raw
    return answer.json


async def change(holder: Holder, method: str, path: str, **body: object) -> dict[str, Any]:
    """Change what must be changed, and return what it is now."""
    answer = await holder.call(method, path, body)
    assert answer.status == 200, answer.raw
    return answer.json


def suspend(tenant: Tenant) -> None:
    """Have the account suspended."""
    run_sql(tenant.database_url, SET_STATUS, "suspended", tenant.account_id)


def with_scopes(gateway: RunningGateway, tenant: Tenant, *scopes: str) -> Holder:
    """Give the tenant's key exactly these scopes."""
    run_sql(tenant.database_url, SET_SCOPES, list(scopes), tenant.key_id)
    return Holder(gateway, tenant.api_key)
