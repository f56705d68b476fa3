"""What every client asks, and the one shape of what each tells; javascript/prompts.mjs says the same."""

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable
from typing import Any

from pydantic import BaseModel

HELLO = "Say something."
WEATHER = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
SUNNY = "sunny"
# One red pixel.
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4z8AAAAMBAQDJ/pLvAAAAAElFTkSuQmCC"


class City(BaseModel):
    """What a model is asked to fill in."""

    name: str
    people: int


def said(
    text: str | None, *, calls: list[dict[str, Any]] | None = None, stop: str | None = None, usage: Any = None
) -> dict[str, Any]:
    """Tell an answer; usage is {input, cached, output, reasoning, cost}, None where the client keeps none."""
    return {"text": text, "calls": calls or [], "stop": stop, "usage": usage}


def call(name: str, arguments: str | dict[str, Any]) -> dict[str, Any]:
    """Tell one call of a tool."""
    return {"name": name, "arguments": json.loads(arguments) if isinstance(arguments, str) else arguments}


def cancel_when_heard(reading: Callable[[asyncio.Event], Awaitable[None]]) -> None:
    """Read within a task, as a server does for its own caller, and cancel the task once it says that it has heard."""

    async def read_and_cancel() -> None:
        has_heard = asyncio.Event()
        task, hearing = asyncio.ensure_future(reading(has_heard)), asyncio.ensure_future(has_heard.wait())
        await asyncio.wait((task, hearing), return_when=asyncio.FIRST_COMPLETED)
        hearing.cancel()
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    asyncio.run(read_and_cancel())
