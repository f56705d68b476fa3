"""Upstash Redis through its own package, for the functions that are not metered."""

import asyncio
from collections.abc import Sequence

import httpx
from upstash_redis.asyncio import Redis
from upstash_redis.errors import UpstashError

from shared.clients.redis_failure import RedisUnavailable

DEADLINE_S = 0.25


class UpstashRedis:
    """One Redis database and the connection pool to it; whoever makes it closes it."""

    def __init__(self, *, url: str, token: str, deadline_s: float = DEADLINE_S) -> None:
        self._redis = Redis(
            url,
            token,
            rest_encoding=None,  # the local emulator answers plain JSON whatever encoding is asked for
            rest_retries=0,  # the package waits 3 s before a retry, longer than anyone waits for us
            allow_telemetry=False,
        )
        self._deadline_s = deadline_s

    async def ping(self) -> None:
        """Ask whether Redis is there.

        raises  RedisUnavailable within the deadline; a retry is safe
        """
        try:
            async with asyncio.timeout(self._deadline_s):
                await self._redis.ping()
        except (TimeoutError, httpx.HTTPError, UpstashError, ValueError) as error:
            raise RedisUnavailable(f"no answer to a ping: {type(error).__name__}") from error

    async def run_script(self, text: str, arguments: Sequence[str | int]) -> object:
        """Run a script that names its keys by itself, and return its result as JSON has it.

        raises  RedisUnavailable within the deadline; the script may have run all the same
        """
        try:
            async with asyncio.timeout(self._deadline_s):
                return await self._redis.eval(text, args=[str(argument) for argument in arguments])
        except (TimeoutError, httpx.HTTPError, UpstashError, ValueError) as error:
            raise RedisUnavailable(f"no answer to a script: {type(error).__name__}") from error

    async def close(self) -> None:
        """Close the connection pool."""
        await self._redis.close()
