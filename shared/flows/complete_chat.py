"""A chat completion answered whole."""

import msgspec

from shared.core.caller import Caller
from shared.flows.attempt_providers import AttemptFailed, attempt_in_turn, check_status
from shared.flows.chat_request import Chat, ChatRequest, open_chat
from shared.flows.chat_usage import resolve_usage
from shared.flows.inference import Inference
from shared.flows.settle_chat import (
    Answered,
    close_unanswered,
    served_by,
    settle_answer,
    stored_meanwhile,
    usage_if_crashed,
)
from shared.ledger.types import Offer, Outcome
from shared.providers import simulated
from shared.providers.failures import classify_error
from shared.providers.openai_chat import Completion, read_completion
from shared.providers.raw_json import MalformedAnswer


class _Answer(msgspec.Struct, frozen=True):
    offer: Offer
    body: bytes
    completion: Completion


async def complete_chat(
    inference: Inference, caller: Caller, request: ChatRequest, answer_headers: dict[str, str]
) -> bytes:
    """Admit the request, have the first provider answer it that can, charge it, and return the answer's JSON.

    A retry of a request that was answered gets that answer again, and is not charged.
    answer_headers gets X-Generation-Id, X-Provider and the rate-limit headers.

    raises  GatewayError subclasses; none of them is charged
    """
    chat = await open_chat(inference, caller, request, answer_headers, _stay_silent)
    if isinstance(chat, bytes):
        return chat
    is_answered = False
    try:
        async with chat.meter.kept_alive(lambda: usage_if_crashed(chat)):
            answer = await attempt_in_turn(
                inference,
                chat.offers,
                lambda offer: _ask(chat, offer),
                chat.trail,
                deadline_s=chat.deadline_s,
            )
        answered = _answered(chat, answer)
        is_answered = True
    finally:
        if not is_answered:
            await close_unanswered(chat)
    answer_headers["X-Provider"] = answer.offer.provider
    async with stored_meanwhile(chat):
        settlement = await settle_answer(chat, answered)
    return answered.ending.with_cost(None if settlement is None else settlement.cost_nanos)


def _answered(chat: Chat, answer: _Answer) -> Answered:
    completion = answer.completion
    resolved = resolve_usage(chat, answer.offer, completion.usage, completion.output_bytes)
    return Answered(
        offer=answer.offer,
        resolved=resolved,
        outcome=Outcome.COMPLETED,
        upstream_id=completion.id,
        ending=chat.request.dialect.answer(answer.body, served_by(chat, answer.offer), resolved.told()),
    )


async def _stay_silent() -> None:
    """Send nothing to a client that waits for a whole answer."""


async def _ask(chat: Chat, offer: Offer) -> _Answer:
    """Ask one provider.

    raises  AttemptFailed, MalformedAnswer, and what the upstream client raises
    """
    if offer.provider == simulated.SIMULATED.slug:
        body = simulated.answer(chat.request.body)
        chat.request.dialect.read(body)
        return _Answer(offer, body, read_completion(body))
    provider = chat.provider_of(offer)
    response = await chat.inference.upstream.post(
        provider.chat_url,
        provider.record.authorise(provider.api_key),
        chat.upstream_body(offer),
        timeout_s=chat.remaining_s(),
    )
    await check_status(response)
    chat.note_headers(offer, response.headers)
    try:
        body = await response.read_all(chat.remaining_s())
    finally:
        response.close()
    completion = read_completion(body)
    if completion.error is not None:
        raise AttemptFailed(classify_error(completion.error), response.status)
    if completion.choices == 0:
        raise MalformedAnswer("a completion without choices")
    chat.request.dialect.read(body)
    return _Answer(offer, body, completion)
