"""A chat completion as it is asked for, checked and bounded, ready to be metered."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from shared.core.caller import Caller
from shared.core.errors import InvalidRequest
from shared.core.ids import ModelId
from shared.core.money import ceil_div
from shared.flows.call import AnswerStorage, Call, CallRequest, open_call, read_upstream_id
from shared.flows.inference import Inference
from shared.flows.open_meter import Pulse
from shared.ledger.late import LookUp
from shared.ledger.types import Bounds, Claim, Offer, Quantities, RequestFacts
from shared.providers.dialect import Dialect
from shared.providers.openai_chat import build_request
from shared.providers.request_counts import RequestCounts, count_request
from shared.providers.request_fields import refuse_unpriced_fields
from shared.providers.usage import UsageBounds
from shared.routing.types import Preferences, Sort

# What an answer may be long when the client does not say: held for, and sent to the provider when it is no stream.
DEFAULT_OUTPUT_TOKENS = 4096
# The same for a model that reasons: it thinks first, unseen, and its thoughts count.
DEFAULT_REASONING_OUTPUT_TOKENS = 16_384
# More than any model takes, and few enough that no sum overflows.
MAX_IMAGES = 1_000
# The estimate for providers that do not say: about four bytes of text make a token.
BYTES_PER_COUNTED_TOKEN = 4
# OpenRouter names every answer in its headers, before its first byte.
# source: https://openrouter.ai/docs/api-reference/streaming
GENERATION_ID_HEADER = "X-Generation-Id"


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
    """An admitted chat request."""

    call: Call
    request: ChatRequest
    counts: RequestCounts

    def is_extensible(self, offer: Offer) -> bool:
        """Tell whether the hold may grow with the answer: a stream that nobody bounded and that hides nothing."""
        is_bounded = self.request.max_output_tokens is not None
        return self.request.is_stream and not (is_bounded or offer.is_reasoning or self.request.is_reasoning_asked)

    def usage_bounds(self, offer: Offer) -> UsageBounds:
        """Return the most that the offer's model can have used."""
        return UsageBounds(
            max_input_tokens=max(offer.context_length, offer.input_tokens),
            max_output_tokens_total=self.request.choices * offer.max_output_tokens,
        )

    def note_headers(self, offer: Offer, headers: Mapping[str, str]) -> None:
        """Remember by what the provider can be asked about its answer later, where it can be."""
        upstream_id = read_upstream_id(headers.get(GENERATION_ID_HEADER))
        if upstream_id is not None and self.call.provider_of(offer).record.generation_path is not None:
            bounds = self.usage_bounds(offer)
            self.call.trail.look_up = LookUp(
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
            provider=self.call.provider_of(offer).record,
            upstream_model=offer.upstream_model,
            is_stream=self.request.is_stream,
            max_output_tokens=None if self.is_extensible(offer) else offer.output_tokens,
        )


async def open_chat(
    inference: Inference, caller: Caller, request: ChatRequest, answer_headers: dict[str, str], pulse: Pulse
) -> Chat | bytes:
    """Check the request, and open a call for it.

    shape   bytes: the whole answer, of a request that was answered and paid for before
    raises  UnpricedField, InvalidRequest, and whatever open_call raises; nothing is held after any of them
    """
    refuse_unpriced_fields(request.body)
    counts = count_request(request.body)
    if counts.image_count > MAX_IMAGES:
        raise InvalidRequest(f"messages: at most {MAX_IMAGES} images fit a request.", param="messages")
    call = await open_call(inference, caller, _call_request(inference, request, counts), answer_headers, pulse)
    return call if isinstance(call, bytes) else Chat(call=call, request=request, counts=counts)


def counted_input_tokens(counts: RequestCounts, offer: Offer) -> int:
    """Estimate the prompt: its text, and its images at their model's rule."""
    image_tokens = offer.input_tokens - counts.prompt_tokens
    return ceil_div(counts.text_bytes, BYTES_PER_COUNTED_TOKEN) + max(0, image_tokens)


def _call_request(inference: Inference, request: ChatRequest, counts: RequestCounts) -> CallRequest:
    return CallRequest(
        models=request.models,
        preferences=request.preferences,
        bounds=_bounds(request, counts),
        claim=request.claim,
        facts=RequestFacts(
            models=request.models,
            choices=request.choices,
            max_output_tokens=request.max_output_tokens,
            image_count=counts.image_count,
            prompt_bytes=counts.text_bytes,
        ),
        is_stream=request.is_stream,
        time_limit_s=inference.deadline_s if request.is_stream else inference.whole_deadline_s,
        most_it_took=lambda offer: Quantities(
            input_tokens=counted_input_tokens(counts, offer), output_tokens=request.choices * offer.output_tokens
        ),
        storage=request.storage,
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
