"""Every function behind one port, routed by vercel.json as the platform would route it."""

import asyncio
import importlib
import json
import re
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from infra.server.route_patterns import compile_route

VERCEL_FILE = Path(__file__).parents[2] / "vercel.json"
CATCH_ALL = "/(.*)"

# The ASGI protocol's own shapes: its messages are raw dictionaries.
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Message, Receive, Send], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Route:
    """One rewrite: what it matches and which function answers."""

    pattern: re.Pattern[str]
    service: str


class Gateway:
    """An ASGI application that passes every request to the first function whose route matches."""

    def __init__(self, applications: dict[str, Application], routes: list[Route]) -> None:
        self._lifespans = {name: Lifespan(application) for name, application in applications.items()}
        self._routes = [(route.pattern.fullmatch, self._lifespans[route.service]) for route in routes]

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one connection, or run the lifespan of every function."""
        if scope["type"] == "lifespan":
            await self._run_lifespans(receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1000})
            return
        # What is no path at all ("OPTIONS *") goes where every unknown path goes.
        taken = (function for matches, function in self._routes if matches(scope["path"]))
        function = next(taken, self._routes[-1][1])
        scope["state"] = function.state.copy()
        await function.application(scope, receive, send)

    async def _run_lifespans(self, receive: Receive, send: Send) -> None:
        await receive()
        started: list[Lifespan] = []
        for name, lifespan in self._lifespans.items():
            failure = await lifespan.start()
            if failure is not None:
                for other in reversed(started):
                    await other.stop()
                await send({"type": "lifespan.startup.failed", "message": f"{name}: {failure}"})
                return
            started.append(lifespan)
        await send({"type": "lifespan.startup.complete"})
        await receive()
        for lifespan in reversed(started):
            await lifespan.stop()
        await send({"type": "lifespan.shutdown.complete"})


@dataclass(slots=True)
class Lifespan:
    """The lifespan of one function, driven from outside; state is what it hands to its requests."""

    application: Application
    state: dict[str, Any] = field(default_factory=dict)
    _to_application: asyncio.Queue[Message] = field(default_factory=asyncio.Queue)
    _from_application: asyncio.Queue[Message] = field(default_factory=asyncio.Queue)
    _task: asyncio.Task[None] | None = None

    async def start(self) -> str | None:
        """Start the function; return why it refused, or None."""
        scope: Message = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": self.state}
        self._task = asyncio.create_task(self._run(scope))
        answer = await self._exchange({"type": "lifespan.startup"})
        return None if answer["type"] == "lifespan.startup.complete" else str(answer.get("message", "startup failed"))

    async def stop(self) -> None:
        """Let the function close what it opened."""
        await self._exchange({"type": "lifespan.shutdown"})
        if self._task is not None:
            await self._task

    async def _exchange(self, message: Message) -> Message:
        await self._to_application.put(message)
        return await self._from_application.get()

    async def _run(self, scope: Message) -> None:
        try:
            await self.application(scope, self._to_application.get, self._from_application.put)
        finally:
            # A function that ends without an answer must not leave the other side waiting.
            await self._from_application.put({"type": "lifespan.ended", "message": "ended without an answer"})


def load_gateway(vercel_file: Path = VERCEL_FILE) -> Gateway:
    """Load every function that vercel.json names.

    raises  ValueError for a rewrite that this gateway cannot follow; whatever a function's import raises
    """
    settings = json.loads(vercel_file.read_text())
    applications: dict[str, Application] = {}
    for name, service in settings["services"].items():
        module, _, attribute = service["entrypoint"].partition(":")
        applications[name] = getattr(importlib.import_module(module), attribute)
    return Gateway(applications, read_routes(settings["rewrites"]))


def read_routes(rewrites: list[dict[str, Any]]) -> list[Route]:
    """Read the table of rewrites.

    raises  ValueError for a rewrite with conditions, which only the platform can decide, and for a table whose last
            rewrite does not take every path: the platform would answer such a path with a page of its own
    """
    for rewrite in rewrites:
        if set(rewrite) != {"source", "destination"} or set(rewrite["destination"]) != {"service"}:
            raise ValueError(f"this rewrite is more than source and service: {rewrite}")
    if not rewrites or rewrites[-1]["source"] != CATCH_ALL:
        raise ValueError(f"the last rewrite must be {CATCH_ALL}, so that every path gets an answer of ours")
    return [Route(compile_route(rewrite["source"]), rewrite["destination"]["service"]) for rewrite in rewrites]
