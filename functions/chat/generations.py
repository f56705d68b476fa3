"""GET /v1/generations/{id}, and DELETE /v1/generations/{id}/answer."""

import msgspec
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from functions.chat.generation_schemas import GENERATION_OPENAPI, ID_OPENAPI, generation_view
from functions.chat.resources import resources_of
from shared.core.ids import GenerationId, parse_generation_id
from shared.flows.read_generation import erase_answer, read_generation
from shared.ledger.refusals import GenerationNotFound
from shared.web.access import requires
from shared.web.context import context_of

router = APIRouter()


@router.get("/v1/generations/{generation_id}", openapi_extra=GENERATION_OPENAPI, response_class=Response)
@requires("inference")
async def show_generation(request: Request) -> Response:
    """Tell what one request of the caller's account was, and what it cost."""
    resources = resources_of(request)
    caller = await resources.authenticator.caller_of(request)
    headers = context_of(request.scope).answer_headers
    generation = await read_generation(resources.desk, caller, _read_id(request), headers)
    return Response(msgspec.json.encode(generation_view(generation)), media_type="application/json")


@router.delete(
    "/v1/generations/{generation_id}/answer", status_code=204, openapi_extra=ID_OPENAPI, response_class=Response
)
@requires("inference")
async def forget_answer(request: Request) -> Response:
    """Erase what is kept of an answer for a retry; the bill stays."""
    resources = resources_of(request)
    caller = await resources.authenticator.caller_of(request)
    await erase_answer(resources.desk, caller, _read_id(request), context_of(request.scope).answer_headers)
    return Response(status_code=204)


def _read_id(request: Request) -> GenerationId:
    generation_id = parse_generation_id(request.path_params["generation_id"])
    if generation_id is None:
        raise GenerationNotFound("An id is written as X-Generation-Id shows it: gen_ and 32 digits.", param="id")
    return generation_id
