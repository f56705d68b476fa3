"""Where a gateway may die on a request's path, and the place where it does."""

import asyncio
import json
import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import aiohttp
import psycopg
import pytest
from psycopg.rows import dict_row

from infra.local.environment import gateway_environment
from infra.local.gateway_service import gateway_service
from infra.local.ports import choose_free_ports
from infra.local.stack import LocalStack
from shared.ledger.late import LIST_NAMES
from tests.flows.calls import GREETING, Answer, chat, wait_until
from tests.functions.chat.sessions import Session, begin_session
from tests.harness.books import HoldRow
from tests.harness.gateways import RunningGateway
from tests.harness.recorded_streams import with_recorder
from tests.harness.tenants import Tenant, TestModel
from tests.harness.wire import Exchange, Fault, Wire

# A request may take 4 s and its hold lives for 5.
SHORT_HOLDS = {"FUNCTION_TIME_LIMIT_S": "24", "HOLD_GRACE_S": "1"}
# From a gateway to the wire.
ON_ITS_WAY_S = 0.05
CRON_SECRET = "crash-cron-secret-0123456789"
SWEEP = "/internal/jobs/settlement_sweep"
READ_LINES = """
    select generation_id::text, charged_nanos, cost_nanos, provider_cost_nanos, waived_reason, upstream_id
      from gateway.usage_lines where account_id = %s order by created_at
"""

Place = Literal["supabase", "redis", "provider", "client"]
# What is asked for: also a chat in a session, one whose session is gone since it was answered, and a stored response.
Kind = Literal["chat", "session", "gone session", "response"]
SHORT = "tokens=12,prompt_tokens=10,pace_ms=10"
# Its note is written after a second.
LONG = "tokens=100,prompt_tokens=10,pace_ms=25"
# More than its first hold pays for.
GROWING = "tokens=6000,prompt_tokens=10"


def _words(exchange: Exchange) -> list[str]:
    return exchange.redis_words


def _is_reserve(exchange: Exchange) -> bool:
    return _words(exchange)[2:3] == ["4"]


def _is_release(exchange: Exchange) -> bool:
    words = _words(exchange)
    return words[3].startswith("gw:policy:") and len(words) == 10


def _is_note(exchange: Exchange) -> bool:
    return not set(LIST_NAMES).isdisjoint(_words(exchange))


def _calls(function: str) -> Callable[[Exchange], bool]:
    return lambda exchange: exchange.path.endswith(f"/{function}")


def _any(_: Exchange) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Boundary:
    """Where a gateway dies, and how the request's hold then ends: states, or none where none was placed."""

    name: str
    place: Place
    fault: Fault
    ends_as: frozenset[str]
    script: str = SHORT
    is_stream: bool = True
    kind: Kind = "chat"


def _both(
    name: str, place: Place, is_there: Callable[[Exchange], bool], before: str, after: str, **more: Any
) -> list[Boundary]:
    """Return the two moments of one call: asked and not heard, heard and not told."""
    return [
        Boundary(f"{name}-asked", place, Fault(refuses=True, matches=is_there), frozenset(before.split()), **more),
        Boundary(f"{name}-done", place, Fault(drops_answer=True, matches=is_there), frozenset(after.split()), **more),
    ]


BOUNDARIES = [
    *_both("reserve", "redis", _is_reserve, "", ""),
    *_both("admit", "supabase", _calls("admit"), "", "expired"),
    Boundary("provider-asked", "provider", Fault(refuses=True), frozenset({"expired"})),
    Boundary("provider-headers", "provider", Fault(drops_at=b""), frozenset({"expired"})),
    Boundary("provider-mid-stream", "provider", Fault(drops_at=b"tok5"), frozenset({"expired"})),
    Boundary("provider-end", "provider", Fault(drops_at=b"[DONE]"), frozenset({"expired"})),
    Boundary("provider-whole", "provider", Fault(drops_answer=True), frozenset({"expired"}), is_stream=False),
    *_both("note", "redis", _is_note, "expired", "settled_late", script=LONG),
    Boundary("noted-mid-stream", "provider", Fault(drops_at=b"tok80"), frozenset({"settled_late"}), script=LONG),
    *_both("extend", "supabase", _calls("extend_hold"), "expired", "expired", script=GROWING),
    *_both("settle", "supabase", _calls("settle"), "expired", "settled"),
    *_both("settle-whole", "supabase", _calls("settle"), "expired", "settled", is_stream=False),
    # It leaves together with the settlement.
    *_both("release", "redis", _is_release, "expired settled", "expired settled"),
    *_both("begin-turn", "supabase", _calls("begin_chat_turn"), "", "", kind="session"),
    # These leave together with the settlement.
    *_both("settle-turn", "supabase", _calls("settle"), "expired", "settled", kind="session"),
    *_both("append-turn", "supabase", _calls("append_chat_turn"), "expired settled", "expired settled", kind="session"),
    *_both(
        "store-response", "supabase", _calls("store_response"), "expired settled", "expired settled", kind="response"
    ),
    *_both("find-answer", "supabase", _calls("find_answer"), "settled", "settled", kind="gone session"),
    Boundary("last-byte", "client", Fault(drops_at=b"[DONE]"), frozenset({"settled"})),
    Boundary("last-byte-whole", "client", Fault(drops_answer=True), frozenset({"settled"}), is_stream=False),
]


@dataclass(slots=True)
class Crash:
    """One gateway's death and what came after it; first_lines are those of the request before."""

    boundary: Boundary
    customer: Tenant
    model: TestModel
    killed_at: float = 0.0
    holds_left: list[HoldRow] = field(default_factory=list)
    asked_at_once: Answer | None = None
    holds_then: list[HoldRow] = field(default_factory=list)
    asked_later: Answer | None = None
    first_lines: int = 0
    session: Session | None = None

    @property
    def headers(self) -> dict[str, str]:
        return {"Idempotency-Key": f"key-{self.customer.account_id}"}

    @property
    def path(self) -> str:
        return "/v1/responses" if self.boundary.kind == "response" else "/v1/chat/completions"

    def body(self) -> dict[str, object]:
        if self.boundary.kind == "response":
            return {"model": self.model.id, "input": GREETING, "stream": self.boundary.is_stream}
        if self.session is None:
            return chat(self.model, stream=self.boundary.is_stream)
        said = [{"role": "system", "content": "be kind"}, {"role": "user", "content": GREETING}]
        return chat(self.model, stream=self.boundary.is_stream, session_id=self.session.id, messages=said)

    def lines(self) -> list[dict[str, Any]]:
        """Return the usage lines of the request, all its tries together."""
        with psycopg.connect(self.customer.database_url, row_factory=dict_row) as session:
            return session.execute(READ_LINES.encode(), (self.customer.account_id,)).fetchall()[self.first_lines :]


@dataclass(slots=True)
class Scene:
    """Where the crashes happen: the healthy gateway beside, and the wires before everybody else."""

    stack: LocalStack
    session: aiohttp.ClientSession
    healthy: RunningGateway
    wires: dict[Place, Wire]
    begun: list[RunningGateway]

    async def ask(self, url: str, crash: Crash) -> Answer:
        body, headers = crash.body(), {**crash.customer.headers, **crash.headers}
        started_s = time.monotonic()
        async with self.session.post(url + crash.path, json=body, headers=headers) as response:
            text = await response.text()
        is_done = (
            "[DONE]" in text
            or "response.completed" in text
            or (response.status == 200 and not crash.boundary.is_stream)
        )
        is_event_stream = response.content_type == "text/event-stream"
        shown = None if is_event_stream else json.loads(text)
        return Answer(response.status, response.headers, shown, time.monotonic() - started_s, is_done)

    def begin(self) -> None:
        """Start a gateway that is to die, without waiting for it: its start takes longer than its end."""
        environment = {
            **gateway_environment(self.stack, {}),
            **SHORT_HOLDS,
            "SUPABASE_URL": self.wires["supabase"].url,
            "UPSTASH_REDIS_REST_URL": self.wires["redis"].url,
            "OPENROUTER_BASE_URL": f"{self.wires['provider'].url}/openrouter/v1",
        }
        (port,) = choose_free_ports(1)
        name = f"crashing-{len(self.begun)}"
        service = gateway_service(port, environment, name=name)
        self.stack.processes.start(with_recorder(service, self.stack.processes))
        self.begun.append(RunningGateway(name, port, self.stack))

    async def crash(self, crash: Crash, gateway: RunningGateway) -> None:
        """Have a gateway die at the boundary, and ask again at once."""
        self.stack.processes.wait_ready(gateway.name)
        pid, boundary = gateway.pid, crash.boundary
        await self._prepare(crash, gateway)
        front = Wire(gateway.url).open()
        wire = front if boundary.place == "client" else self.wires[boundary.place]

        def kill() -> None:
            os.kill(pid, signal.SIGKILL)
            crash.killed_at = time.time()

        with wire.broken(replace(boundary.fault, on_match=kill), times=1), pytest.raises(aiohttp.ClientError):
            await self.ask(front.url if wire is front else gateway.url, crash)
        front.close()
        gateway.stop()
        await self._wait_for_what_it_sent()
        crash.holds_left = crash.customer.books.holds()[crash.first_lines :]
        crash.asked_at_once = await self.ask(self.healthy.url, crash)

    async def _prepare(self, crash: Crash, gateway: RunningGateway) -> None:
        kind = crash.boundary.kind
        if kind in ("session", "gone session"):
            crash.session = await begin_session(self.healthy, crash.customer)
        if kind == "gone session" and crash.session is not None:
            assert (await self.ask(gateway.url, crash)).is_done
            assert (await crash.session.owner.call("DELETE", f"/v1/chat/sessions/{crash.session.id}")).status == 204

    async def _wait_for_what_it_sent(self) -> None:
        """Wait for the calls that a dead gateway had sent beside the one that it died at: the store does them."""
        wire = self.wires["supabase"]
        await asyncio.sleep(ON_ITS_WAY_S)
        await wait_until(lambda: all(exchange.ended_at is not None for exchange in wire.exchanges()))

    async def sweep(self) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {CRON_SECRET}"}
        async with self.session.post(self.healthy.url + SWEEP, headers=headers) as response:
            assert response.status == 200, await response.text()
            return dict(await response.json())
