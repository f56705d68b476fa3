"""POST /v1/embeddings."""

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from functions.chat.embedding_schemas import EMBEDDING_OPENAPI, read_embed_request
from functions.chat.resources import resources_of
from shared.flows.embed import embed
from shared.web.access import requires
from shared.web.context import context_of
from shared.web.json_body import read_json_object
from shared.web.pieces import PiecewiseJson
from shared.web.refused import refuses
from shared.web.retries import read_claim
from shared.web.session_names import refuse_session

router = APIRouter()


@router.post("/v1/embeddings", openapi_extra=EMBEDDING_OPENAPI, response_class=Response)
@requires("inference")
@refuses(402, 404)
async def create_embeddings(request: Request) -> Response:
    """Embed texts or tokens: a vector for each."""
    resources = resources_of(request)
    caller = await resources.authenticator.caller_of(request)
    refuse_session(request)
    body = await read_json_object(request)
    asked = read_embed_request(body, await read_claim(request, resources.settings.secret_keys))
    answer_headers = context_of(request.scope).answer_headers
    return PiecewiseJson(await embed(resources.inference, caller, asked, answer_headers))
