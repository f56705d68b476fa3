"""A client of the function of sign-ins."""

from collections.abc import Mapping
from typing import Any

import aiohttp

from tests.functions.chat.client import TIMEOUT, Answer
from tests.harness.gateways import RunningGateway

PATH = "/auth/privy"
# Of nobody: who may ask is told that it is not there, who may not is told something else.
NO_GENERATION = "/v1/generations/gen_" + "0" * 32


async def sign_in(
    gateway: RunningGateway, /, *, path: str = PATH, headers: Mapping[str, str] | None = None, **body: Any
) -> Answer:
    """Send a body to sign in."""
    async with (
        aiohttp.ClientSession(timeout=TIMEOUT) as session,
        session.post(gateway.url + path, json=body, headers=headers or {}) as response,
    ):
        return Answer(response.status, response.headers.copy(), await response.read())


async def call_with(gateway: RunningGateway, secret: str) -> Answer:
    """Ask for something that is not there, as whoever has this key or token."""
    headers = {"Authorization": f"Bearer {secret}"}
    async with (
        aiohttp.ClientSession(timeout=TIMEOUT) as session,
        session.get(gateway.url + NO_GENERATION, headers=headers) as response,
    ):
        return Answer(response.status, response.headers.copy(), await response.read())


async def is_let_in(gateway: RunningGateway, secret: str) -> bool:
    """Tell whether the gateway knows this key or token."""
    answer = await call_with(gateway, secret)
    assert answer.status in {401, 404}, answer.raw
    return answer.status == 404
