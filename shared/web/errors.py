"""How a refusal leaves: OpenAI's envelope, with the headers that tell official clients whether to retry."""

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response
from starlette.types import Scope

from shared.core.errors import GatewayError, InvalidRequest, envelope
from shared.web.context import context_of


class UnknownPath(GatewayError):
    """Nothing is served at this path."""

    status = 404
    code = "unknown_path"


class MethodNotAllowed(GatewayError):
    """The path is served, but not with this method."""

    status = 405
    code = "method_not_allowed"


class InternalError(GatewayError):
    """A bug of ours."""

    status = 500
    code = "internal_error"
    type = "server_error"


def internal_error() -> InternalError:
    """Return what a customer is told of a bug: that it is ours, and how to name it."""
    return InternalError("Something went wrong in the gateway. Quote the request id when you report it.")


def error_response(error: GatewayError, scope: Scope) -> Response:
    """Return the answer to a refused request."""
    headers = {"x-should-retry": "true" if error.is_retryable else "false", **error.headers}
    return JSONResponse(envelope(error, context_of(scope).request_id), error.status, headers)


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
        refusal: GatewayError = UnknownPath(
            f"Nothing is served at {request.url.path}. The paths are in the API reference."
        )
    elif error.status_code == 405:
        refusal = MethodNotAllowed(f"{request.method} is not allowed at {request.url.path}.", headers=error.headers)
    else:
        refusal = InvalidRequest("The request cannot be read.")
    return error_response(refusal, request.scope)


def invalid_request(problems: list[dict[str, object]]) -> InvalidRequest:
    """Turn a validation's first problem into a refusal that names the field.

    shape   problems: as pydantic lists them, with `loc` and `msg`
    """
    problem = problems[0]
    location = problem.get("loc")
    steps = [step for step in location if step not in ("query", "path", "body")] if isinstance(location, tuple) else []
    param = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps).lstrip(".")
    return InvalidRequest(f"{param or 'The request'}: {problem['msg']}.", param=param or None)
