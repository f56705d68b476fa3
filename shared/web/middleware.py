"""What happens around every request, as plain ASGI: a middleware that buffers would hold streams back."""

from collections.abc import Sequence

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared.core.clock import elapsed_ms, wall_clock_ms
from shared.core.errors import GatewayError
from shared.core.ids import new_request_id
from shared.core.log import describe_bug, generation_in_context, log_event, request_id_in_context
from shared.core.redaction import without_secrets
from shared.core.trace import TraceContext, read_trace, trace_in_context
from shared.web.context import AnswerContext, PathDialect, put_context
from shared.web.errors import error_response, internal_error
from shared.web.request_metrics import RequestMetrics

MAX_BODY_BYTES = 4 * 1024 * 1024


class BodyTooLarge(GatewayError):
    """The request's body is larger than the contract allows."""

    status = 413
    code = "request_too_large"
    advice = "Bodies end at 4 MiB."

    def __init__(self) -> None:
        super().__init__(
            f"The request's body is larger than {MAX_BODY_BYTES} bytes. Send images as URLs, or less text."
        )


class RequestContext:
    """Gives the request its id and its trace, its answer's gathered headers, one log line, and 500 for a bug."""

    def __init__(
        self, app: ASGIApp, dialects: Sequence[PathDialect] = (), metrics: RequestMetrics | None = None
    ) -> None:
        self._app = app
        self._dialects = tuple(dialects)
        self._metrics = metrics or RequestMetrics()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection event."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        dialect = next((dialect for dialect in self._dialects if dialect.speaks_at(scope["path"])), None)
        context = AnswerContext(request_id=new_request_id(), dialect=dialect)
        put_context(scope, context)
        request_token = request_id_in_context.set(context.request_id)
        trace_token = trace_in_context.set(_read_trace(scope))
        # Known from admission on, which sets it in this same context.
        generation_token = generation_in_context.set(None)
        status: int | None = None

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers["X-Request-Id"] = context.request_id
                if dialect is not None and dialect.request_id_header is not None:
                    headers[dialect.request_id_header] = context.request_id
                for name, value in context.answer_headers.items():
                    headers.setdefault(name, value)
            await send(message)

        try:
            await self._app(scope, receive, send_with_headers)
        except Exception as bug:  # noqa: BLE001 - the edge: a bug is logged once and becomes 500
            log_event("request_crashed", level="error", error=describe_bug(bug))
            # An answer that has begun is left unfinished, and the server closes the connection; raised, the bug's own
            # words would stand in the server's log.
            if status is None:
                await error_response(internal_error(), scope)(scope, receive, send_with_headers)
        finally:
            fields = {
                "method": scope["method"],
                "path": without_secrets(scope["path"]),
                "status": status,
                "duration_ms": elapsed_ms(context.received_s),
            }
            is_error = status is None or status >= 500
            measured = self._metrics.of(fields, is_error=is_error, at_ms=wall_clock_ms())
            log_event("request_answered", level="info", **measured)
            generation_in_context.reset(generation_token)
            trace_in_context.reset(trace_token)
            request_id_in_context.reset(request_token)


def _read_trace(scope: Scope) -> TraceContext | None:
    headers = Headers(scope=scope)
    return read_trace(headers.getlist("traceparent"), headers.getlist("tracestate"))


class BugAnswer:
    """Answers 500 where the CORS headers are still put on it, so that a page can read the request's id."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection event; the bug goes on to whoever logs it."""
        is_started = False

        async def send_and_note(message: Message) -> None:
            nonlocal is_started
            is_started = True
            await send(message)

        try:
            await self._app(scope, receive, send_and_note)
        except Exception:
            if scope["type"] == "http" and not is_started:
                await error_response(internal_error(), scope)(scope, receive, send)
            raise


class BodyLimit:
    """Refuses a body over the limit: by its announced length, else as soon as it has grown too large."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection event."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        announced = dict(scope["headers"]).get(b"content-length", b"0")
        # Of more than twelve digits the value does not matter.
        if announced.isdigit() and int(announced[:13]) > MAX_BODY_BYTES:
            await error_response(BodyTooLarge(), scope)(scope, receive, send)
            return
        size = 0

        async def receive_within_limit() -> Message:
            nonlocal size
            message = await receive()
            size += len(message.get("body", b""))
            if size > MAX_BODY_BYTES:
                raise BodyTooLarge
            return message

        await self._app(scope, receive_within_limit, send)
