"""A chat completion answered whole."""

import msgspec

from shared.core.caller import Caller
from shared.flows.answer_whole import answer_whole, stay_silent
from shared.flows.attempt_providers import AttemptFailed, check_status
from shared.flows.chat_request import Chat, ChatRequest, open_chat
from shared.flows.chat_usage import resolve_usage
from shared.flows.inference import Inference
from shared.flows.settle_call import Answered
from shared.flows.settle_chat import served_by
from shared.ledger.types import Offer, Outcome
from shared.providers import simulated
from shared.providers.failures import UNREACHABLE, classify_error
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
    chat = await open_chat(inference, caller, request, answer_headers, stay_silent)
    if isinstance(chat, bytes):
        return chat
    return await answer_whole(
        chat.call, lambda offer: _ask(chat, offer), lambda answer: _answered(chat, answer), answer_headers
    )


def _answered(chat: Chat, answer: _Answer) -> Answered:
    completion = answer.completion
    resolved = resolve_usage(chat, answer.offer, completion.usage, completion.output_bytes)
    return Answered(
        offer=answer.offer,
        charged=resolved.charged,
        outcome=Outcome.COMPLETED,
        upstream_id=completion.id,
        ending=chat.request.dialect.answer(answer.body, served_by(chat, answer.offer), resolved.told()),
    )


async def _ask(chat: Chat, offer: Offer) -> _Answer:
    """Ask one provider.

    raises  AttemptFailed, MalformedAnswer, and what the upstream client raises
    """
    if offer.provider == simulated.SIMULATED.slug:
        body = simulated.answer(chat.request.body)
        chat.request.dialect.read(body)
        return _Answer(offer, body, read_completion(body))
    call = chat.call
    provider = call.provider_of(offer)
    response = await call.inference.upstream.post(
        provider.chat_url,
        call.headers_to(provider),
        chat.upstream_body(offer),
        timeout_s=call.remaining_s(),
    )
    await check_status(response, offer)
    chat.note_headers(offer, response.headers)
    try:
        body = await response.read_all(call.remaining_s())
    finally:
        response.close()
    completion = read_completion(body)
    if completion.error is not None:
        raise AttemptFailed(classify_error(completion.error, offer.upstream_model), response.status)
    if completion.choices == 0:
        raise MalformedAnswer("a completion without choices")
    try:
        chat.request.dialect.read(body)
    except MalformedAnswer as unsayable:
        # It may be well said in another dialect.
        raise AttemptFailed(UNREACHABLE, response.status, is_blameless=True) from unsayable
    return _Answer(offer, body, completion)
