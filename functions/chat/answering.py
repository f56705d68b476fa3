"""The one way in which a chat request is answered, whatever dialect its client speaks."""

from starlette.requests import Request
from starlette.responses import Response

from shared.core.caller import Caller
from shared.core.errors import GatewayError
from shared.core.ids import RequestId
from shared.flows.chat_request import ChatRequest
from shared.flows.complete_chat import complete_chat
from shared.flows.inference import Inference
from shared.flows.stream_chat import stream_chat
from shared.web.context import context_of
from shared.web.streaming import EventSink, EventStream


def answer_kept(answer: bytes, *, is_stream: bool) -> Response:
    """Give an answer again, in the form that it had."""
    if not is_stream:
        return Response(answer, media_type="application/json")

    async def produce(sink: EventSink) -> None:
        await sink.write(answer)

    return EventStream(produce)


async def answer_chat(request: Request, inference: Inference, caller: Caller, chat: ChatRequest) -> Response:
    """Answer whole or as a stream, as the client asks."""
    if not chat.is_stream:
        answer = await complete_chat(inference, caller, chat, context_of(request.scope).answer_headers)
        return Response(answer, media_type="application/json")

    async def produce(sink: EventSink) -> None:
        await stream_chat(inference, caller, chat, sink)

    def error_event(error: GatewayError, request_id: RequestId) -> bytes:
        return chat.dialect.fail(error, request_id, None).with_cost(None)

    return EventStream(produce, error_event)
