"""POST /v1/messages and POST /v1/messages/count_tokens, for Anthropic's clients."""

import msgspec
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from functions.chat.answering import answer_chat
from functions.chat.openapi import COUNT_TOKENS_OPENAPI, MESSAGES_OPENAPI, MESSAGES_REFUSALS
from functions.chat.resources import resources_of
from functions.chat.schemas import read_chat_request
from shared.flows.ask import check_caller
from shared.providers.messages.count import estimate_tokens
from shared.providers.messages.dialect import MessagesDialect
from shared.providers.messages.errors import error_body
from shared.providers.messages.headers import check_version, read_betas
from shared.providers.messages.request import to_chat
from shared.web.access import requires
from shared.web.context import PathDialect, context_of
from shared.web.json_body import read_json_object
from shared.web.refused import refuses
from shared.web.retries import read_claim
from shared.web.session_names import refuse_session

# source  anthropic-python, _base_client.py: `request-id`
DIALECT = PathDialect(path="/v1/messages", error_body=error_body, request_id_header="request-id")

router = APIRouter()


@router.post("/v1/messages", openapi_extra=MESSAGES_OPENAPI, response_class=Response, responses=MESSAGES_REFUSALS)
@requires("inference")
@refuses(402, 404)
async def create_message(request: Request) -> Response:
    """Answer a message, whole or as a stream."""
    resources = resources_of(request)
    caller = await resources.authenticator.caller_of(request)
    _check_headers(request)
    translated = to_chat(await read_json_object(request))
    claim = await read_claim(request, resources.settings.secret_keys)
    chat = read_chat_request(translated.chat_body, claim, MessagesDialect(translated.echo))
    return await answer_chat(request, resources.inference, caller, chat)


@router.post(
    "/v1/messages/count_tokens",
    openapi_extra=COUNT_TOKENS_OPENAPI,
    response_class=Response,
    responses=MESSAGES_REFUSALS,
)
@requires("inference")
async def count_message_tokens(request: Request) -> Response:
    """Estimate the tokens of a prompt; counted as a request, never charged."""
    resources = resources_of(request)
    caller = await resources.authenticator.caller_of(request)
    _check_headers(request)
    translated = to_chat(await read_json_object(request), is_counted_only=True)
    read_chat_request(translated.chat_body, None)
    await check_caller(resources.desk, caller, context_of(request.scope).answer_headers)
    return Response(msgspec.json.encode(estimate_tokens(translated)), media_type="application/json")


def _check_headers(request: Request) -> None:
    refuse_session(request)
    check_version(request.headers.get("anthropic-version"))
    read_betas(request.headers.get("anthropic-beta"))
