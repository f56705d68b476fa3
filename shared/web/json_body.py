"""A request's JSON body, read once."""

import json
from typing import Any, NoReturn

from starlette.requests import ClientDisconnect, Request

from shared.core.errors import InvalidRequest


async def read_json_object(request: Request) -> dict[str, Any]:
    """Read the body as a JSON object.

    raises  InvalidRequest for anything else; BodyTooLarge from the middleware
    """
    try:
        body = json.loads(await request.body(), parse_constant=_refuse_constant)
    except ClientDisconnect:
        raise InvalidRequest("The request's body did not arrive whole.") from None
    except (ValueError, RecursionError):
        # Also too deep, too long a number, and what is not UTF-8.
        raise InvalidRequest("The request's body is not valid JSON.") from None
    if not isinstance(body, dict):
        raise InvalidRequest("The request's body must be a JSON object.")
    return body


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
