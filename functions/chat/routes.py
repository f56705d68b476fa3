"""POST /v1/chat/completions."""

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from functions.chat.resources import resources_of
from functions.chat.schemas import CHAT_OPENAPI, read_chat_request
from functions.chat.sessions import answer_in_session, read_session_id
from shared.web.access import requires
from shared.web.json_body import read_json_object
from shared.web.refused import refuses
from shared.web.retries import read_claim

router = APIRouter()


@router.post("/v1/chat/completions", openapi_extra=CHAT_OPENAPI, response_class=Response)
@requires("inference")
@refuses(402, 404)
async def create_chat_completion(request: Request) -> Response:
    """Answer a chat completion, whole or as a stream."""
    resources = resources_of(request)
    caller = await resources.authenticator.caller_of(request)
    body = await read_json_object(request)
    session_id = read_session_id(request, body)
    chat = read_chat_request(body, await read_claim(request, resources.settings.secret_keys, session_id))
    return await answer_in_session(request, caller, session_id, chat)
