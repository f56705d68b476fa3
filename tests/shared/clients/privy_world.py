"""A key set of Privy's served over HTTP, the client that reads it, and who signs."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from aiohttp import web

from infra.local.privy_tokens import SigningKey
from shared.clients.privy import Privy
from tests.harness.privy import PrivyTokens

PERSON = "did:privy:cm0person"
Answer = Callable[[], web.StreamResponse]


class PrivyServer:
    """Serves a key set as the test says, and counts who asks."""

    def __init__(self, *keys: SigningKey) -> None:
        self.keys = list(keys)
        self.reads = 0
        self.delay_s = 0.0
        self.answer: Answer = lambda: web.json_response({"keys": [key.jwk for key in self.keys]})

    async def serve(self, request: web.Request) -> web.StreamResponse:
        self.reads += 1
        await asyncio.sleep(self.delay_s)
        return self.answer()

    def is_down(self) -> None:
        self.answer = lambda: web.Response(status=503)


class Clock:
    """Monotonic seconds that a test moves."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


@dataclass(frozen=True, slots=True)
class World:
    """A key set over HTTP, the client that reads it, and who signs."""

    server: PrivyServer
    privy: Privy
    tokens: PrivyTokens
    clock: Clock
