"""The simulator's routes: each provider's API under its prefix."""

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Any

from aiohttp import web

from infra.local.simulator.answers import UPSTREAM_LABEL, Answer, error_body, plan_answer
from infra.local.simulator.asked import Asked, MalformedRequestError, parse_body, read_asked
from infra.local.simulator.catalog import PROVIDERS, Provider, find_offer, list_models, list_portkey_prices
from infra.local.simulator.control import control_routes
from infra.local.simulator.embeddings import embedding_answer, read_embedding_asked
from infra.local.simulator.images import image_answer, read_image_asked
from infra.local.simulator.log import HEADERS_OF_INTEREST, Served
from infra.local.simulator.script import MAX_WAIT_MS, Cut, Hang, Script, ScriptError, parse_script, read_settings
from infra.local.simulator.state import STATE, State, fails_now
from infra.local.simulator.streaming import (
    close_connection,
    finish_unheard,
    json_response,
    pause,
    write_completion,
    write_stream,
    write_whole,
)

MAX_BODY_BYTES = 64 * 1024 * 1024
HOST = "127.0.0.1"


def create_app() -> web.Application:
    """Build the application with an empty memory."""
    app = web.Application(client_max_size=MAX_BODY_BYTES)
    app[STATE] = State()
    app.on_cleanup.append(_stop_unheard)
    app.add_routes(
        [
            web.post("/{provider}/v1/chat/completions", complete_chat),
            web.post("/{provider:openrouter|portkey|featherless}/v1/embeddings", embed),
            web.post("/openrouter/v1/images", make_images),
            web.post("/portkey/v1/images/generations", make_images),
            web.get("/{provider}/v1/models", get_models),
            web.get("/openrouter/v1/generation", get_generation),
            web.get("/portkey/pricing/{author}.json", get_portkey_prices),
            *control_routes(),
        ]
    )
    return app


async def start_simulator(port: int = 0) -> tuple[web.AppRunner, int]:
    """Serve on loopback in this process and return the runner with the port; 0 picks a free one.

    raises  OSError when the port is taken
    """
    # Without handler_cancellation a hang would not notice that its client has left; a timeout of 0 would be none.
    runner = web.AppRunner(create_app(), access_log=None, handler_cancellation=True, shutdown_timeout=0.01)
    await runner.setup()
    await web.TCPSite(runner, HOST, port, backlog=1024).start()
    return runner, runner.addresses[0][1]


async def complete_chat(request: web.Request) -> web.StreamResponse:
    """Answer a chat completion as its script says, and log it."""
    opened = await _open_request(request)
    if isinstance(opened, web.Response):
        return opened
    provider, body, served = opened
    try:
        asked = read_asked(body)
        script = _read_script(request, body, served)
    except (MalformedRequestError, ScriptError) as error:
        return _refuse(served, 400, str(error))
    _note_asked(served, asked, script)
    try:
        return await _answer(request, provider, asked, script, served)
    except asyncio.CancelledError:
        _note_departure(request.app[STATE], provider, asked, script, served)
        raise
    except ConnectionResetError:
        _note_departure(request.app[STATE], provider, asked, script, served)
        return web.Response()


async def embed(request: web.Request) -> web.StreamResponse:
    """Answer a request for embeddings as its script says, and log it."""
    opened = await _open_request(request)
    if isinstance(opened, web.Response):
        return opened
    provider, body, served = opened
    try:
        asked = read_embedding_asked(body)
        script = _read_script(request, body, served)
    except (MalformedRequestError, ScriptError) as error:
        return _refuse(served, 400, str(error))
    served.prompt_quantity = asked.prompt_tokens if script.prompt_tokens is None else script.prompt_tokens
    served.scripted_cost = script.cost
    return await _answer_whole(request, script, served, lambda: embedding_answer(provider, asked, script, served))


async def make_images(request: web.Request) -> web.StreamResponse:
    """Answer a request for images as its script says, and log it."""
    opened = await _open_request(request)
    if isinstance(opened, web.Response):
        return opened
    _, body, served = opened
    try:
        asked = read_image_asked(body)
        script = _read_script(request, body, served)
    except (MalformedRequestError, ScriptError) as error:
        return _refuse(served, 400, str(error))
    served.n = asked.count
    served.scripted_cost = script.cost
    return await _answer_whole(request, script, served, lambda: image_answer(asked, script, served))


async def get_models(request: web.Request) -> web.Response:
    """List a provider's models; Portkey alone asks for a key."""
    provider = _provider(request)
    if provider.slug == "portkey" and not _is_authorized(request, provider):
        return json_response(401, error_body(401, "missing or empty API key", code="invalid_api_key"))
    return json_response(200, list_models(provider))


async def get_generation(request: web.Request) -> web.Response:
    """Tell what one OpenRouter request used and cost, once it has ended."""
    if not _is_authorized(request, PROVIDERS["openrouter"]):
        return json_response(401, error_body(401, "missing or empty API key", code="invalid_api_key"))
    generation_id = request.query.get("id", "")
    served = request.app[STATE].log.find(generation_id)
    if served is None or served.provider != "openrouter" or not served.has_record:
        return json_response(404, {"error": {"code": 404, "message": f"Generation {generation_id} not found"}})
    return json_response(200, {"data": served.as_generation(UPSTREAM_LABEL)})


async def get_portkey_prices(request: web.Request) -> web.Response:
    """Publish prices as Portkey does, a file per author."""
    prices = list_portkey_prices(request.match_info["author"])
    return json_response(200 if prices else 404, prices)


async def _open_request(request: web.Request) -> tuple[Provider, dict[str, Any], Served] | web.Response:
    """Read a request's body and begin its record; a response where it is refused already."""
    provider = _provider(request)
    try:
        body = parse_body(await request.read())
    except MalformedRequestError as error:
        return json_response(400, error_body(400, str(error)))
    model = str(body.get("model", ""))
    served = request.app[STATE].log.open(provider.slug, model, find_offer(provider, model))
    served.body_fields = tuple(body)
    served.headers = {name: request.headers[name] for name in HEADERS_OF_INTEREST if name in request.headers}
    served.is_authorized = _is_authorized(request, provider)
    if not served.is_authorized:
        return _refuse(served, 401, "missing or empty API key", code="invalid_api_key")
    return provider, body, served


def _read_script(request: web.Request, body: Mapping[str, Any], served: Served) -> Script:
    """Read the script of a request into its record.

    raises  ScriptError
    """
    served.script = read_settings(served.model, body.get("simulate"), request.headers.get("X-Simulate", ""))
    return parse_script(served.script)


async def _answer_whole(
    request: web.Request, script: Script, served: Served, make: Callable[[], bytes]
) -> web.StreamResponse:
    """Answer what is never streamed: make is called once nothing is in its way any more."""
    try:
        refused = await _hold_back(request, script, served)
        if refused is not None:
            return refused
        served.status = 200
        served.has_begun = True
        return await write_whole(request, make(), script, served)
    except asyncio.CancelledError:
        served.end(client_left=True)
        raise
    except ConnectionResetError:
        served.end(client_left=True)
        return web.Response()


async def _answer(
    request: web.Request, provider: Provider, asked: Asked, script: Script, served: Served
) -> web.StreamResponse:
    refused = await _hold_back(request, script, served)
    if refused is not None:
        return refused
    answer = _begin(provider, asked, script, served)
    return await (write_stream if asked.is_streamed else write_completion)(request, answer, served)


async def _hold_back(request: web.Request, script: Script, served: Served) -> web.Response | None:
    """Wait, hang and fail before an answer begins, as its script says; None where it may begin."""
    state = request.app[STATE]
    if script.gate:
        try:
            await state.gates.wait(script.gate)
        except TimeoutError:
            return _refuse(served, 504, f"gate {script.gate!r} was not opened")
    await pause(script.first_byte_ms)
    if script.hang is Hang.BEFORE_HEADERS:
        await pause(MAX_WAIT_MS)
    if script.hang is Hang.BEFORE_HEADERS or script.cut is Cut.BEFORE_HEADERS:
        close_connection(request, served)
        return web.Response()
    if script.status is not None and fails_now(state, script, served):
        headers = {} if script.retry_after is None else {"Retry-After": str(script.retry_after)}
        return _refuse(served, script.status, "the scripted error", code="scripted_error", headers=headers)
    return None


def _begin(provider: Provider, asked: Asked, script: Script, served: Served) -> Answer:
    answer = plan_answer(served.id, asked, script, provider)
    served.reasoning_quantity = answer.reasoning_tokens
    served.status = 200
    served.has_begun = True
    return answer


def _note_departure(state: State, provider: Provider, asked: Asked, script: Script, served: Served) -> None:
    """End the record of an answer whose client has left, unless the provider says all of it all the same."""
    if served.ended_at is not None or not script.is_finished_unheard:
        served.end(client_left=True)
        return
    task = asyncio.create_task(_go_on_unheard(state, provider, asked, script, served))
    state.unheard.add(task)
    task.add_done_callback(state.unheard.discard)


async def _go_on_unheard(state: State, provider: Provider, asked: Asked, script: Script, served: Served) -> None:
    if not served.has_begun:
        if script.gate:
            try:
                await state.gates.wait(script.gate)
            except TimeoutError:
                served.end(client_left=True)
                return
        await pause(max(0, script.first_byte_ms - round((time.time() - served.started_at) * 1000)))
    await finish_unheard(_begin(provider, asked, script, served), served)


async def _stop_unheard(app: web.Application) -> None:
    unheard = list(app[STATE].unheard)
    for task in unheard:
        task.cancel()
    await asyncio.gather(*unheard, return_exceptions=True)


def _note_asked(served: Served, asked: Asked, script: Script) -> None:
    served.is_streamed = asked.is_streamed
    served.max_tokens = asked.max_tokens
    served.n = asked.n
    served.image_parts = asked.image_parts
    served.prompt_quantity = asked.prompt_tokens if script.prompt_tokens is None else script.prompt_tokens
    served.cached_quantity = script.cached_tokens
    served.scripted_cost = script.cost
    served.record_after_ms = script.record_after_ms


def _refuse(
    served: Served, status: int, message: str, *, code: str | None = None, headers: Mapping[str, str] | None = None
) -> web.Response:
    served.status = status
    served.end()
    body: dict[str, Any] = error_body(status, message, code=code)
    return json_response(status, body, dict(headers or {}))


def _provider(request: web.Request) -> Provider:
    provider = PROVIDERS.get(request.path.split("/", 2)[1])
    if provider is None:
        raise web.HTTPNotFound
    return provider


def _is_authorized(request: web.Request, provider: Provider) -> bool:
    value = request.headers.get(provider.key_header, "").strip()
    if provider.key_header != "Authorization":
        return bool(value)
    scheme, _, token = value.partition(" ")
    return scheme.lower() == "bearer" and bool(token.strip())
