"""People who are given something once: accounts of whose owners it is known who they are."""

import secrets
from dataclasses import dataclass
from typing import Any

import psycopg

from shared.keys.fingerprint import fingerprint
from shared.keys.format import generate_secret
from tests.functions.auth.client import sign_in
from tests.functions.chat.client import Answer
from tests.functions.keys.client import Holder, owner_of, run_sql
from tests.harness.gateways import RunningGateway
from tests.harness.privy import PrivyTokens, new_privy_id
from tests.harness.tenants import Tenants

TRIAL, STATUS = "/trials/start", "/trials/status"
REDEEM, HISTORY = "/coupons/redeem", "/coupons/history"
REFERRAL, APPLY = "/referral", "/referral/apply"
SET_PERSON = """
    update gateway.accounts set privy_id = %s, email = %s, email_normalised = %s, external_id = null where id = %s
"""
MAKE_ACCOUNT = "select api.create_account(%s, plan_id) from gateway.accounts where id = %s"
MAKE_KEY = "select api.create_api_key(%s, 'a key', 'live', %s, 'gw_…')"
GIVE_SCOPES = "update gateway.api_keys set scopes = gateway.user_scopes() where account_id = %s"
INSERT_COUPON = "insert into gateway.coupons (code, amount_nanos, max_redemptions) values (%s, %s, %s)"
READ_LOTS = "select kind, amount_nanos from gateway.lots where account_id = %s and kind <> 'admin' order by id"


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody's account, and whoever calls for him."""

    holder: Holder
    account_id: int
    database_url: str

    async def start_trial(self, headers: dict[str, str] | None = None) -> Answer:
        """Ask for the trial."""
        return await self.holder.call("POST", TRIAL, {}, headers)

    async def redeem(self, code: str, headers: dict[str, str] | None = None) -> Answer:
        """Redeem a coupon."""
        return await self.holder.call("POST", REDEEM, {"code": code}, headers)

    async def apply(self, code: str, headers: dict[str, str] | None = None) -> Answer:
        """Say by whose code he came."""
        return await self.holder.call("POST", APPLY, {"code": code}, headers)

    async def read(self, path: str) -> dict[str, Any]:
        """Return what must be answered."""
        answer = await self.holder.call("GET", path)
        assert answer.status == 200, answer.raw
        return answer.json

    @property
    def gifts(self) -> list[tuple[str, int]]:
        """What he was given: kind and nano-dollars."""
        return [(kind, amount) for kind, amount in run_sql(self.database_url, READ_LOTS, self.account_id)]


@dataclass(frozen=True, slots=True)
class Crowd:
    """Makes people who may ask as often as they like."""

    gateway: RunningGateway
    tenant: Tenants

    def __call__(self, *, mailbox: str | None = None, is_known: bool = True) -> Person:
        """Make an account; is_known: somebody has signed in to it, with a verified address."""
        tenant = self.tenant(credit_nanos=0)
        if is_known:
            address = mailbox or f"{secrets.token_hex(8)}@example.com"
            run_sql(tenant.database_url, SET_PERSON, new_privy_id(), address, address, tenant.account_id)
        return Person(owner_of(self.gateway, tenant), tenant.account_id, tenant.database_url)

    def many(self, count: int) -> list[Person]:
        """Make so many accounts with known owners, on one plan, over one connection."""
        first = self.tenant(credit_nanos=0)
        keys = [generate_secret("live") for _ in range(count)]
        with psycopg.connect(first.database_url, autocommit=True) as session:
            account_ids = [self._make(session, first.account_id, key) for key in keys]
        return [
            Person(Holder(self.gateway, key), account_id, first.database_url)
            for key, account_id in zip(keys, account_ids, strict=True)
        ]

    def _make(self, session: psycopg.Connection, like: int, key: str) -> int:
        name, fingerprint_ = secrets.token_hex(8), fingerprint(key, self.tenant.gateway_secret)
        row = session.execute(MAKE_ACCOUNT.encode(), (name, like)).fetchone()
        assert row is not None
        account_id = int(row[0]["account_id"])
        session.execute(MAKE_KEY.encode(), (account_id, fingerprint_))
        session.execute(GIVE_SCOPES.encode(), (account_id,))
        session.execute(SET_PERSON.encode(), (new_privy_id(), *[f"{name}@example.com"] * 2, account_id))
        return account_id


async def signed_in(
    gateway: RunningGateway,
    privy: PrivyTokens,
    database_url: str,
    /,
    *,
    privy_id: str,
    mailbox: str | None = None,
    **other: Any,
) -> Person:
    """Sign somebody in, with an address where an identity token vouches for one."""
    token = "token" if mailbox is None else "identity_token"
    body: dict[str, Any] = {token: privy.access(privy_id) if mailbox is None else privy.identity(privy_id, mailbox)}
    answer = await sign_in(gateway, **body, **other)
    assert answer.status == 200, answer.raw
    account_id = int(answer.json["user"]["id"].removeprefix("user_"))
    return Person(Holder(gateway, privy.access(privy_id)), account_id, database_url)


def make_coupon(database_url: str, *, amount_nanos: int = 2_500_000_000, most: int = 1000) -> str:
    """Make a coupon and return its code."""
    code = f"test-{secrets.token_hex(6)}"
    run_sql(database_url, INSERT_COUPON, code, amount_nanos, most)
    return code
