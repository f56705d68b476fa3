"""Delivers events to endpoints: at once, again after a failure, held back, shuffled, as often as asked."""

import asyncio
import json
import random
import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

import aiohttp
import msgspec

from infra.local.stripe_double.refusals import Json
from infra.local.stripe_double.signatures import Signature, signature_header
from infra.local.stripe_double.world import World

MAX_CONCURRENT = 64
MAX_TIMES = 1_000
MAX_ENDPOINTS = 20
MAX_STARTED = 100_000
MAX_KEPT = 20_000
ANSWER_WITHIN_S = 30.0
# Stripe goes on for three days; a test does not wait so long.
RETRY_AFTER_S = (0.5, 1.0, 2.0, 4.0, 8.0)


class Endpoint(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Where events go; enabled_events: `*` for all."""

    url: str
    secret: str
    enabled_events: tuple[str, ...] = ("*",)

    def takes(self, event: Json) -> bool:
        """Tell whether the endpoint wants the event."""
        return "*" in self.enabled_events or event["type"] in self.enabled_events


class DeliveryOrder(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """How a test wants events delivered; times: of each; all of them at once, in the order that the seed shuffles."""

    times: int = 1
    shuffle: bool = False
    seed: int = 0
    delay_s: float = 0.0
    signature: Signature = Signature.GOOD
    is_retried: bool = False


@dataclass(slots=True)
class Deliveries:
    """All deliveries of one account. log: what was sent and answered; held: events that wait to be released."""

    world: World
    session: aiohttp.ClientSession
    endpoints: list[Endpoint] = field(default_factory=list)
    is_holding: bool = False
    retry_after_s: tuple[float, ...] = RETRY_AFTER_S
    log: deque[Json] = field(default_factory=lambda: deque(maxlen=MAX_KEPT))
    held: list[Json] = field(default_factory=list)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(MAX_CONCURRENT))

    def pump(self) -> None:
        """Send the events that were made since the last look, or hold them back."""
        events, self.world.outbox = self.world.outbox, []
        if self.is_holding:
            self.held.extend(events)
        else:
            self.send(events, DeliveryOrder(is_retried=True))

    def send(self, events: Iterable[Json], order: DeliveryOrder) -> int:
        """Start the deliveries and return how many; their events know how many endpoints still wait.

        raises  ValueError for more times than the bound
        """
        if not 0 < order.times <= MAX_TIMES:
            raise ValueError(f"times must be 1 to {MAX_TIMES}")
        jobs = [(event, endpoint) for event in events for endpoint in self.endpoints if endpoint.takes(event)]
        if len(jobs) * order.times > MAX_STARTED:
            raise ValueError(f"no more than {MAX_STARTED} deliveries at once")
        for event, _ in jobs:
            event["pending_webhooks"] += 1
        jobs *= order.times
        if order.shuffle:
            random.Random(order.seed).shuffle(jobs)
        for event, endpoint in jobs:
            self._start(event, endpoint, order)
        return len(jobs)

    def release(self, order: DeliveryOrder) -> int:
        """Hold nothing back any more and send what was."""
        events, self.held, self.is_holding = self.held, [], False
        return self.send(events, order)

    async def wait_idle(self, within_s: float) -> bool:
        """Wait until nothing is under way; return whether that came in time."""
        deadline_s = time.monotonic() + within_s
        while self._tasks and time.monotonic() < deadline_s:
            await asyncio.wait(self._tasks, timeout=deadline_s - time.monotonic())
        return not self._tasks

    async def stop(self) -> None:
        """Give up what is under way."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _start(self, event: Json, endpoint: Endpoint, order: DeliveryOrder) -> None:
        task = asyncio.create_task(self._deliver(event, endpoint, order))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _deliver(self, event: Json, endpoint: Endpoint, order: DeliveryOrder) -> None:
        """Send one event until the endpoint takes it or there is no attempt left."""
        waits_s = (order.delay_s, *(self.retry_after_s if order.is_retried else ()))
        for attempt, wait_s in enumerate(waits_s, start=1):
            await asyncio.sleep(wait_s)
            async with self._slots:
                status = await self._send_once(event, endpoint, order.signature)
            self.log.append({"event": event["id"], "type": event["type"], "url": endpoint.url, "attempt": attempt,
                             "status": status, "signature": order.signature})  # fmt: skip
            if status is not None and 200 <= status < 300:
                event["pending_webhooks"] = max(0, event["pending_webhooks"] - 1)
                return

    async def _send_once(self, event: Json, endpoint: Endpoint, signature: Signature) -> int | None:
        """Post the event.

        policy  an endpoint that does not answer is none, and tried again
        """
        payload = json.dumps(event, indent=2).encode()
        # The receiver compares with its own clock, not with the double's.
        header = signature_header(signature, payload, endpoint.secret, int(time.time()))
        headers = {"Content-Type": "application/json; charset=utf-8", "User-Agent": "Stripe/1.0", **header}
        try:
            async with self.session.post(endpoint.url, data=payload, headers=headers) as response:
                await response.read()
                return response.status
        except (aiohttp.ClientError, TimeoutError):
            return None
