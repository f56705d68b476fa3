"""Upstash Redis over its REST interface: one POST per command, through the session that the function already has."""

import asyncio
import hashlib
import json
from collections.abc import Sequence

import aiohttp
import msgspec

from shared.clients.redis_failure import RedisUnavailable

__all__ = ["Redis", "RedisUnavailable", "Script"]

DEADLINE_S = 0.25
# Enough of a foreign error text to find its cause, too little to flood a log line.
ERROR_TEXT_LENGTH = 200
# A pooled connection that the server has closed meanwhile fails at once; a second attempt opens a new one.
ATTEMPTS = 2


class Script(msgspec.Struct, frozen=True):
    """A Lua script and the hash by which Redis remembers it."""

    text: str
    sha1: str

    @classmethod
    def from_text(cls, text: str) -> "Script":
        """Name the script as Redis does, by the SHA-1 of its text."""
        return cls(text=text, sha1=hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())


class Redis:
    """One Redis database; the session belongs to the caller, who closes it."""

    def __init__(self, session: aiohttp.ClientSession, *, url: str, token: str, deadline_s: float = DEADLINE_S) -> None:
        self._session = session
        self._url = url
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        self._deadline_s = deadline_s

    async def command(self, *words: str | int) -> object:
        """Run one command and return its result as JSON has it: text, whole numbers, lists, None.

        raises  RedisUnavailable within the deadline; the command may have run all the same, once or twice
        """
        try:
            async with asyncio.timeout(self._deadline_s):
                return _result(await self._post(words))
        except TimeoutError as error:
            raise RedisUnavailable(f"no answer within {self._deadline_s} s") from error

    async def run_script(self, script: Script, *, keys: Sequence[str], arguments: Sequence[str | int]) -> object:
        """Run a script by its hash, or by its text where Redis has not seen it yet; one deadline for both.

        raises  RedisUnavailable within the deadline; the script may have run all the same, once or twice
        """
        operands = (len(keys), *keys, *arguments)
        try:
            async with asyncio.timeout(self._deadline_s):
                answer = await self._post(("EVALSHA", script.sha1, *operands))
                if _is_script_missing(answer):
                    answer = await self._post(("EVAL", script.text, *operands))
                return _result(answer)
        except TimeoutError as error:
            raise RedisUnavailable(f"no answer within {self._deadline_s} s") from error

    async def _post(self, words: Sequence[str | int]) -> dict[str, object]:
        body = json.dumps([str(word) for word in words])
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return await self._post_once(body)
            except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError) as error:
                if attempt == ATTEMPTS:
                    raise RedisUnavailable(f"not reachable: {type(error).__name__}") from error
            except aiohttp.ClientError as error:
                raise RedisUnavailable(f"not reachable: {type(error).__name__}") from error
        raise AssertionError("the last attempt returns or raises")

    async def _post_once(self, body: str) -> dict[str, object]:
        async with self._session.post(self._url, data=body, headers=self._headers, allow_redirects=False) as response:
            payload = await response.read()
            try:
                answer = json.loads(payload)
            except ValueError as error:
                raise RedisUnavailable(f"status {response.status} without JSON") from error
            if not isinstance(answer, dict) or not ("result" in answer or "error" in answer):
                raise RedisUnavailable(f"status {response.status} with neither result nor error")
            if response.status != 200 and "error" not in answer:
                raise RedisUnavailable(f"status {response.status}")
            return answer


def _is_script_missing(answer: dict[str, object]) -> bool:
    # Upstash says so with status 400, the local emulator with 500 and a sentence in front; the word is the same.
    return "NOSCRIPT" in str(answer.get("error", ""))


def _result(answer: dict[str, object]) -> object:
    if "error" in answer:
        raise RedisUnavailable(str(answer["error"])[:ERROR_TEXT_LENGTH])
    return answer["result"]
