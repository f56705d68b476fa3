"""How a refusal leaves: in OpenAI's envelope or its path's own; headers tell official clients whether to retry."""

import re

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response
from starlette.types import Scope

from shared.core.errors import GatewayError, InvalidRequest
from shared.web.context import context_of

# The name of a field, or the tag of a union.
_NAME = re.compile(r"\w{1,40}|\([a-z]+\)", re.ASCII)


class UnknownPath(GatewayError):
    """Nothing is served at this path."""

    status = 404
    code = "unknown_path"
    advice = "Nothing is served there."


class MethodNotAllowed(GatewayError):
    """The path is served, but not with this method."""

    status = 405
    code = "method_not_allowed"
    advice = "The path is served with another method."


class InternalError(GatewayError):
    """A bug of ours."""

    status = 500
    code = "internal_error"
    advice = "A bug of ours; quote the request id."
    type = "server_error"


def internal_error() -> InternalError:
    """Return what a customer is told of a bug: that it is ours, and how to name it."""
    return InternalError("Something went wrong in the gateway. Quote the request id when you report it.")


def error_response(error: GatewayError, scope: Scope) -> Response:
    """Return the answer to a refused request, in the dialect of its path; a 401 names the scheme, as every one must.

    source  https://www.rfc-editor.org/rfc/rfc9110#section-15.5.2
    """
    headers = {"x-should-retry": "true" if error.is_retryable else "false", **error.headers}
    context = context_of(scope)
    if error.status == 401:
        headers.setdefault("WWW-Authenticate", "Bearer")
        # Who is not known has no limits: those that the limiter has of a key would tell that there was one.
        for name in [name for name in context.answer_headers if name.startswith("x-ratelimit-")]:
            del context.answer_headers[name]
    return JSONResponse(context.error_body(error), error.status, headers)


def install_error_handlers(app: FastAPI) -> None:
    """Have every refusal, ours or the framework's, leave in the contract's shape."""
    app.add_exception_handler(GatewayError, _answer_refusal)
    app.add_exception_handler(RequestValidationError, _answer_invalid)
    app.add_exception_handler(HTTPException, _answer_http_error)


async def _answer_refusal(request: Request, error: Exception) -> Response:
    assert isinstance(error, GatewayError)
    return error_response(error, request.scope)


async def _answer_invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    return error_response(invalid_request(list(error.errors())), request.scope)


async def _answer_http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == 404:
        refusal: GatewayError = UnknownPath("Nothing is served at this path. The paths are in the API reference.")
    elif error.status_code == 405:
        refusal = MethodNotAllowed(f"{request.method} is not allowed at this path.", headers=error.headers)
    else:
        refusal = InvalidRequest("The request cannot be read.")
    return error_response(refusal, request.scope)


def invalid_request(problems: list[dict[str, object]]) -> InvalidRequest:
    """Turn a validation's first problem into a refusal that names the field.

    shape   problems: as pydantic lists them, with `loc` and `msg`; a tag of a union stands in parentheses
    """
    problem = problems[0]
    location = problem.get("loc")
    param = _path(location if isinstance(location, tuple) else ())
    # Our own rules say all that is needed.
    message = str(problem["msg"]).removeprefix("Value error, ")
    return InvalidRequest(f"{param or 'The request'}: {message}.", param=param or None)


def _path(location: tuple[object, ...]) -> str:
    """Print where a problem is, as far as the names are not made up by the client."""
    path = ""
    # A body that was read by itself has fields alone, of which one may be called `query`.
    is_placed = location[:1] == ("body",) or (len(location) > 1 and location[0] in ("query", "path"))
    for step in location[1:] if is_placed else location:
        if isinstance(step, int):
            path += f"[{step}]"
        elif not isinstance(step, str) or not _NAME.fullmatch(step):
            break
        elif not step.startswith("("):
            path += f".{step}"
    return path.lstrip(".")
