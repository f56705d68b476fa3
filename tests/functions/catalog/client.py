"""A client of the catalog function."""

from collections.abc import Mapping
from typing import Any

import aiohttp

from tests.functions.chat.client import TIMEOUT, Answer
from tests.harness.gateways import RunningGateway


async def get(
    gateway: RunningGateway,
    path: str,
    query: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Answer:
    """Ask without a key: the catalog is public; headers: of whoever asks for what is his."""
    async with (
        aiohttp.ClientSession(timeout=TIMEOUT, headers=headers) as session,
        session.get(gateway.url + path, params=query or {}) as response,
    ):
        return Answer(response.status, response.headers.copy(), await response.read())
