"""What the ledger tells of one request, over or still under way; the shapes of the SQL functions' JSON."""

import uuid
from typing import Literal

import msgspec

from shared.core.ids import ModelId, PriceId, ProviderSlug
from shared.core.money import Nanos
from shared.core.verdicts import LimitsPolicy
from shared.ledger.types import Outcome, Quantities, RequestFacts, UsageSource

HoldState = Literal["held", "settled", "voided", "expired", "settled_late"]


class PastAttempt(msgspec.Struct, frozen=True):
    """One call to a provider; status is None where no headers came.

    units   started_ms: after the request came, None for those that were not yet timed; first_byte_ms: after it started,
            until the first byte or the failure
    """

    provider: ProviderSlug
    model_id: ModelId
    status: int | None
    reason: str
    first_byte_ms: int
    started_ms: int | None = None


class PastHold(msgspec.Struct, frozen=True):
    """The money that was set aside; state is what it is now, whether or not a sweep has written that down."""

    amount_nanos: Nanos
    extensions: int
    state: HoldState
    expires_at: str


class KeptAnswer(msgspec.Struct, frozen=True):
    """The answer is kept for a retry until expires_at, and was given again so many times."""

    expires_at: str
    replays: int


class Bill(msgspec.Struct, frozen=True):
    """A settled request; request is None for those settled before its facts were kept.

    units   rates: nano-dollars per million of each unit; charged + shortfall = cost
    """

    request: RequestFacts | None
    model_id: ModelId
    provider: ProviderSlug | None
    upstream_id: str | None
    is_stream: bool
    attempts: tuple[PastAttempt, ...]
    price_id: PriceId
    rates: dict[str, Nanos]
    quantities: Quantities
    reasoning_tokens: int
    usage_source: UsageSource
    outcome: Outcome
    waived_reason: str | None
    is_late: bool
    cost_nanos: Nanos
    charged_nanos: Nanos
    shortfall_nanos: Nanos
    first_byte_ms: int | None
    duration_ms: int | None


class Generation(msgspec.Struct, frozen=True, tag_field="verdict", tag="generation"):
    """One request of the caller's account; bill is None until it is settled.

    hold_model_id: the model that the hold is for, the dearest of those that may serve; superseded_by: the retry that
    took the place of a request whose process had died
    """

    id: uuid.UUID
    created_at: str
    hold_model_id: ModelId
    superseded_by: uuid.UUID | None
    hold: PastHold
    bill: Bill | None
    kept_answer: KeptAnswer | None
    policy: LimitsPolicy


class Erased(msgspec.Struct, frozen=True, tag_field="verdict", tag="erased"):
    """Nothing is kept of the answer any more, and nothing will be."""

    policy: LimitsPolicy
