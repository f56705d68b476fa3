"""What is shown of a generation: money as exact decimal strings in US dollars, and never a word of the prompt."""

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from shared.core.ids import GenerationId, format_generation_id
from shared.core.money import Nanos, format_dollars
from shared.ledger.generations import Bill, Generation, HoldState, PastAttempt, PastHold
from shared.ledger.types import Outcome, RequestFacts, UsageSource
from shared.web.openapi import OnDemand, answer_of

Status = Literal["in_progress", "settled", "voided", "expired"]
STATUSES: dict[HoldState, Status] = {
    "held": "in_progress",
    "settled": "settled",
    "settled_late": "settled",
    "voided": "voided",
    "expired": "expired",
}


class RequestView(msgspec.Struct, kw_only=True):
    """What was asked, without a word of it."""

    choices: int
    max_output_tokens: int | None
    image_count: int
    prompt_bytes: int
    app: str | None


class AttemptView(msgspec.Struct, kw_only=True):
    """One call to a provider; duration_ms until the first byte of its answer, or until it failed."""

    provider: str
    model: str
    status: int | None
    reason: str
    started_ms: int | None
    duration_ms: int


class Units(msgspec.Struct, kw_only=True):
    """One number for each unit that has a price; the token kinds are disjoint."""

    input_tokens: int
    cached_input_tokens: int
    cache_write_tokens: int
    output_tokens: int
    images: int
    requests: int


class RatesView(msgspec.Struct, kw_only=True):
    """US dollars per million of each unit."""

    input_tokens: str
    cached_input_tokens: str
    cache_write_tokens: str
    output_tokens: str
    images: str
    requests: str


class PriceView(msgspec.Struct, kw_only=True):
    """The version of the price that was charged by."""

    version: int
    rates: RatesView


class HoldView(msgspec.Struct, kw_only=True):
    """What was set aside for the request."""

    amount: str
    extensions: int
    state: HoldState
    expires_at: str


class TimingsView(msgspec.Struct, kw_only=True):
    """From the moment the request came."""

    first_byte_ms: int | None
    duration_ms: int | None


class KeptAnswerView(msgspec.Struct, kw_only=True):
    """Until when the answer is kept for a retry, and how often it was given again."""

    expires_at: str
    replays: int


class GenerationView(msgspec.Struct, kw_only=True):
    """GET /v1/generations/{id}; what only a settlement tells is null until then."""

    id: str
    object: Literal["generation"] = "generation"
    created_at: str
    status: Status
    model: str
    models: list[str]
    served_model: str | None = None
    provider: str | None = None
    upstream_id: str | None = None
    is_stream: bool | None = None
    request: RequestView | None = None
    attempts: list[AttemptView] = msgspec.field(default_factory=list)
    price: PriceView | None = None
    quantities: Units | None = None
    reasoning_tokens: int | None = None
    usage_source: UsageSource | None = None
    outcome: Outcome | None = None
    waived_reason: str | None = None
    is_late: bool | None = None
    hold: HoldView
    cost: str | None = None
    charged: str | None = None
    shortfall: str | None = None
    timings: TimingsView | None = None
    superseded_by: str | None = None
    kept_answer: KeptAnswerView | None = None


# A parameter or an answer that FastAPI sees in a signature has it load pydantic.v1: 20 ms of every cold start.
ID_OPENAPI: dict[str, Any] = {
    "parameters": [{"name": "generation_id", "in": "path", "required": True, "schema": {"type": "string"}}]
}
GENERATION_OPENAPI = OnDemand(lambda: ID_OPENAPI | answer_of(GenerationView))


def generation_view(generation: Generation) -> GenerationView:
    """Show a generation."""
    bill, kept = generation.bill, generation.kept_answer
    # Before the settlement only the dearest model that may serve is known, which is what the hold is for.
    asked = None if bill is None or bill.request is None else bill.request.models
    models = asked or (generation.hold_model_id if bill is None else bill.model_id,)
    view = GenerationView(
        id=format_generation_id(GenerationId(generation.id)),
        created_at=generation.created_at,
        status=STATUSES[generation.hold.state],
        model=models[0],
        models=list(models),
        superseded_by=_superseding(generation),
        hold=_hold_view(generation.hold),
        kept_answer=None if kept is None else KeptAnswerView(expires_at=kept.expires_at, replays=kept.replays),
    )
    return view if bill is None else _with_bill(view, bill)


def _superseding(generation: Generation) -> str | None:
    retry = generation.superseded_by
    return None if retry is None else format_generation_id(GenerationId(retry))


def _with_bill(view: GenerationView, bill: Bill) -> GenerationView:
    view.served_model = bill.model_id
    view.provider = bill.provider
    view.upstream_id = bill.upstream_id
    view.is_stream = bill.is_stream
    view.request = _request_view(bill.request)
    view.attempts = [_attempt_view(attempt) for attempt in bill.attempts]
    view.price = PriceView(version=bill.price_id, rates=_rates_view(bill.rates))
    view.quantities = Units(**bill.quantities.to_json())
    view.reasoning_tokens = bill.reasoning_tokens
    view.usage_source, view.outcome = bill.usage_source, bill.outcome
    view.waived_reason, view.is_late = bill.waived_reason, bill.is_late
    view.cost = format_dollars(bill.cost_nanos)
    view.charged = format_dollars(bill.charged_nanos)
    view.shortfall = format_dollars(bill.shortfall_nanos)
    view.timings = TimingsView(first_byte_ms=bill.first_byte_ms, duration_ms=bill.duration_ms)
    return view


def _hold_view(hold: PastHold) -> HoldView:
    return HoldView(
        amount=format_dollars(hold.amount_nanos),
        extensions=hold.extensions,
        state=hold.state,
        expires_at=hold.expires_at,
    )


def _request_view(request: RequestFacts | None) -> RequestView | None:
    if request is None:
        return None
    return RequestView(
        choices=request.choices,
        max_output_tokens=request.max_output_tokens,
        image_count=request.image_count,
        prompt_bytes=request.prompt_bytes,
        app=None if request.app is None else request.app.url,
    )


def _attempt_view(attempt: PastAttempt) -> AttemptView:
    return AttemptView(
        provider=attempt.provider,
        model=attempt.model_id,
        status=attempt.status,
        reason=attempt.reason,
        started_ms=attempt.started_ms,
        duration_ms=attempt.first_byte_ms,
    )


def _rates_view(rates: Mapping[str, Nanos]) -> RatesView:
    return RatesView(**{unit: format_dollars(rate) for unit, rate in rates.items()})
