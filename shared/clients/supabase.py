"""Supabase through its own package, for the functions that are not metered."""

import asyncio
import logging
from collections.abc import Mapping

import httpx
from postgrest.exceptions import APIError
from supabase import AsyncClient, AsyncClientOptions, acreate_client

from shared.core.errors import StoreUnavailable
from shared.core.log import log_event

DEADLINE_S = 5.0


class Supabase:
    """One Supabase project; whoever opens it closes it."""

    def __init__(self, client: AsyncClient, pool: httpx.AsyncClient, *, deadline_s: float = DEADLINE_S) -> None:
        self._client = client
        self._pool = pool
        self._deadline_s = deadline_s

    @classmethod
    async def open(cls, *, url: str, key: str) -> "Supabase":
        """Make the client; nothing is sent yet."""
        # A platform that shows what is logged at INFO would get a line of httpx's own per call, which is not JSON.
        logging.getLogger("httpx").setLevel(logging.WARNING)
        pool = httpx.AsyncClient(timeout=DEADLINE_S, trust_env=False)
        options = AsyncClientOptions(schema="api", auto_refresh_token=False, httpx_client=pool)
        return cls(await acreate_client(url, key, options=options), pool)

    async def call(self, function: str, arguments: Mapping[str, object] | None = None) -> object:
        """Call a function of the schema `api` and return its answer as JSON has it.

        raises  StoreUnavailable for anything but a 200 within the deadline
        policy  closed
        """
        try:
            async with asyncio.timeout(self._deadline_s):
                answer = await self._client.rpc(function, dict(arguments or {})).execute()
        except (TimeoutError, httpx.HTTPError, APIError) as error:
            log_event("database_call_failed", level="error", function=function, reason=type(error).__name__)
            raise StoreUnavailable("database") from error
        return answer.data

    async def close(self) -> None:
        """Close the connection pool."""
        await self._pool.aclose()
