"""A request's body, within its time, and as JSON."""

import asyncio
import json
from typing import Any, NoReturn

from starlette.requests import ClientDisconnect, Request

from shared.core.errors import GatewayError, InvalidRequest

# 4 MiB in this time is a slow telephone line; the time counts against the request's own deadline.
BODY_TIMEOUT_S = 30.0
# Counted in texts too: a million tokens of code or tables stay below.
MAX_BRACKETS = 200_000
MAX_COMMAS = 500_000


class BodyTimedOut(GatewayError):
    """The request's body did not arrive in time."""

    status = 408
    code = "request_timeout"
    advice = "The request's body did not arrive in time; send it again."
    is_retryable = True

    def __init__(self) -> None:
        super().__init__(f"The request's body did not arrive within {BODY_TIMEOUT_S:.0f} s. Send it again.")


async def read_body(request: Request) -> bytes:
    """Read the body; a second time it is there.

    raises  BodyTimedOut; InvalidRequest where the client has left; BodyTooLarge from the middleware
    """
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            return await request.body()
    except TimeoutError:
        raise BodyTimedOut from None
    except ClientDisconnect:
        raise InvalidRequest("The request's body did not arrive whole.") from None


async def read_json_object(request: Request, *, may_be_empty: bool = False) -> dict[str, Any]:
    """Read the body as a JSON object; may_be_empty: no body is an object without fields.

    raises  InvalidRequest for anything else, and as read_body
    """
    text = await read_body(request)
    if may_be_empty and not text:
        return {}
    _refuse_excess(text)
    try:
        body = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        # Also too deep, too long a number, and what is not UTF-8.
        raise InvalidRequest("The request's body is not valid JSON.") from None
    if not isinstance(body, dict):
        raise InvalidRequest("The request's body must be a JSON object.")
    return body


def _refuse_excess(text: bytes) -> None:
    """Refuse a body of brackets and commas: a megabyte of them takes fifty as objects, and the time of all others.

    raises  InvalidRequest
    """
    if text.count(b"[") + text.count(b"{") > MAX_BRACKETS or text.count(b",") > MAX_COMMAS:
        raise InvalidRequest("The request's body has too many elements. Send less at once.")


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
