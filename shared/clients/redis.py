"""Upstash Redis over its REST interface: one POST per command, through the session that the function already has."""

import asyncio
import hashlib
import json
from collections.abc import Callable, Sequence
from typing import TypeGuard

import aiohttp
import msgspec

from shared.clients.redis_failure import RedisUnavailable
from shared.core.log import log_event

__all__ = ["Redis", "RedisUnavailable", "Rider", "Script"]

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


class Rider(msgspec.Struct, frozen=True):
    """A second script that goes along with another one's call, and costs no call of its own.

    take: is given its answer; miss: is called where there is none, and it may have run all the same. Neither may raise
    """

    script: Script
    keys: tuple[str, ...]
    arguments: tuple[str | int, ...]
    take: Callable[[object], None]
    miss: Callable[[], None] = lambda: None


class Redis:
    """One Redis database; the session belongs to the caller, who closes it."""

    def __init__(self, session: aiohttp.ClientSession, *, url: str, token: str, deadline_s: float = DEADLINE_S) -> None:
        self._session = session
        self._url = url
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        self._deadline_s = deadline_s
        # The riders' scripts that Redis has been seen to know: nobody waits for a second call on a rider's account.
        self._known_riders: set[str] = set()

    async def command(self, *words: str | int) -> object:
        """Run one command and return its result as JSON has it: text, whole numbers, lists, None.

        raises  RedisUnavailable within the deadline; the command may have run all the same, once or twice
        """
        try:
            async with asyncio.timeout(self._deadline_s):
                return _result(await self._post(words))
        except TimeoutError as error:
            raise RedisUnavailable(f"no answer within {self._deadline_s} s") from error

    async def run_script(
        self, script: Script, *, keys: Sequence[str], arguments: Sequence[str | int], rider: Rider | None = None
    ) -> object:
        """Run a script by its hash, or by its text where Redis has not seen it yet; one deadline for both.

        rider: runs after it, in the same call; whatever becomes of it, the script's own answer is returned
        raises  RedisUnavailable within the deadline; the script may have run all the same, once or twice
        """
        operands = (len(keys), *keys, *arguments)
        try:
            async with asyncio.timeout(self._deadline_s):
                answer = await self._post_with(rider, ("EVALSHA", script.sha1, *operands))
                if _is_script_missing(answer):
                    answer = await self._post(("EVAL", script.text, *operands))
                return _result(answer)
        except TimeoutError as error:
            raise RedisUnavailable(f"no answer within {self._deadline_s} s") from error

    async def _post_with(self, rider: Rider | None, words: Sequence[str | int]) -> dict[str, object]:
        if rider is None:
            return await self._post(words)
        sha1, operands = rider.script.sha1, (len(rider.keys), *rider.keys, *rider.arguments)
        named = ("EVALSHA", sha1) if sha1 in self._known_riders else ("EVAL", rider.script.text)
        is_taken = False
        try:
            answers = await self._post_body([_texts(words), _texts((*named, *operands))], "/pipeline")
            match answers:
                case [{} as answer, {} as ridden] if _is_answer(answer) and _is_answer(ridden):
                    is_taken = self._hand_over(rider, ridden)
                    return answer
                case _:
                    raise RedisUnavailable("a pipeline of two did not answer with two results")
        finally:
            if not is_taken:
                rider.miss()

    def _hand_over(self, rider: Rider, answer: dict[str, object]) -> bool:
        """Give a rider its answer; tell whether there is one."""
        if "error" not in answer:
            self._known_riders.add(rider.script.sha1)
            rider.take(answer["result"])
            return True
        self._known_riders.discard(rider.script.sha1)
        if not _is_script_missing(answer):
            log_event("redis_rider_failed", level="warning", reason=str(answer["error"])[:ERROR_TEXT_LENGTH])
        return False

    async def _post(self, words: Sequence[str | int]) -> dict[str, object]:
        answer = await self._post_body(_texts(words), "")
        if not _is_answer(answer):
            raise RedisUnavailable("an answer with neither result nor error")
        return answer

    async def _post_body(self, content: Sequence[object], path: str) -> object:
        body = json.dumps(content)
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return await self._post_once(body, path)
            except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError) as error:
                if attempt == ATTEMPTS:
                    raise RedisUnavailable(f"not reachable: {type(error).__name__}") from error
            except aiohttp.ClientError as error:
                raise RedisUnavailable(f"not reachable: {type(error).__name__}") from error
        raise AssertionError("the last attempt returns or raises")

    async def _post_once(self, body: str, path: str) -> object:
        url = f"{self._url.rstrip('/')}{path}" if path else self._url
        async with self._session.post(url, data=body, headers=self._headers, allow_redirects=False) as response:
            payload = await response.read()
            try:
                answer = json.loads(payload)
            except ValueError as error:
                raise RedisUnavailable(f"status {response.status} without JSON") from error
            if response.status != 200 and not any("error" in one for one in _answers_in(answer)):
                raise RedisUnavailable(f"status {response.status}")
            if path and isinstance(answer, dict):
                raise RedisUnavailable(str(answer.get("error"))[:ERROR_TEXT_LENGTH])
            return answer


def _texts(words: Sequence[str | int]) -> list[str]:
    return [str(word) for word in words]


def _answers_in(answer: object) -> list[dict[str, object]]:
    return [one for one in (answer if isinstance(answer, list) else [answer]) if isinstance(one, dict)]


def _is_answer(answer: object) -> TypeGuard[dict[str, object]]:
    return isinstance(answer, dict) and ("result" in answer or "error" in answer)


def _is_script_missing(answer: dict[str, object]) -> bool:
    # Upstash says so with status 400, the local emulator with 500 and a sentence in front; the word is the same.
    return "NOSCRIPT" in str(answer.get("error", ""))


def _result(answer: dict[str, object]) -> object:
    if "error" in answer:
        raise RedisUnavailable(str(answer["error"])[:ERROR_TEXT_LENGTH])
    return answer["result"]
