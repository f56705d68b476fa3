"""Who operates the gateway over HTTP, what there is for them to act on, and what is written down of it."""

import secrets
from dataclasses import dataclass
from typing import Any

from tests.functions.keys.client import Holder, owner_of, run_sql
from tests.harness.gateways import RunningGateway
from tests.harness.tenants import Models, Tenant, Tenants

MAKE_ADMIN = "update gateway.accounts set role = 'admin' where id = %s"
ADD_LETTER = "select api.add_dead_letter(%s, %s, %s::jsonb, 'gave up', 3)"
READ_EVENTS = """
    select event, key_id, account_id, subject from gateway.audit_log
     where actor = 'admin' and request_id = %s order by id
"""
COUNT_EVENTS = "select count(*) from gateway.audit_log where actor = 'admin'"


@dataclass(frozen=True, slots=True)
class Office:
    """Whoever has ADMIN_API_KEY, and how people and things are made for him."""

    gateway: RunningGateway
    tenant: Tenants
    make_model: Models
    operator: Holder

    @property
    def database_url(self) -> str:
        """The database for the owner of the tables."""
        return self.tenant.database_url

    def customer(self, **given: Any) -> tuple[Tenant, Holder]:
        """Make an account, and whoever has its key, which has every scope."""
        tenant = self.tenant(**given)
        return tenant, owner_of(self.gateway, tenant)

    def admin(self) -> Holder:
        """Make a person whose role is admin, with a live key that has every scope."""
        tenant, holder = self.customer()
        run_sql(self.database_url, MAKE_ADMIN, tenant.account_id)
        return holder

    async def done(self, method: str, path: str, body: object = None, status: int = 200) -> dict[str, Any]:
        """Have the operator do what must be done, and return its answer."""
        answer = await self.operator.call(method, path, body)
        assert answer.status == status, answer.raw
        return answer.json

    async def make_coupon(self, **other: Any) -> str:
        """Make a coupon and return its code."""
        coupon = {"code": f"c-{secrets.token_hex(6)}", "amount": "1.00", "max_redemptions": 5, **other}
        return str((await self.done("POST", "/admin/coupons", coupon, 201))["code"])

    def add_letter(self, kind: str, subject: str, payload: str = '{"type": "x", "hints": []}') -> int:
        """Write down that something was given up."""
        ((told,),) = run_sql(self.database_url, ADD_LETTER, kind, subject, payload)
        return int(told["id"])

    def events_of(self, request_id: str) -> list[tuple[Any, ...]]:
        """Return what was written down of a request: event, by which key, whose account, what."""
        return run_sql(self.database_url, READ_EVENTS, request_id)

    def count_events(self) -> int:
        """Return how much admins have done in all."""
        return int(run_sql(self.database_url, COUNT_EVENTS)[0][0])


def user_path(tenant: Tenant, rest: str = "") -> str:
    """Return the path of an account as admins name it."""
    return f"/admin/users/user_{tenant.account_id}{rest}"
