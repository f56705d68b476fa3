"""An admitted call for inference, whatever it is to make: its meter, the attempts to make, the trail of those made."""

import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Protocol, assert_never

import msgspec

from shared.core.caller import Caller
from shared.core.ids import GenerationId, ModelId, ProviderSlug, format_generation_id
from shared.core.trace import trace_in_context
from shared.flows.call_trace import CallTrace
from shared.flows.inference import ConfiguredProvider, Inference
from shared.flows.kept_answer import MAX_SEALED_BYTES, AnswerKeeper, open_kept_answer
from shared.flows.meter import Meter
from shared.flows.open_meter import MeteredRequest, Pulse, open_meter
from shared.flows.trail import Trail
from shared.ledger.refusals import answer_not_stored
from shared.ledger.types import Bounds, Claim, Offer, Output, Quantities, Replay, RequestFacts
from shared.providers.simulated import SIMULATED
from shared.routing.attempts import allowed_providers, plan_attempts
from shared.routing.refusals import ProvidersFailing
from shared.routing.types import DataCollection, Preferences

MAX_TEST_SEALED_BYTES = 8 * 1024
# Providers choose it; a zero character in it would keep the database from taking the bill.
_UPSTREAM_ID = re.compile(r"[A-Za-z0-9._:/+=@-]{1,128}")


class AnswerStorage(Protocol):
    """Stores an answer beyond its delivery."""

    async def keep(self, generation_id: GenerationId) -> None:
        """Store what the dialect has answered, if it came to its end.

        policy  never raises for the store: the client has its answer, and is told later that it is not stored
        """
        ...


class CallRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What the engine has to know of a request, and nothing of what is in it.

    models: the model asked for, then its fallbacks; claim: how the request is known again when it comes again;
    facts: what was asked, for the bill; most_it_took: the most that an offer's provider can have used of it; storage:
    where its answer is stored for later requests, None where it is not
    units   time_limit_s: from when it came
    """

    models: tuple[ModelId, ...]
    preferences: Preferences
    bounds: Bounds
    claim: Claim | None
    facts: RequestFacts
    is_stream: bool
    time_limit_s: float
    most_it_took: Callable[[Offer], Quantities]
    storage: AnswerStorage | None = None

    @property
    def measures(self) -> bool:
        """Whether the answer will say how soon its provider begins: a text that is sent whole begins with its end."""
        return self.is_stream or self.bounds.output != "text"


@dataclass(slots=True, kw_only=True)
class Call:
    """An admitted request.

    keeper: keeps the answer for a client that asks again, where one may
    """

    inference: Inference
    request: CallRequest
    meter: Meter
    offers: tuple[Offer, ...]
    trail: Trail
    trace: CallTrace
    keeper: AnswerKeeper | None

    def provider_of(self, offer: Offer) -> ConfiguredProvider:
        """Return whom the offer is served by."""
        return self.inference.providers[offer.provider]

    def headers_to(self, provider: ConfiguredProvider) -> dict[str, str]:
        """Return who we are to a provider that is asked now, and where in a trace that is."""
        place = len(self.trail.attempts) + 1
        return {**provider.record.authorise(provider.api_key), **self.trace.headers_of_attempt(place)}

    @property
    def deadline_s(self) -> float:
        """When the request must have ended, on the monotonic clock."""
        return self.meter.started_s + self.request.time_limit_s

    def remaining_s(self) -> float:
        """Return the seconds left until the request has to end."""
        return max(0.0, self.deadline_s - time.monotonic())


async def open_call(
    inference: Inference, caller: Caller, request: CallRequest, answer_headers: dict[str, str], pulse: Pulse
) -> Call | bytes:
    """Pass the limiter and admission, and plan the attempts.

    shape   bytes: the whole answer, of a request that was answered and paid for before
    raises  AnswerNotStored, ProvidersFailing, and whatever open_meter raises; nothing is held after any of them
    """
    providers = allowed_providers(
        request.preferences, _available(inference, request.preferences, request.bounds.output)
    )
    # What a test key asks is answered inside this function.
    look = None if caller.environment == "test" else inference.shared_health.look(request.models)
    metered = MeteredRequest(
        models=request.models,
        providers=providers,
        bounds=request.bounds,
        claim=request.claim,
        time_limit_s=request.time_limit_s,
        look=look,
    )
    meter = await open_meter(inference, caller, metered, answer_headers, pulse)
    if isinstance(meter, Replay):
        return open_replay(inference, meter)
    if caller.app is not None:
        request = msgspec.structs.replace(request, facts=msgspec.structs.replace(request.facts, app=caller.app))
    if look is not None:
        look.note_offered([offer.model_id for offer in meter.offers])
    offers = plan_attempts(meter.offers, request.preferences, inference.health, measures=request.measures)
    if not offers:
        await meter.void()
        raise providers_failing(inference, meter.offers)
    return Call(
        inference=inference,
        request=request,
        meter=meter,
        offers=offers,
        trail=Trail(meter.started_s),
        trace=CallTrace.begin(
            meter.generation_id, trace_in_context.get(), has_collector=inference.collector is not None
        ),
        keeper=_keeper(caller) if request.claim is not None and meter.keeps_answer else None,
    )


def providers_failing(inference: Inference, offers: Sequence[Offer]) -> ProvidersFailing:
    """Return the refusal for a request that none of the offers' providers may be asked for, with when one may."""
    wait_ms = inference.health.opens_in_ms([(offer.provider, offer.model_id) for offer in offers])
    return ProvidersFailing(ceil(wait_ms / 1000))


def read_upstream_id(text: str | None) -> str | None:
    """Return a provider's name for its answer, None where it is none that can be kept or asked by."""
    return text if text and _UPSTREAM_ID.fullmatch(text) else None


def _keeper(caller: Caller) -> AnswerKeeper:
    # What a test key is answered costs nothing, so it may not fill the database either.
    return AnswerKeeper(MAX_TEST_SEALED_BYTES if caller.environment == "test" else MAX_SEALED_BYTES)


def open_replay(inference: Inference, replay: Replay) -> bytes:
    """Return what is kept of an answer, with what it cost.

    raises  AnswerNotStored
    """
    answer = open_kept_answer(inference.sealer, replay.answer, replay.cost_nanos)
    if answer is None:
        raise answer_not_stored(format_generation_id(replay.generation_id))
    return answer


def _available(inference: Inference, preferences: Preferences, output: Output) -> tuple[ProviderSlug, ...]:
    """Return the providers that we have credentials for and that make such output.

    Without data collection only those that can be told so.
    """
    return tuple(
        slug
        for slug, provider in inference.providers.items()
        if slug == SIMULATED.slug
        or (
            _is_made_by(provider, output)
            and (preferences.data_collection is DataCollection.ALLOW or provider.record.honours_data_collection)
        )
    )


def _is_made_by(provider: ConfiguredProvider, output: Output) -> bool:
    match output:
        case "text":
            return True
        case "embeddings":
            return provider.record.embeddings_path is not None
        case "image":
            return provider.record.images_path is not None
        case _:
            assert_never(output)
