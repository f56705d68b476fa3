"""/admin/dead-letters: what was given up, and once more."""

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from functions.admin import descriptions
from functions.admin.queries import read_letter_filter, read_letter_id
from functions.admin.resources import ask, enter, petition_of
from functions.admin.state_views import letter_view
from shared.flows.retry_dead_letter import retry_dead_letter
from shared.web.access import requires_admin
from shared.web.answers import json_answer
from shared.web.pagination import list_answer, read_page, write_cursor

router = APIRouter()


@router.get("/admin/dead-letters", openapi_extra=descriptions.LETTERS, response_class=Response)
@requires_admin
async def list_letters(request: Request) -> Response:
    """List what was given up, newest first."""
    resources, admin = await enter(request)
    page, chosen = read_page(request), read_letter_filter(request)
    told = await ask(
        request,
        admin,
        lambda: resources.state.list_letters(admin, chosen, limit=page.limit + 1, before=page.after_id),
    )
    shown = told.letters[: page.limit]
    cursor = write_cursor(shown[-1].id) if len(told.letters) > page.limit else None
    return json_answer(list_answer([letter_view(letter) for letter in shown], cursor))


@router.post("/admin/dead-letters/{letter_id}/retry", openapi_extra=descriptions.RETRY, response_class=Response)
@requires_admin
async def retry_letter(request: Request) -> Response:
    """Have one tried once more by its own job."""
    resources, admin = await enter(request)
    letter_id = read_letter_id(request.path_params["letter_id"])
    letter = await retry_dead_letter(resources.retries, await petition_of(request, admin), letter_id)
    return json_answer(letter_view(letter))
