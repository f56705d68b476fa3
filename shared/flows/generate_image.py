"""Images made from a prompt: those that come are charged, and nothing for those that do not."""

import time
from collections.abc import Mapping
from typing import Any

import msgspec

from shared.clients.upstream import MAX_ANSWER_BYTES
from shared.core.caller import Caller
from shared.core.ids import ModelId
from shared.flows.answer_whole import answer_whole, stay_silent
from shared.flows.attempt_providers import AttemptFailed, check_status
from shared.flows.call import Call, CallRequest, open_call
from shared.flows.inference import Inference
from shared.flows.settle_call import Answered, Charged
from shared.ledger.types import Bounds, Claim, Offer, Outcome, Quantities, RequestFacts, UsageSource
from shared.providers.failures import UNREACHABLE, classify_error
from shared.providers.images import Images, ResponseFormat, build_image_request, read_images, write_images
from shared.providers.simulated import SIMULATED
from shared.providers.simulated_images import answer_images
from shared.routing.types import Preferences, Sort

# A megapixel and a half in four channels that does not compress, as base64, each; one may be as large as any answer.
BYTES_PER_IMAGE = 8 * 1024 * 1024


class ImageRequest(msgspec.Struct, frozen=True, kw_only=True):
    """The request's body and the fields of it that we read.

    models: the model asked for, then its fallbacks; count: how many images; size, quality: None for the model's
    default; response_format: None for whatever the provider gives; claim: how the request is known again
    """

    body: Mapping[str, Any]
    models: tuple[ModelId, ...]
    preferences: Preferences
    count: int
    size: str | None
    quality: str | None
    response_format: ResponseFormat | None
    prompt_bytes: int
    claim: Claim | None


class _Made(msgspec.Struct, frozen=True):
    offer: Offer
    answer: Images


async def generate_image(
    inference: Inference, caller: Caller, request: ImageRequest, answer_headers: dict[str, str]
) -> bytes:
    """Admit the request, have the first provider make the images that can, charge those that came, and return them.

    A retry of a request that was answered gets that answer again, and is not charged.
    answer_headers gets X-Generation-Id, X-Provider and the rate-limit headers.

    raises  GatewayError subclasses; none of them is charged
    """
    call = await open_call(inference, caller, _call_request(inference, request), answer_headers, stay_silent)
    if isinstance(call, bytes):
        return call
    return await answer_whole(call, lambda offer: _ask(call, request, offer), _answered, answer_headers)


def _call_request(inference: Inference, request: ImageRequest) -> CallRequest:
    preferences = request.preferences
    return CallRequest(
        models=request.models,
        preferences=preferences,
        bounds=Bounds(
            # An image's price is for all of it, so that the prompt's tokens are neither held for nor counted.
            input_tokens=0,
            images=0,
            choices=request.count,
            output_tokens=0,
            reasoning_output_tokens=0,
            is_cheapest_only=not (preferences.allow_fallbacks or preferences.order) and preferences.sort is Sort.PRICE,
            output="image",
            image_size=request.size,
            image_quality=request.quality,
        ),
        claim=request.claim,
        facts=RequestFacts(
            models=request.models,
            choices=request.count,
            max_output_tokens=None,
            image_count=0,
            prompt_bytes=request.prompt_bytes,
        ),
        is_stream=False,
        time_limit_s=inference.whole_deadline_s,
        most_it_took=lambda _: Quantities(images=request.count),
    )


async def _ask(call: Call, request: ImageRequest, offer: Offer) -> _Made:
    """Ask one provider.

    raises  AttemptFailed, MalformedAnswer, and what the upstream client raises
    """
    if offer.provider == SIMULATED.slug:
        return _Made(offer, _read(answer_images(request.body, offer.image_size), request, is_cost_reported=False))
    provider = call.provider_of(offer)
    response = await call.inference.upstream.post(
        provider.images_url,
        call.headers_to(provider),
        build_image_request(
            request.body,
            provider=provider.record,
            upstream_model=offer.upstream_model,
            size=offer.image_size,
            quality=offer.image_quality,
        ),
        timeout_s=call.remaining_s(),
    )
    await check_status(response, offer)
    try:
        limit_bytes = MAX_ANSWER_BYTES + (request.count - 1) * BYTES_PER_IMAGE
        body = await response.read_all(call.remaining_s(), limit_bytes=limit_bytes)
    finally:
        response.close()
    answer = _read(body, request, is_cost_reported=provider.record.reports_cost)
    if answer.error is not None or not answer.images:
        call.trail.lost_cost_nanos += answer.reported_cost_nanos or 0
    if answer.error is not None:
        raise AttemptFailed(classify_error(answer.error, offer.upstream_model), response.status)
    if not answer.images:
        # None came, as of a prompt that is refused, or none in the form that this client asks for.
        raise AttemptFailed(UNREACHABLE, response.status, is_blameless=True)
    return _Made(offer, answer)


def _read(body: bytes, request: ImageRequest, *, is_cost_reported: bool) -> Images:
    return read_images(
        body, count=request.count, response_format=request.response_format, is_cost_reported=is_cost_reported
    )


def _answered(made: _Made) -> Answered:
    offer, answer = made.offer, made.answer
    return Answered(
        offer=offer,
        charged=Charged(
            quantities=Quantities(images=len(answer.images)),
            # The answer itself says how many there are.
            source=UsageSource.PROVIDER,
            reported_cost_nanos=answer.reported_cost_nanos,
        ),
        outcome=Outcome.COMPLETED,
        upstream_id="",
        ending=write_images(answer, created_at_s=int(time.time()), size=offer.image_size, quality=offer.image_quality),
    )
