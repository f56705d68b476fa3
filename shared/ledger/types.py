"""What the ledger is asked and what it answers; the shapes of the SQL functions' JSON."""

from enum import StrEnum
from typing import Literal

import msgspec

from shared.core.caller import Caller, CallingApp
from shared.core.ids import AccountId, GenerationId, KeyId, ModelId, PriceId, ProviderSlug
from shared.core.money import Nanos
from shared.core.verdicts import LimitsPolicy


class Quantities(msgspec.Struct, frozen=True):
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
        return msgspec.structs.asdict(self)


Output = Literal["text", "embeddings", "image"]


class Bounds(msgspec.Struct, frozen=True, kw_only=True):
    """The most that a request may use, before any model's own limits.

    output_tokens: per choice; reasoning_output_tokens: the same for models that reason, whose thinking counts and is
    not seen; is_cheapest_only: of each model only the cheapest offer is tried; output: what is to be made; of images
    there are as many as choices, in a size and quality, None for the model's default
    """

    input_tokens: int
    images: int
    choices: int
    output_tokens: int
    reasoning_output_tokens: int
    is_cheapest_only: bool
    output: Output = "text"
    image_size: str | None = None
    image_quality: str | None = None


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """How a request is known again when it comes again.

    key_hmacs: of its Idempotency-Key, None where it has none and only the body tells; is_retry: its client says that it
    has sent it before. Both lists have one entry per secret of ours, newest first.
    units   lifetime_s: for how long it is known, and its answer kept
    """

    key_hmacs: tuple[str, ...] | None
    body_hmacs: tuple[str, ...]
    is_retry: bool
    lifetime_s: int

    def to_json(self) -> dict[str, object]:
        """Say it as the SQL functions take it, as p_claim.

        source  gateway.read_claim in infra/supabase/migrations
        """
        return {
            "key_hmacs": None if self.key_hmacs is None else list(self.key_hmacs),
            "body_hmacs": list(self.body_hmacs),
            "is_retry": self.is_retry,
            "lifetime_s": self.lifetime_s,
        }


class AdmissionRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A request for admission: who asks, for what, and how much it may come to.

    providers: those that may serve, None for all; lifetime_s: how long the hold lives; claim: None where the request
    cannot come again as the same one.
    """

    generation_id: GenerationId
    caller: Caller
    models: tuple[ModelId, ...]
    providers: tuple[ProviderSlug, ...] | None
    bounds: Bounds
    lifetime_s: int
    claim: Claim | None = None


class Offer(msgspec.Struct, frozen=True):
    """A provider that may serve the request; quote_nanos is the most it can cost there, output_tokens per choice.

    image_size, image_quality: what an image is held for, None where the model does not know the one or the other
    """

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
    image_size: str | None = None
    image_quality: str | None = None


class Hold(msgspec.Struct, frozen=True):
    """Money set aside for one request."""

    amount_nanos: Nanos
    state: str
    expires_at: str


class Admitted(msgspec.Struct, frozen=True, tag_field="verdict", tag="admitted"):
    """The request may go on: its hold stands and any of the offers may serve, best first.

    is_zero_retention: nothing of the answer may be kept
    """

    account_id: AccountId
    key_id: KeyId
    hold: Hold
    offers: tuple[Offer, ...]
    policy: LimitsPolicy
    is_zero_retention: bool


class Replay(msgspec.Struct, frozen=True, tag_field="verdict", tag="replay"):
    """The request came before and was paid for; answer is what was kept of it then, sealed."""

    generation_id: GenerationId
    provider: ProviderSlug
    cost_nanos: Nanos
    answer: str
    policy: LimitsPolicy


class ClaimUnknown(msgspec.Struct, frozen=True, tag_field="verdict", tag="unknown_claim"):
    """The request did not come before, or nothing became of it."""

    policy: LimitsPolicy


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
    units   started_ms: after the request came; first_byte_ms: after it started, until the first byte or the failure
    """

    provider: ProviderSlug
    model_id: ModelId
    status: int | None
    is_success: bool
    is_request_at_fault: bool
    reason: str
    first_byte_ms: int
    started_ms: int


class RequestFacts(msgspec.Struct, frozen=True, omit_defaults=True):
    """What was asked, without a word of it; max_output_tokens is per choice, None where the client named none."""

    models: tuple[ModelId, ...]
    choices: int
    max_output_tokens: int | None
    image_count: int
    prompt_bytes: int
    app: CallingApp | None = None


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """What one request used, where that is known from, and how it went.

    upstream_id: the provider's own name for the answer; answer: what is kept of it for a retry, sealed.
    """

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
    request: RequestFacts | None = None
    upstream_id: str | None = None
    answer: str | None = None


class Swept(msgspec.Struct, frozen=True):
    """How many wallets were brought to the present: their overdue holds let go, their expired lots closed."""

    wallets: int


class Counted(msgspec.Struct, frozen=True):
    """How many there were."""

    count: int


DeadLetterKind = Literal["late_settlement"]


class DeadLetter(msgspec.Struct, frozen=True):
    """Something that could not be done and waits for an admin."""

    id: int
