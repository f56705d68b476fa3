"""What the tests of late settlements share: admitted requests, records of them, and a look at what became of both."""

from dataclasses import dataclass
from typing import Any

import aiohttp
import msgspec
import psycopg
from psycopg.rows import dict_row

from infra.local.stack import LocalStack
from shared.clients.database import Database
from shared.clients.redis import Redis
from shared.clients.upstream import Upstream
from shared.core.clock import wall_clock_ms
from shared.core.ids import GenerationId, ModelId, PriceId, ProviderSlug, new_generation_id
from shared.core.integrations import ProviderCredentials
from shared.flows.inference import configure_providers
from shared.flows.settle_late import LateMeans
from shared.ledger.late import LIST_NAME, LIST_NAMES, LateSettlement, LateSettlements, LookUp
from shared.ledger.store import Ledger
from shared.ledger.types import AdmissionRequest, Admitted, Bounds, Claim, Outcome, Quantities, Usage, UsageSource
from tests.harness.callers import caller_of
from tests.harness.tenants import Tenant, TestModel
from tests.shared.limits.support import Clock

OPENROUTER = ProviderSlug("openrouter")
BOUNDS = Bounds(
    input_tokens=10, images=0, choices=1, output_tokens=20, reasoning_output_tokens=20, is_cheapest_only=False
)
READ_LINES = """
    select generation_id::text, cost_nanos, charged_nanos, provider_cost_nanos, usage_source, waived_reason, is_late,
           (quantities).input_tokens as input_tokens, (quantities).output_tokens as output_tokens
      from gateway.usage_lines where account_id = %s order by created_at
"""
READ_LETTERS = "select subject, payload, reason, tries from gateway.dead_letters where subject = any (%s)"


@dataclass(frozen=True, slots=True)
class Bench:
    """The list in Redis, a clock that moves it, and the ledger, which keeps its own time."""

    stack: LocalStack
    session: aiohttp.ClientSession
    redis: Redis
    clock: Clock

    def means(self, supabase_url: str | None = None, openrouter_url: str | None = None) -> LateMeans:
        """Return what a sweep works with, each part where the test says."""
        url = openrouter_url or f"{self.stack.simulator_url}/openrouter/v1"
        # A busy machine must not look like a store that is away.
        database = Database(
            self.session,
            url=supabase_url or self.stack.supabase_url,
            key=self.stack.credentials.secret_key,
            deadline_s=20,
        )
        return LateMeans(
            late=LateSettlements(self.redis, self.clock),
            ledger=Ledger(database),
            upstream=Upstream(self.session),
            providers=configure_providers({OPENROUTER: ProviderCredentials("simulated", url)}),
            clock_ms=self.clock,
        )

    async def admit(
        self, customer: Tenant, model: TestModel, *, lifetime_s: int = 600, claim: Claim | None = None
    ) -> tuple[GenerationId, PriceId]:
        """Have a request admitted whose function then dies, or cannot settle it."""
        generation_id = new_generation_id()
        admitted = await self.means().ledger.admit(
            AdmissionRequest(
                generation_id=generation_id,
                caller=caller_of(customer.api_key, self.stack.credentials.gateway_secret),
                models=(ModelId(model.id),),
                providers=None,
                bounds=BOUNDS,
                lifetime_s=lifetime_s,
                claim=claim,
            )
        )
        assert isinstance(admitted, Admitted)
        return generation_id, admitted.offers[0].price_id

    async def put(self, record: LateSettlement) -> LateSettlement:
        """Put a record on the list that is due now."""
        await self.means().late.put(record, due_ms=self.clock())
        return record

    async def put_text(self, text: str) -> None:
        """Put on the list what is no record."""
        await self.redis.command("ZADD", LIST_NAME, self.clock(), text)

    async def listed(self) -> list[LateSettlement]:
        """Return all records of the list, whoever has taken them."""
        found: list[LateSettlement] = []
        for name in LIST_NAMES:
            texts = await self.redis.command("ZRANGE", name, 0, -1)
            assert isinstance(texts, list)
            found += [msgspec.json.decode(text, type=LateSettlement) for text in texts]
        return found

    def wait(self, seconds: float) -> None:
        """Let the time of the list pass."""
        self.clock.now_ms += int(seconds * 1000)

    def lines(self, customer: Tenant) -> list[dict[str, Any]]:
        """Return what the customer's requests came to."""
        return self._read(READ_LINES, customer.account_id)

    def letters(self, *subjects: str) -> list[dict[str, Any]]:
        """Return the dead letters of these subjects."""
        return self._read(READ_LETTERS, list(subjects))

    def _read(self, statement: str, argument: object) -> list[dict[str, Any]]:
        with psycopg.connect(self.stack.database_url, autocommit=True, row_factory=dict_row) as session:
            return session.execute(statement.encode(), (argument,)).fetchall()


def usage(price_id: PriceId, **changes: Any) -> Usage:
    """Return ten tokens of input and five of output, as we counted them: 20,000 nano-dollars of a test model's."""
    counted = Usage(
        price_id=price_id,
        quantities=Quantities(input_tokens=10, output_tokens=5),
        source=UsageSource.COUNTED,
        outcome=Outcome.ABANDONED,
        is_stream=True,
        attempts=(),
        duration_ms=7,
    )
    return msgspec.structs.replace(counted, **changes)


def record(generation_id: GenerationId, counted: Usage, **changes: Any) -> LateSettlement:
    """Return a record of a request that ended now."""
    fields: dict[str, Any] = {"look_up": None, "since_ms": wall_clock_ms(), **changes}
    return LateSettlement(generation_id, counted, **fields)


def look_up(upstream_id: str) -> LookUp:
    """Return the question for one of the simulator's answers."""
    return LookUp(OPENROUTER, upstream_id)
