"""What the ledger is asked and what it answers; the shapes of the SQL functions' JSON."""

from dataclasses import dataclass
from enum import StrEnum

import msgspec

from shared.core.ids import AccountId, GenerationId, KeyId, ModelId, PriceId, ProviderSlug
from shared.core.money import Nanos


@dataclass(frozen=True, slots=True)
class Quantities:
    """What a request uses. The token kinds are disjoint: input_tokens were neither read from nor written to a cache.

    source  gateway.quantities in infra/supabase/migrations
    """

    input_tokens: int = 0
    cached_input_tokens: int = 0
    cache_write_tokens: int = 0
    output_tokens: int = 0
    images: int = 0
    requests: int = 1

    @property
    def tokens(self) -> int:
        """All tokens, of every kind."""
        return self.input_tokens + self.cached_input_tokens + self.cache_write_tokens + self.output_tokens

    def to_json(self) -> dict[str, int]:
        """Name the units as the ledger does."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """The most that a request may use, before any model's own limits.

    output_tokens: per choice; reasoning_output_tokens: the same for models that reason, whose thinking counts and is
    not seen; is_cheapest_only: of each model only the cheapest offer is tried
    """

    input_tokens: int
    images: int
    choices: int
    output_tokens: int
    reasoning_output_tokens: int
    is_cheapest_only: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class AdmissionRequest:
    """A request for admission: who asks, for what, and how much it may come to.

    providers: those that may serve, None for all; lifetime_s: how long the hold lives; key_hmacs: newest secret first.
    """

    generation_id: GenerationId
    key_hmacs: tuple[str, ...]
    scope: str
    models: tuple[ModelId, ...]
    providers: tuple[ProviderSlug, ...] | None
    bounds: Bounds
    lifetime_s: int
    address: str | None
    origin_host: str | None


class Offer(msgspec.Struct, frozen=True):
    """A provider that may serve the request; quote_nanos is the most it can cost there, output_tokens per choice."""

    model_id: ModelId
    provider: ProviderSlug
    upstream_model: str
    price_id: PriceId
    context_length: int
    max_output_tokens: int
    is_reasoning: bool
    output_tokens: int
    input_tokens: int
    quote_nanos: Nanos


class Hold(msgspec.Struct, frozen=True):
    """Money set aside for one request."""

    amount_nanos: Nanos
    state: str
    expires_at: str


class MinuteLimits(msgspec.Struct, frozen=True):
    """Limits per minute and at once; 0 is none."""

    requests_per_minute: int
    tokens_per_minute: int
    concurrency: int


class LimitsPolicy(msgspec.Struct, frozen=True):
    """What the limiter is to hold this key and its account to."""

    account_id: AccountId
    account: MinuteLimits
    key: MinuteLimits


class Admitted(msgspec.Struct, frozen=True, tag_field="verdict", tag="admitted"):
    """The request may go on: its hold stands and any of the offers may serve, best first."""

    account_id: AccountId
    key_id: KeyId
    hold: Hold
    offers: tuple[Offer, ...]
    policy: LimitsPolicy


class Refused(msgspec.Struct, frozen=True, tag_field="verdict", tag="refused"):
    """The ledger's no, with the numbers a customer needs; policy is None where the key is not known."""

    status: int
    code: str
    numbers: dict[str, int | str]
    policy: LimitsPolicy | None = None


class Extended(msgspec.Struct, frozen=True, tag_field="verdict", tag="extended"):
    """The hold now covers the total that was asked for."""

    amount_nanos: Nanos


class Voided(msgspec.Struct, frozen=True, tag_field="verdict", tag="voided"):
    """The hold has ended at no charge."""

    released_nanos: Nanos


class Unchanged(msgspec.Struct, frozen=True, tag_field="verdict", tag="unchanged"):
    """The hold had ended before, in the state named."""

    state: str


class Settlement(msgspec.Struct, frozen=True, tag_field="verdict", tag="settled"):
    """What the request cost and who paid: charged + shortfall = cost; cost_excess: what the provider overcharged us."""

    cost_nanos: Nanos
    charged_nanos: Nanos
    shortfall_nanos: Nanos
    provider_cost_nanos: Nanos
    cost_excess_nanos: Nanos
    is_late: bool
    is_repeated: bool


class UsageSource(StrEnum):
    """Where quantities come from, best first."""

    PROVIDER = "provider"
    LOOKUP = "lookup"
    COUNTED = "counted"
    NONE = "none"


class Outcome(StrEnum):
    """How a request ended: as asked; cut by the provider; left by the client; before there was an answer."""

    COMPLETED = "completed"
    INTERRUPTED = "interrupted"
    ABANDONED = "abandoned"
    FAILED = "failed"


class Attempt(msgspec.Struct, frozen=True):
    """One call to a provider; status is None where no headers came.

    is_request_at_fault: it failed for what the client asked, which says nothing about the provider
    """

    provider: ProviderSlug
    model_id: ModelId
    status: int | None
    is_success: bool
    is_request_at_fault: bool
    reason: str
    first_byte_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What one request used, where that is known from, and how it went."""

    price_id: PriceId
    quantities: Quantities
    source: UsageSource
    outcome: Outcome
    is_stream: bool
    attempts: tuple[Attempt, ...]
    duration_ms: int
    first_byte_ms: int | None = None
    reasoning_tokens: int = 0
    reported_cost_nanos: Nanos | None = None
    waived_reason: str | None = None


class Swept(msgspec.Struct, frozen=True):
    """How many wallets were brought to the present: their overdue holds let go, their expired lots closed."""

    wallets: int
