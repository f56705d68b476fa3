"""A chat completion as it is asked for, checked and bounded, ready to be metered."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from shared.core.errors import InvalidRequest
from shared.core.ids import ModelId, ProviderSlug
from shared.flows.attempt_providers import Trail
from shared.flows.inference import Caller, ConfiguredProvider, Inference
from shared.flows.meter import Meter
from shared.flows.open_meter import MeteredRequest, open_meter
from shared.ledger.types import Bounds, Offer
from shared.providers.openai_chat import build_request
from shared.providers.request_counts import RequestCounts, count_request
from shared.providers.request_fields import refuse_unpriced_fields
from shared.providers.simulated import SIMULATED
from shared.routing.attempts import allowed_providers, plan_attempts
from shared.routing.types import DataCollection, Preferences, Sort

SCOPE = "inference"
# What an answer may be long when the client does not say: held for, and sent to the provider when it is no stream.
DEFAULT_OUTPUT_TOKENS = 4096
# The same for a model that reasons: it thinks first, unseen, and its thoughts count.
DEFAULT_REASONING_OUTPUT_TOKENS = 16_384
# More than any model takes, and few enough that no sum overflows.
MAX_IMAGES = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatRequest:
    """The request's body and the fields of it that we read.

    models: the model asked for, then its fallbacks; max_output_tokens: per choice, None when the client does not say;
    is_reasoning_asked: the client speaks of reasoning, whatever the catalog says of the model; thinking_tokens: the
    budget that it gives to it, 0 when it gives none
    """

    body: Mapping[str, Any]
    models: tuple[ModelId, ...]
    preferences: Preferences
    choices: int
    max_output_tokens: int | None
    is_reasoning_asked: bool
    thinking_tokens: int
    is_stream: bool
    is_usage_wanted: bool


@dataclass(slots=True, kw_only=True)
class Chat:
    """An admitted chat request: its meter, the attempts to make, and the trail of those made."""

    inference: Inference
    request: ChatRequest
    counts: RequestCounts
    meter: Meter
    offers: tuple[Offer, ...]
    trail: Trail

    def provider_of(self, offer: Offer) -> ConfiguredProvider:
        """Return whom the offer is served by."""
        return self.inference.providers[offer.provider]

    @property
    def deadline_s(self) -> float:
        """When the request must have ended, on the monotonic clock."""
        limit_s = self.inference.deadline_s if self.request.is_stream else self.inference.whole_deadline_s
        return self.meter.started_s + limit_s

    def remaining_s(self) -> float:
        """Return the seconds left until the request has to end."""
        return max(0.0, self.deadline_s - time.monotonic())

    def is_extensible(self, offer: Offer) -> bool:
        """Tell whether the hold may grow with the answer: a stream that nobody bounded and that hides nothing."""
        is_bounded = self.request.max_output_tokens is not None
        return self.request.is_stream and not (is_bounded or offer.is_reasoning or self.request.is_reasoning_asked)

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


async def open_chat(inference: Inference, caller: Caller, request: ChatRequest, answer_headers: dict[str, str]) -> Chat:
    """Check the request, pass the limiter and admission, and plan the attempts.

    raises  UnpricedField, and whatever open_meter raises; nothing is held after any of them
    """
    refuse_unpriced_fields(request.body)
    counts = count_request(request.body)
    if counts.image_count > MAX_IMAGES:
        raise InvalidRequest(f"messages: at most {MAX_IMAGES} images fit a request.", param="messages")
    providers = allowed_providers(request.preferences, _available(inference, request.preferences))
    metered = MeteredRequest(
        scope=SCOPE,
        models=request.models,
        providers=providers,
        bounds=_bounds(request, counts),
    )
    meter = await open_meter(inference, caller, metered, answer_headers)
    return Chat(
        inference=inference,
        request=request,
        counts=counts,
        meter=meter,
        offers=plan_attempts(meter.offers, request.preferences, inference.health),
        trail=Trail(),
    )


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
