"""People of these tests: an owner with everything that a route may name."""

import secrets
from dataclasses import dataclass

from shared.core.money import NANOS_PER_DOLLAR
from tests.access.requests import Belongings
from tests.functions.keys.client import Holder, owner_of, run_sql
from tests.harness.gateways import RunningGateway
from tests.harness.privy import PrivyTokens, new_privy_id
from tests.harness.tenants import Models, PlanLimits, Tenants

CRON_SECRET = "the cron secret of the access tests"
AS_SCHEDULER = {"Authorization": f"Bearer {CRON_SECRET}"}
# Limits that nobody here meets, so that the answers carry their headers.
ROOMY = PlanLimits(requests_per_minute=100_000, tokens_per_minute=1_000_000_000)
MAKE_DUE = "update gateway.api_keys set rotates_at = clock_timestamp() - interval '1 second' where id = %s"


MAKE_PAYMENT = "insert into gateway.payments (id, account_id, kind, status) values (%s, %s, 'credits', 'failed')"
SET_PERSON = "update gateway.accounts set privy_id = %s where id = %s"


@dataclass(frozen=True, slots=True)
class Owner:
    """An account, whoever has its key, its owner as he is signed in, and what routes may name of it."""

    account_id: int
    database_url: str
    holder: Holder
    person: Holder
    belongings: Belongings


@dataclass(frozen=True, slots=True)
class Town:
    """Where people are made."""

    gateway: RunningGateway
    tenant: Tenants
    make_model: Models
    privy: PrivyTokens

    async def new_owner(self, email: str | None = None, *, credit_nanos: int = 10 * NANOS_PER_DOLLAR) -> Owner:
        """Make an account whose key has every scope, with an answer, a stored response, and a secret to collect."""
        tenant, model = self.tenant(limits=ROOMY, credit_nanos=credit_nanos), self.make_model("tokens=2")
        who = new_privy_id()
        run_sql(tenant.database_url, SET_PERSON, who, tenant.account_id)
        person, holder = await self.sign_in(who, email), owner_of(self.gateway, tenant)
        answer = await holder.complete(model, headers={"Idempotency-Key": "kept"})
        assert answer.status == 200, answer.raw
        stored = await holder.call("POST", "/v1/responses", {"model": model.id, "input": "Hello"})
        assert stored.status == 200, stored.raw
        key = await holder.make(name="to act on", rotate_every_days=7)
        await self._rotate(holder, key)
        payment_id = f"pi_{secrets.token_hex(12)}"
        run_sql(tenant.database_url, MAKE_PAYMENT, payment_id, tenant.account_id)
        # Its code is made when it is looked at first.
        assert (await holder.call("GET", "/referral")).status == 200
        session_id = await self._keep_a_chat(holder)
        belongings = Belongings(
            key_id=key.id,
            generation_id=answer.generation_id,
            response_id=stored.json["id"],
            model_id=model.id,
            payment_id=payment_id,
            session_id=session_id,
            user_id=f"user_{tenant.account_id}",
            token=person.secret,
        )
        return Owner(tenant.account_id, tenant.database_url, holder, person, belongings)

    async def sign_in(self, who: str, email: str | None = None) -> Holder:
        """Sign someone in and return whoever has his access token."""
        stranger = Holder(self.gateway, "")
        answer = await stranger.call("POST", "/auth/privy", {"identity_token": self.privy.identity(who, email)})
        assert answer.status == 200, answer.raw
        return Holder(self.gateway, self.privy.access(who), answer.json["user"]["id"])

    async def _keep_a_chat(self, holder: Holder) -> str:
        answer = await holder.call("POST", "/v1/chat/sessions", {"title": f"chat {secrets.token_hex(6)}"})
        assert answer.status == 201, answer.raw
        session_id: str = answer.json["id"]
        said = {"role": "user", "content": f"hello {secrets.token_hex(6)}"}
        assert (await holder.call("POST", f"/v1/chat/sessions/{session_id}/messages", said)).status == 201
        return session_id

    async def _rotate(self, holder: Holder, key: Holder) -> None:
        run_sql(self.tenant.database_url, MAKE_DUE, number_of(key.id))
        answer = await holder.call("POST", "/internal/jobs/key_rotation", headers=AS_SCHEDULER)
        assert answer.json["keys_rotated"] >= 1, answer.raw


def number_of(public_id: str) -> int:
    """Return the number in an id such as key_42."""
    return int(public_id.rpartition("_")[2])
