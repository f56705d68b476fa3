"""Clients: each asks, leaves when it was told to leave, and comes again as its kind does."""

import asyncio
import json
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

import aiohttp

from tests.chaos.asked import Asked, Ending, Life, Try
from tests.harness.tenants import TestModel

PATH = "/v1/chat/completions"
TRY_WITHIN_S = 60.0
MOST_TRIES = 12
LONGEST_PAUSE_S = 2.0

NextLife = Callable[[], Awaitable[Life]]


@dataclass(frozen=True, slots=True)
class Manners:
    """How a kind of client asks: the headers of its so-manieth retry, and after what it comes again."""

    headers: Callable[[int], Mapping[str, str]]
    comes_again: Callable[[Try], bool]


def with_key(key: str) -> Manners:
    """Return the manners of a client that names its request and wants the answer whatever happens."""
    return Manners(headers=lambda _: {"Idempotency-Key": key}, comes_again=lambda each: each.is_worth_another)


def like_an_sdk() -> Manners:
    """Return the manners of the official SDKs: they count their retries, and make none once headers have come."""
    return Manners(
        headers=lambda retry: {"x-stainless-retry-count": str(retry)},
        comes_again=lambda each: each.is_worth_another and (each.status is None or each.ending is Ending.REFUSED),
    )


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of the gateway; script is what the provider is to do with it."""

    asked: Asked
    model: TestModel
    script: Mapping[str, object]
    fields: Mapping[str, object]

    def body(self) -> dict[str, object]:
        """Return the request's body, the same for every try."""
        return {
            "model": self.model.id,
            "messages": [{"role": "user", "content": self.asked.prompt}],
            "stream": self.asked.is_stream,
            "simulate": {**self.script, "key": self.asked.key},
            **self.fields,
        }


async def try_once(
    session: aiohttp.ClientSession,
    question: Question,
    life: Life,
    *,
    leave_after_s: float | None = None,
    headers: Mapping[str, str] | None = None,
) -> Try:
    """Ask once and write down what came; a client that is to leave hangs up wherever it then is."""
    each = Try(life)
    question.asked.tries.append(each)
    try:
        async with asyncio.timeout(leave_after_s or TRY_WITHIN_S):
            await _ask(session, question, each, headers or {})
    except TimeoutError:
        _note_end(each, Ending.LOST if leave_after_s is None else Ending.LEFT)
    except (aiohttp.ClientError, ConnectionError):
        _note_end(each, Ending.BROKEN)
    each.ended_at = time.time()
    return each


async def insist(
    session: aiohttp.ClientSession,
    question: Question,
    next_life: NextLife,
    *,
    chance: random.Random,
    manners: Manners,
    leave_first_after_s: float | None = None,
) -> None:
    """Ask until the answer is there or no further try can help."""
    for retry in range(MOST_TRIES):
        leave_after_s = leave_first_after_s if retry == 0 else None
        life = await next_life()
        each = await try_once(session, question, life, leave_after_s=leave_after_s, headers=manners.headers(retry))
        if not manners.comes_again(each):
            return
        await asyncio.sleep(min(LONGEST_PAUSE_S, chance.uniform(0.1, 0.3) * 2**retry))


def _note_end(each: Try, ending: Ending) -> None:
    # Who has all of the answer may lose the connection as he likes.
    each.ending = each.ending if each.ending is Ending.COMPLETE else ending


async def _ask(session: aiohttp.ClientSession, question: Question, each: Try, headers: Mapping[str, str]) -> None:
    tenant = question.asked.tenant
    async with session.post(
        each.life.url + PATH, json=question.body(), headers={**tenant.headers, **headers}
    ) as response:
        each.status = response.status
        each.generation_id = response.headers.get("X-Generation-Id")
        each.is_replay = response.headers.get("Idempotent-Replayed") == "true"
        if response.content_type == "text/event-stream":
            await _read_stream(response, each)
        else:
            _read_whole(await response.read(), each)


async def _read_stream(response: aiohttp.ClientResponse, each: Try) -> None:
    each.ending = Ending.CUT_SHORT
    async for line in response.content:
        if not line.startswith(b"data: "):
            continue
        event = line.removeprefix(b"data: ").strip()
        if event == b"[DONE]":
            each.ending = Ending.COMPLETE
            continue
        chunk = json.loads(event)
        if "error" in chunk:
            each.code = str(chunk["error"].get("code"))
            continue
        for choice in chunk["choices"]:
            each.text_bytes += len((choice["delta"].get("content") or "").encode())


def _read_whole(text: bytes, each: Try) -> None:
    body = json.loads(text)
    if each.status == 200:
        each.ending = Ending.COMPLETE
        each.text_bytes = sum(len((choice["message"]["content"] or "").encode()) for choice in body["choices"])
        return
    each.ending = Ending.REFUSED
    each.code = str(body["error"]["code"])
