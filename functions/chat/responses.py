"""POST /v1/responses; GET and DELETE /v1/responses/{id}."""

import time

import msgspec
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from functions.chat.answering import answer_kept
from functions.chat.openapi import RESPONSE_ID_OPENAPI, RESPONSES_OPENAPI
from functions.chat.resources import resources_of
from functions.chat.schemas import read_chat_request
from functions.chat.sessions import answer_in_session, read_session_id, refuse_two_pasts
from shared.core.errors import InvalidRequest
from shared.flows.answer_again import find_answer
from shared.flows.store_response import ResponseStorage, erase_response, find_earlier, read_named, show_response
from shared.history.response_refusals import PreviousResponseNotFound
from shared.providers.responses.dialect import ResponsesDialect
from shared.providers.responses.errors import error_body
from shared.providers.responses.request import read_references, to_chat
from shared.web.access import requires
from shared.web.context import PathDialect, context_of
from shared.web.json_body import read_json_object
from shared.web.refused import refuses
from shared.web.retries import read_claim

DIALECT = PathDialect(path="/v1/responses", error_body=error_body)

router = APIRouter()


@router.post("/v1/responses", openapi_extra=RESPONSES_OPENAPI, response_class=Response)
@requires("inference")
@refuses(402, 404)
async def create_response(request: Request) -> Response:
    """Answer a response, whole or as a stream."""
    resources = resources_of(request)
    caller = await resources.authenticator.caller_of(request)
    body = await read_json_object(request)
    session_id, references = read_session_id(request, body), read_references(body)
    refuse_two_pasts(session_id, references.previous_response_id)
    named = read_named(references)
    claim = await read_claim(request, resources.settings.secret_keys, session_id)
    headers = context_of(request.scope).answer_headers
    try:
        earlier = await find_earlier(resources.desk, resources.archive, caller, named, headers)
        translated = to_chat(
            body, earlier_items=earlier.items, stored_items=earlier.named, is_continued=session_id is not None
        )
    except (InvalidRequest, PreviousResponseNotFound):
        # What it names is gone since, if it was answered before.
        if not named.are_any:
            raise
        kept = await find_answer(resources.inference, resources.desk, caller, claim, headers)
        if kept is None:
            raise
        return answer_kept(kept, is_stream=body.get("stream") is True)
    if named.are_any:
        caller = caller.counted()
    dialect = ResponsesDialect(translated.echo, model=str(translated.chat_body["model"]), asked_at_s=int(time.time()))
    storage = ResponseStorage(resources.archive, caller, dialect, translated) if translated.echo["store"] else None
    chat = read_chat_request(translated.chat_body, claim, dialect, storage)
    return await answer_in_session(request, caller, session_id, chat, dialect)


@router.get("/v1/responses/{response_id}", openapi_extra=RESPONSE_ID_OPENAPI, response_class=Response)
@requires("inference")
async def show_stored_response(request: Request) -> Response:
    """Show a stored response of the caller's account."""
    resources = resources_of(request)
    caller = await resources.authenticator.caller_of(request)
    if request.query_params.get("stream", "false").lower() not in ("false", "0"):
        raise InvalidRequest("stream: a stored response is shown whole.", param="stream")
    headers = context_of(request.scope).answer_headers
    response_id = request.path_params["response_id"]
    answer = await show_response(resources.desk, resources.archive, caller, response_id, headers)
    return Response(answer, media_type="application/json")


@router.delete("/v1/responses/{response_id}", openapi_extra=RESPONSE_ID_OPENAPI, response_class=Response)
@requires("inference")
async def delete_stored_response(request: Request) -> Response:
    """Erase a stored response of the caller's account, and what is kept of it for a retry."""
    resources = resources_of(request)
    caller = await resources.authenticator.caller_of(request)
    response_id = request.path_params["response_id"]
    await erase_response(
        resources.desk, resources.archive, caller, response_id, context_of(request.scope).answer_headers
    )
    deleted = {"id": response_id, "object": "response", "deleted": True}
    return Response(msgspec.json.encode(deleted), media_type="application/json")
