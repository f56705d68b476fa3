from typing import Any

import pytest

from infra.server.gateway import Application, Gateway, Message, Receive, Route, Send, read_routes
from infra.server.route_patterns import compile_route


class Function:
    """A function's application that notes its lifespan and answers with its name and state."""

    def __init__(self, name: str, events: list[str], *, starts: bool = True) -> None:
        self.name = name
        self.events = events
        self.starts = starts

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(scope, receive, send)
            return
        body = f"{self.name} {scope['state'].get('resource')}".encode()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": body})

    async def _live(self, scope: Message, receive: Receive, send: Send) -> None:
        assert (await receive())["type"] == "lifespan.startup"
        if not self.starts:
            await send({"type": "lifespan.startup.failed", "message": "no database"})
            return
        scope["state"]["resource"] = f"of {self.name}"
        self.events.append(f"{self.name} started")
        await send({"type": "lifespan.startup.complete"})
        assert (await receive())["type"] == "lifespan.shutdown"
        self.events.append(f"{self.name} stopped")
        await send({"type": "lifespan.shutdown.complete"})


async def _crashing_function(_scope: Message, _receive: Receive, _send: Send) -> None:
    return


def _gateway(applications: dict[str, Application]) -> Gateway:
    return Gateway(applications, [Route(compile_route(f"/{name}(.*)"), name) for name in applications])


async def _lifespan(gateway: Gateway) -> list[Message]:
    received = iter([{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}])
    sent: list[Message] = []

    async def receive() -> Message:
        return next(received)

    async def send(message: Message) -> None:
        sent.append(message)

    await gateway({"type": "lifespan"}, receive, send)
    return sent


async def _get(gateway: Gateway, path: str) -> tuple[int, bytes]:
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request"}

    async def send(message: Message) -> None:
        sent.append(message)

    await gateway({"type": "http", "method": "GET", "path": path}, receive, send)
    return sent[0]["status"], sent[1]["body"]


async def test_every_function_is_started_and_stopped_in_the_other_order() -> None:
    events: list[str] = []
    sent = await _lifespan(_gateway({"chat": Function("chat", events), "catalog": Function("catalog", events)}))
    assert [message["type"] for message in sent] == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    assert events == ["chat started", "catalog started", "catalog stopped", "chat stopped"]


async def test_a_function_that_refuses_to_start_fails_the_whole_and_stops_the_others() -> None:
    events: list[str] = []
    functions = {"chat": Function("chat", events), "catalog": Function("catalog", events, starts=False)}
    (message,) = await _lifespan(_gateway(dict(functions)))
    assert message == {"type": "lifespan.startup.failed", "message": "catalog: no database"}
    assert events == ["chat started", "chat stopped"]


async def test_a_function_that_ends_without_an_answer_does_not_hang_the_start() -> None:
    (message,) = await _lifespan(_gateway({"chat": _crashing_function}))
    assert message["type"] == "lifespan.startup.failed"


async def test_a_request_reaches_the_first_match_with_the_state_of_its_own_function() -> None:
    events: list[str] = []
    gateway = _gateway({"chat": Function("chat", events), "ch": Function("ch", events)})
    await _lifespan(gateway)
    assert await _get(gateway, "/chat/completions") == (200, b"chat of chat")
    assert await _get(gateway, "/chicken") == (200, b"ch of ch")


@pytest.mark.parametrize("sources", [[], ["/a"], ["/(.*)", "/a"]])
def test_a_table_that_leaves_a_path_without_an_answer_is_refused(sources: list[str]) -> None:
    with pytest.raises(ValueError, match="the last rewrite must be"):
        read_routes([{"source": source, "destination": {"service": "a"}} for source in sources])


def test_the_last_rewrite_takes_whatever_path_there_is() -> None:
    (route,) = read_routes([{"source": "/(.*)", "destination": {"service": "a"}}])
    for path in ("/", "/nowhere", "/a/b%2F", "/two\nlines", "//"):
        assert route.pattern.fullmatch(path)


@pytest.mark.parametrize(
    "rewrite",
    [
        {"source": "/a", "destination": {"service": "a"}, "has": []},
        {"source": "/a", "destination": "/b"},
        {"source": "/a", "destination": {"service": "a", "path": "/b"}},
    ],
)
def test_a_rewrite_that_only_the_platform_can_follow_is_refused(rewrite: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="more than source and service"):
        read_routes([rewrite])
