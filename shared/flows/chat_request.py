"""A chat completion as it is asked for, checked and bounded, ready to be metered."""

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec

from shared.core.caller import Caller
from shared.core.errors import InvalidRequest
from shared.core.ids import GenerationId, ModelId, ProviderSlug, format_generation_id
from shared.flows.attempt_providers import Trail
from shared.flows.inference import ConfiguredProvider, Inference
from shared.flows.kept_answer import MAX_SEALED_BYTES, AnswerKeeper, open_kept_answer
from shared.flows.meter import Meter
from shared.flows.open_meter import MeteredRequest, Pulse, open_meter
from shared.ledger.late import LookUp
from shared.ledger.refusals import answer_not_stored
from shared.ledger.types import Bounds, Claim, Offer, Replay, RequestFacts
from shared.providers.dialect import Dialect
from shared.providers.openai_chat import build_request
from shared.providers.request_counts import RequestCounts, count_request
from shared.providers.request_fields import refuse_unpriced_fields
from shared.providers.simulated import SIMULATED
from shared.providers.usage import UsageBounds
from shared.routing.attempts import allowed_providers, plan_attempts
from shared.routing.types import DataCollection, Preferences, Sort

# What an answer may be long when the client does not say: held for, and sent to the provider when it is no stream.
DEFAULT_OUTPUT_TOKENS = 4096
# The same for a model that reasons: it thinks first, unseen, and its thoughts count.
DEFAULT_REASONING_OUTPUT_TOKENS = 16_384
# More than any model takes, and few enough that no sum overflows.
MAX_IMAGES = 1_000
MAX_TEST_SEALED_BYTES = 8 * 1024
# OpenRouter names every answer in its headers, before its first byte.
# source: https://openrouter.ai/docs/api-reference/streaming
GENERATION_ID_HEADER = "X-Generation-Id"
# Providers choose it; a zero character in it would keep the database from taking the bill.
_UPSTREAM_ID = re.compile(r"[A-Za-z0-9._:/+=@-]{1,128}")


class AnswerStorage(Protocol):
    """Stores an answer beyond its delivery."""

    async def keep(self, generation_id: GenerationId) -> None:
        """Store what the dialect has answered, if it came to its end.

        policy  never raises for the store: the client has its answer, and is told later that it is not stored
        """
        ...


class ChatRequest(msgspec.Struct, frozen=True, kw_only=True):
    """The request's body in chat's dialect, whatever the client's own is, and the fields of it that we read.

    models: the model asked for, then its fallbacks; max_output_tokens: per choice, None when the client does not say;
    is_reasoning_asked: the client speaks of reasoning, whatever the catalog says of the model; thinking_tokens: the
    budget that it gives to it, 0 when it gives none; claim: how the request is known again when it comes again;
    dialect: how its client is answered; storage: where its answer is stored for later requests, None where it is not
    """

    body: Mapping[str, Any]
    models: tuple[ModelId, ...]
    preferences: Preferences
    choices: int
    max_output_tokens: int | None
    is_reasoning_asked: bool
    thinking_tokens: int
    is_stream: bool
    claim: Claim | None
    dialect: Dialect
    storage: AnswerStorage | None = None


@dataclass(slots=True, kw_only=True)
class Chat:
    """An admitted chat request: its meter, the attempts to make, and the trail of those made.

    keeper: keeps the answer for a client that asks again, where one may
    """

    inference: Inference
    request: ChatRequest
    counts: RequestCounts
    meter: Meter
    offers: tuple[Offer, ...]
    trail: Trail
    keeper: AnswerKeeper | None

    def provider_of(self, offer: Offer) -> ConfiguredProvider:
        """Return whom the offer is served by."""
        return self.inference.providers[offer.provider]

    @property
    def deadline_s(self) -> float:
        """When the request must have ended, on the monotonic clock."""
        return self.meter.started_s + _time_limit_s(self.inference, self.request)

    def remaining_s(self) -> float:
        """Return the seconds left until the request has to end."""
        return max(0.0, self.deadline_s - time.monotonic())

    def is_extensible(self, offer: Offer) -> bool:
        """Tell whether the hold may grow with the answer: a stream that nobody bounded and that hides nothing."""
        is_bounded = self.request.max_output_tokens is not None
        return self.request.is_stream and not (is_bounded or offer.is_reasoning or self.request.is_reasoning_asked)

    @property
    def facts(self) -> RequestFacts:
        """What was asked, for the bill."""
        return RequestFacts(
            models=self.request.models,
            choices=self.request.choices,
            max_output_tokens=self.request.max_output_tokens,
            image_count=self.counts.image_count,
            prompt_bytes=self.counts.text_bytes,
        )

    def usage_bounds(self, offer: Offer) -> UsageBounds:
        """Return the most that the offer's model can have used."""
        return UsageBounds(
            max_input_tokens=max(offer.context_length, offer.input_tokens),
            max_output_tokens_total=self.request.choices * offer.max_output_tokens,
        )

    def note_headers(self, offer: Offer, headers: Mapping[str, str]) -> None:
        """Remember by what the provider can be asked about its answer later, where it can be."""
        upstream_id = read_upstream_id(headers.get(GENERATION_ID_HEADER))
        if upstream_id is not None and self.provider_of(offer).record.generation_path is not None:
            bounds = self.usage_bounds(offer)
            self.trail.look_up = LookUp(
                provider=offer.provider,
                upstream_id=upstream_id,
                max_input_tokens=bounds.max_input_tokens,
                max_output_tokens_total=bounds.max_output_tokens_total,
            )

    def upstream_body(self, offer: Offer) -> bytes:
        """Return what is sent to the offer's provider.

        A stream that can be seen to grow goes without a bound and extends its hold; everything else is bounded by what
        the hold pays for.
        """
        return build_request(
            self.request.body,
            provider=self.provider_of(offer).record,
            upstream_model=offer.upstream_model,
            is_stream=self.request.is_stream,
            max_output_tokens=None if self.is_extensible(offer) else offer.output_tokens,
        )


async def open_chat(
    inference: Inference, caller: Caller, request: ChatRequest, answer_headers: dict[str, str], pulse: Pulse
) -> Chat | bytes:
    """Check the request, pass the limiter and admission, and plan the attempts.

    shape   bytes: the whole answer, of a request that was answered and paid for before
    raises  UnpricedField, AnswerNotStored, and whatever open_meter raises; nothing is held after any of them
    """
    refuse_unpriced_fields(request.body)
    counts = count_request(request.body)
    if counts.image_count > MAX_IMAGES:
        raise InvalidRequest(f"messages: at most {MAX_IMAGES} images fit a request.", param="messages")
    metered = MeteredRequest(
        models=request.models,
        providers=allowed_providers(request.preferences, _available(inference, request.preferences)),
        bounds=_bounds(request, counts),
        claim=request.claim,
        time_limit_s=_time_limit_s(inference, request),
    )
    meter = await open_meter(inference, caller, metered, answer_headers, pulse)
    if isinstance(meter, Replay):
        return _kept_answer(inference, meter)
    return Chat(
        inference=inference,
        request=request,
        counts=counts,
        meter=meter,
        offers=plan_attempts(meter.offers, request.preferences, inference.health),
        trail=Trail(meter.started_s),
        keeper=_keeper(caller) if request.claim is not None and meter.keeps_answer else None,
    )


def _keeper(caller: Caller) -> AnswerKeeper:
    # What a test key is answered costs nothing, so it may not fill the database either.
    return AnswerKeeper(MAX_TEST_SEALED_BYTES if caller.environment == "test" else MAX_SEALED_BYTES)


def read_upstream_id(text: str | None) -> str | None:
    """Return a provider's name for its answer, None where it is none that can be kept or asked by."""
    return text if text and _UPSTREAM_ID.fullmatch(text) else None


def _kept_answer(inference: Inference, replay: Replay) -> bytes:
    answer = open_kept_answer(inference.sealer, replay.answer, replay.cost_nanos)
    if answer is None:
        raise answer_not_stored(format_generation_id(replay.generation_id))
    return answer


def _time_limit_s(inference: Inference, request: ChatRequest) -> float:
    return inference.deadline_s if request.is_stream else inference.whole_deadline_s


def _bounds(request: ChatRequest, counts: RequestCounts) -> Bounds:
    preferences = request.preferences
    reasoning_default = DEFAULT_REASONING_OUTPUT_TOKENS
    default = reasoning_default if request.is_reasoning_asked else DEFAULT_OUTPUT_TOKENS
    return Bounds(
        input_tokens=counts.prompt_tokens,
        images=counts.image_count,
        choices=request.choices,
        output_tokens=request.max_output_tokens or default + request.thinking_tokens,
        reasoning_output_tokens=request.max_output_tokens or reasoning_default + request.thinking_tokens,
        is_cheapest_only=not (preferences.allow_fallbacks or preferences.order) and preferences.sort is Sort.PRICE,
    )


def _available(inference: Inference, preferences: Preferences) -> tuple[ProviderSlug, ...]:
    """Return the providers we have credentials for; without data collection, those that can be told so."""
    if preferences.data_collection is DataCollection.ALLOW:
        return tuple(inference.providers)
    return tuple(
        slug
        for slug, provider in inference.providers.items()
        if provider.record.honours_data_collection or slug == SIMULATED.slug
    )
