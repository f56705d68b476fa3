"""A request's JSON body, read once."""

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
    is_retryable = True

    def __init__(self) -> None:
        super().__init__(f"The request's body did not arrive within {BODY_TIMEOUT_S:.0f} s. Send it again.")


async def read_json_object(request: Request) -> dict[str, Any]:
    """Read the body as a JSON object.

    raises  InvalidRequest for anything else; BodyTimedOut; BodyTooLarge from the middleware
    """
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            text = await request.body()
        _refuse_excess(text)
        body = json.loads(text, parse_constant=_refuse_constant)
    except TimeoutError:
        raise BodyTimedOut from None
    except ClientDisconnect:
        raise InvalidRequest("The request's body did not arrive whole.") from None
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
