"""Embeddings: one vector per input, charged by the tokens of what was put in."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from shared.core.caller import Caller
from shared.core.ids import ModelId
from shared.core.log import log_event
from shared.core.money import Nanos
from shared.flows.answer_whole import answer_whole, stay_silent
from shared.flows.attempt_providers import AttemptFailed, check_status
from shared.flows.call import Call, CallRequest, open_call
from shared.flows.inference import Inference
from shared.flows.settle_call import Answered, Charged
from shared.ledger.types import Bounds, Claim, Offer, Outcome, Quantities, RequestFacts, UsageSource
from shared.providers.embedding_counts import EmbeddingCounts, Input
from shared.providers.embeddings import (
    Embeddings,
    Encoding,
    build_embedding_request,
    read_embeddings,
    write_embeddings,
)
from shared.providers.failures import WRONG_DIMENSIONS, classify_error
from shared.providers.request_fields import refuse_unpriced_fields
from shared.providers.simulated import SIMULATED
from shared.providers.simulated_embeddings import answer_embeddings
from shared.providers.usage import ImplausibleUsage, read_prompt_tokens, read_reported_cost
from shared.routing.types import Preferences, Sort

# Reading as much takes milliseconds, a large batch a second: that is done beside the other requests.
MAX_READ_AT_ONCE_BYTES = 512 * 1024
# The most inputs with 3,072 numbers each are 32 MiB of base64 and what stands around; as lists these hold half of it.
MAX_EMBEDDINGS_BYTES = 64 * 1024 * 1024


class EmbedRequest(msgspec.Struct, frozen=True, kw_only=True):
    """The request's body and the fields of it that we read.

    models: the model asked for, then its fallbacks; encoding: how the client is answered, whoever serves; dimensions:
    None for the model's own; claim: how the request is known again when it comes again
    """

    body: Mapping[str, Any]
    models: tuple[ModelId, ...]
    preferences: Preferences
    inputs: Sequence[Input]
    counts: EmbeddingCounts
    encoding: Encoding
    dimensions: int | None
    claim: Claim | None


class _Embedded(msgspec.Struct, frozen=True):
    offer: Offer
    answer: Embeddings


async def embed(inference: Inference, caller: Caller, request: EmbedRequest, answer_headers: dict[str, str]) -> bytes:
    """Admit the request, have the first provider embed it that can, charge it, and return the answer's JSON.

    A retry of a request that was answered gets that answer again, and is not charged.
    answer_headers gets X-Generation-Id, X-Provider and the rate-limit headers.

    raises  GatewayError subclasses; none of them is charged
    """
    refuse_unpriced_fields(request.body)
    call = await open_call(inference, caller, _call_request(inference, request), answer_headers, stay_silent)
    if isinstance(call, bytes):
        return call
    return await answer_whole(
        call,
        lambda offer: _ask(call, request, offer),
        lambda embedded: _answered(call, request, embedded),
        answer_headers,
    )


def _call_request(inference: Inference, request: EmbedRequest) -> CallRequest:
    preferences = request.preferences
    return CallRequest(
        models=request.models,
        preferences=preferences,
        bounds=Bounds(
            input_tokens=request.counts.expected_tokens,
            images=0,
            choices=1,
            output_tokens=0,
            reasoning_output_tokens=0,
            is_cheapest_only=not (preferences.allow_fallbacks or preferences.order) and preferences.sort is Sort.PRICE,
            output="embeddings",
        ),
        claim=request.claim,
        facts=RequestFacts(
            models=request.models,
            choices=1,
            max_output_tokens=None,
            image_count=0,
            prompt_bytes=request.counts.text_bytes,
        ),
        is_stream=False,
        time_limit_s=inference.whole_deadline_s,
        most_it_took=lambda _: Quantities(input_tokens=request.counts.counted_tokens),
    )


async def _ask(call: Call, request: EmbedRequest, offer: Offer) -> _Embedded:
    """Ask one provider.

    raises  AttemptFailed, MalformedAnswer, and what the upstream client raises
    """
    if offer.provider == SIMULATED.slug:
        return _Embedded(offer, await asyncio.to_thread(_simulate, request))
    provider = call.provider_of(offer)
    response = await call.inference.upstream.post(
        provider.embeddings_url,
        call.headers_to(provider),
        build_embedding_request(
            request.body,
            provider=provider.record,
            upstream_model=offer.upstream_model,
        ),
        timeout_s=call.remaining_s(),
    )
    await check_status(response, offer)
    try:
        body = await response.read_all(call.remaining_s(), limit_bytes=MAX_EMBEDDINGS_BYTES)
    finally:
        response.close()
    is_large = len(body) > MAX_READ_AT_ONCE_BYTES
    answer = await asyncio.to_thread(_read, body, request) if is_large else _read(body, request)
    if answer.error is not None:
        raise AttemptFailed(classify_error(answer.error, offer.upstream_model), response.status)
    if request.dimensions not in (None, answer.dimensions):
        _note_lost(call, offer, answer)
        raise AttemptFailed(WRONG_DIMENSIONS, response.status, is_blameless=True)
    return _Embedded(offer, answer)


def _simulate(request: EmbedRequest) -> Embeddings:
    body = answer_embeddings(request.inputs, request.counts, encoding=request.encoding, dimensions=request.dimensions)
    return _read(body, request)


def _read(body: bytes, request: EmbedRequest) -> Embeddings:
    return read_embeddings(body, count=len(request.inputs), encoding=request.encoding)


def _answered(call: Call, request: EmbedRequest, embedded: _Embedded) -> Answered:
    offer, answer = embedded.offer, embedded.answer
    reported = _reported_tokens(request, embedded)
    tokens = request.counts.counted_tokens if reported is None else reported
    return Answered(
        offer=offer,
        charged=Charged(
            quantities=Quantities(input_tokens=tokens),
            source=UsageSource.COUNTED if reported is None else UsageSource.PROVIDER,
            reported_cost_nanos=_reported_cost(call, offer, answer),
        ),
        outcome=Outcome.COMPLETED,
        upstream_id=answer.id,
        ending=write_embeddings(answer.vectors, model=offer.model_id, tokens=tokens),
    )


def _note_lost(call: Call, offer: Offer, answer: Embeddings) -> None:
    """Note that a provider charges for an answer of which nothing can be used."""
    reported_nanos = _reported_cost(call, offer, answer)
    if reported_nanos is None:
        call.trail.unsaid_offer = offer
    else:
        call.trail.lost_cost_nanos += reported_nanos


def _reported_cost(call: Call, offer: Offer, answer: Embeddings) -> Nanos | None:
    return read_reported_cost(answer.usage) if call.provider_of(offer).record.reports_cost else None


def _reported_tokens(request: EmbedRequest, embedded: _Embedded) -> int | None:
    """Return the tokens that the provider reports; None where it reports none.

    policy  a report that cannot be is not believed: it is logged, and the inputs are counted instead
    """
    try:
        return read_prompt_tokens(embedded.answer.usage, max_tokens=request.counts.most_tokens)
    except ImplausibleUsage as implausible:
        log_event("usage_implausible", level="error", provider=embedded.offer.provider, reason=str(implausible))
        return None
