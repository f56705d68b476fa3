"""The simulator's `/_sim`: what tests read of it and tell it."""

from aiohttp import web

from infra.local.simulator.answers import error_body
from infra.local.simulator.asked import MalformedRequestError, parse_body
from infra.local.simulator.log import MAX_RECORDS
from infra.local.simulator.state import STATE
from infra.local.simulator.streaming import json_response


def control_routes() -> list[web.RouteDef]:
    """Return the routes for the tests."""
    return [
        web.get("/_sim/health", get_health),
        web.get("/_sim/requests", get_requests),
        web.get("/_sim/count", get_count),
        web.post("/_sim/reset", post_reset),
        web.get("/_sim/gates/{name}", get_gate),
        web.post("/_sim/gates/{name}", post_gate),
    ]


async def get_health(_: web.Request) -> web.Response:
    """Say that the process is up."""
    return json_response(200, {"status": "ok"})


async def get_requests(request: web.Request) -> web.Response:
    """List what was served, oldest first: `?after=<seq>&model=&limit=`."""
    try:
        after = int(request.query.get("after", "0"))
        limit = int(request.query.get("limit", str(MAX_RECORDS)))
    except ValueError:
        return json_response(400, error_body(400, "`after` and `limit` must be whole numbers"))
    records = request.app[STATE].log.list(after=after, model=request.query.get("model"), limit=max(0, limit))
    return json_response(200, {"data": [record.as_json() for record in records]})


async def get_count(request: web.Request) -> web.Response:
    """Count the requests kept, those still being answered, and the last sequence number."""
    log = request.app[STATE].log
    count, active = log.count()
    return json_response(200, {"count": count, "active": active, "last_seq": log.last_seq})


async def post_reset(request: web.Request) -> web.Response:
    """Forget requests, failures and gates; answers held at a gate go out."""
    state = request.app[STATE]
    state.log.reset()
    state.gates.reset()
    state.failures.clear()
    return json_response(200, {"status": "ok"})


async def get_gate(request: web.Request) -> web.Response:
    """Show a gate: open or not, and how many answers it holds back."""
    name, gates = request.match_info["name"], request.app[STATE].gates
    return json_response(200, {"name": name, "open": gates.is_open(name), "waiting": gates.waiting(name)})


async def post_gate(request: web.Request) -> web.Response:
    """Open or close a gate: `{"open": true}`."""
    try:
        body = parse_body(await request.read())
    except MalformedRequestError as error:
        return json_response(400, error_body(400, str(error)))
    if not isinstance(body.get("open"), bool):
        return json_response(400, error_body(400, "`open` must be true or false"))
    request.app[STATE].gates.set_open(request.match_info["name"], is_open=body["open"])
    return await get_gate(request)
