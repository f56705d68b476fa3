"""POST /images/generate, and OpenAI's /v1/images/generations."""

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from functions.images.resources import resources_of
from functions.images.schemas import IMAGE_OPENAPI, read_image_request
from shared.flows.generate_image import generate_image
from shared.web.access import requires
from shared.web.context import context_of
from shared.web.json_body import read_json_object
from shared.web.pieces import PiecewiseJson
from shared.web.refused import refuses
from shared.web.retries import read_claim
from shared.web.session_names import refuse_session

router = APIRouter()


@router.post("/images/generate", openapi_extra=IMAGE_OPENAPI, response_class=Response)
@router.post("/v1/images/generations", openapi_extra=IMAGE_OPENAPI, response_class=Response)
@requires("inference")
@refuses(402, 404)
async def create_images(request: Request) -> Response:
    """Make images from a prompt."""
    resources = resources_of(request)
    caller = await resources.authenticator.caller_of(request)
    refuse_session(request)
    body = await read_json_object(request)
    asked = read_image_request(body, await read_claim(request, resources.settings.secret_keys))
    answer_headers = context_of(request.scope).answer_headers
    return PiecewiseJson(await generate_image(resources.inference, caller, asked, answer_headers))
