"""A provider that takes some requests and refuses others, as OpenRouter does for a model."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from infra.local.ports import LOOPBACK

# OpenRouter's own words; see tests/shared/providers/test_blame.py for where they are from.
NO_TOOLS = "No endpoints found that support tool use. To learn more about provider routing, visit: https://x.example"
TOO_DEAR = (
    "This request requires more credits, or fewer max_tokens. You requested up to 16000 tokens, but can only afford 9"
)
EMPTY = "Insufficient credits. This account never purchased credits."
MOST_TOKENS = 1_000


@dataclass(slots=True)
class ChoosyProvider:
    """Refuses tools, answers that are too long, and everything while its account is empty.

    It repeats what it does not understand, as vLLM does, and its firewall takes SQL for an attack.
    """

    url: str = ""
    is_empty: bool = False
    asked: list[dict[str, Any]] = field(default_factory=list)

    async def answer(self, request: web.Request) -> web.Response:
        """Answer one completion."""
        body = await request.json()
        self.asked.append(body)
        if self.is_empty:
            return refuse(402, EMPTY)
        if isinstance(body.get("temperature"), str):
            return refuse(400, f"Input should be a valid number, input: {body['temperature']}")
        if "drop table" in json.dumps(body["messages"]):
            return web.Response(status=403, text="<h1>Sorry, you have been blocked</h1>", content_type="text/html")
        if body.get("tools"):
            return refuse(404, NO_TOOLS)
        if body.get("max_tokens", 0) > MOST_TOKENS:
            return refuse(402, TOO_DEAR)
        return web.json_response(completion(body["model"]))


def refuse(status: int, message: str) -> web.Response:
    return web.json_response({"error": {"message": message, "code": status}}, status=status)


def completion(model: str) -> dict[str, Any]:
    """Return an answer of one word."""
    return {
        "id": "gen-1",
        "object": "chat.completion",
        "created": 1,
        "model": model,
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4, "cost": 0.000001},
    }


@asynccontextmanager
async def serve(provider: ChoosyProvider) -> AsyncIterator[ChoosyProvider]:
    """Serve it on loopback."""
    async with serve_by(provider.answer) as provider.url:
        yield provider


@asynccontextmanager
async def serve_by(answer: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> AsyncIterator[str]:
    """Serve completions by a function, and return where."""
    app = web.Application()
    app.router.add_post("/v1/chat/completions", answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, LOOPBACK, 0).start()
        yield f"http://{LOOPBACK}:{runner.addresses[0][1]}/v1"
    finally:
        await runner.cleanup()


async def begin_stream(request: web.Request) -> web.StreamResponse:
    """Begin to answer with events."""
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)
    return response
