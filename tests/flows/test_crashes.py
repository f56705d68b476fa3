"""A gateway killed at every step of a request's path: what it leaves ends by itself, and who asks again pays once.

Every step is a call to somebody else, so the gateway dies either when it has asked (and nobody has heard it) or when it
has been heard (and does not know). A wire stands before each of them and kills it there.
"""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from infra.local.stack import LocalStack
from shared.clients.redis import Redis
from shared.keys.fingerprint import fingerprint
from shared.limits.store import Limiter
from shared.limits.types import Reservation
from tests.flows.calls import ask, chat, client
from tests.flows.crashes import BOUNDARIES, CRON_SECRET, LONG, SHORT, Crash, Place, Scene
from tests.harness.gateways import Gateways, RunningGateway
from tests.harness.simulator import Simulator
from tests.harness.tenants import Models, PlanLimits, Tenants
from tests.harness.wire import Wire

# What SHORT_HOLDS come to.
HOLD_LIVES_S = 5.0
# A crash note is due two seconds after its hold's end.
NOTES_ARE_DUE_S = 2.5
BEGUN_AHEAD = 3
LEASE_S = 60.0
WINDOW_S = 66.0
TOKENS_PER_MINUTE = 1_000_000


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def crashes(stack: LocalStack, tenant: Tenants, make_model: Models) -> AsyncIterator[dict[str, Crash]]:
    """Have a gateway die at every boundary, let the holds' time pass, sweep once, and ask for everything again."""
    gateways = Gateways(stack)
    targets: dict[Place, str] = {
        "supabase": stack.supabase_url,
        "redis": stack.redis_rest_url,
        "provider": stack.simulator_url,
    }
    wires = {place: Wire(target).open() for place, target in targets.items()}
    begun: list[RunningGateway] = []
    limits = PlanLimits(concurrency=4, tokens_per_minute=TOKENS_PER_MINUTE)
    done = {
        boundary.name: Crash(boundary, tenant(limits=limits), make_model(boundary.script)) for boundary in BOUNDARIES
    }
    try:
        async with client() as session:
            healthy = gateways(CRON_SECRET=CRON_SECRET)
            scene = Scene(stack, session, healthy, wires, begun)
            # The limiter knows every key, and Redis every script.
            warm, note = make_model(SHORT), make_model(LONG)
            await ask(session, healthy.url, tenant(), chat(note, stream=True))
            await asyncio.gather(*(ask(session, healthy.url, each.customer, chat(warm)) for each in done.values()))
            for number, crash in enumerate(done.values()):
                while len(begun) < min(number + BEGUN_AHEAD, len(done)):
                    scene.begin()
                crash.first_lines = len(crash.customer.books.usage_lines())
                await scene.crash(crash, begun[number])
            ends = [hold.expires_at.timestamp() for crash in done.values() for hold in crash.holds_left]
            await asyncio.sleep(max(0.0, max(ends) + NOTES_ARE_DUE_S - time.time()))
            await scene.sweep()
            for crash in done.values():
                crash.holds_then = crash.customer.books.holds()[crash.first_lines :]
                crash.asked_later = await scene.ask(healthy.url, crash)
            yield done
    finally:
        gateways.stop_all()
        for gateway in begun:
            gateway.stop()
        for wire in wires.values():
            wire.close()


EVERYWHERE = pytest.mark.parametrize("name", [boundary.name for boundary in BOUNDARIES])


@EVERYWHERE
def test_at_most_one_hold_stays_and_it_ends_with_its_time_and_one_sweep(crashes: dict[str, Crash], name: str) -> None:
    crash = crashes[name]
    assert crash.killed_at
    assert len(crash.holds_left) <= 1
    assert all((hold.expires_at - hold.created_at).total_seconds() <= HOLD_LIVES_S for hold in crash.holds_left)
    left = {hold.id for hold in crash.holds_left}
    ends = {hold.state for hold in crash.holds_then if hold.id in left}
    assert ends <= crash.boundary.ends_as
    assert bool(ends) == bool(crash.boundary.ends_as)


@EVERYWHERE
def test_who_asks_again_with_the_same_key_has_the_answer_and_pays_once(crashes: dict[str, Crash], name: str) -> None:
    crash = crashes[name]
    assert crash.asked_at_once is not None
    assert crash.asked_later is not None
    is_settled = any(hold.state == "settled" for hold in crash.holds_left)
    is_held = any(hold.state == "held" for hold in crash.holds_left)
    if is_held:
        # Nobody can know yet that nobody is at it.
        assert (crash.asked_at_once.status, crash.asked_at_once.code) == (409, "idempotency_in_progress")
        assert int(crash.asked_at_once.headers["Retry-After"]) > 0
    else:
        assert crash.asked_at_once.is_done
        assert ("Idempotent-Replayed" in crash.asked_at_once.headers) == is_settled
    assert crash.asked_later.is_done
    assert ("Idempotent-Replayed" in crash.asked_later.headers) == (not is_held)
    assert len([line for line in crash.lines() if line["charged_nanos"]]) == 1


@EVERYWHERE
def test_the_customer_has_lost_nothing_else_and_the_books_are_right(crashes: dict[str, Crash], name: str) -> None:
    crash = crashes[name]
    balance = crash.customer.balance()
    assert balance["held_nanos"] == 0
    assert balance["posted_nanos"] == balance["available_nanos"]
    assert crash.customer.books.broken_rules() == []


@pytest.mark.parametrize("name", [boundary.name for boundary in BOUNDARIES if boundary.kind == "session"])
def test_a_session_has_the_turn_whole_and_once(crashes: dict[str, Crash], name: str) -> None:
    crash = crashes[name]
    assert crash.session is not None
    roles = [role for role, _ in crash.session.said()]
    is_paid = any(hold.state == "settled" for hold in crash.holds_left)
    # One that was paid for before it was stored stays away: its retry is answered again, and asks nobody.
    is_lost = name in ("append-turn-asked", "settle-turn-done") and is_paid and not roles
    assert is_lost or roles == ["system", "user", "assistant"]


@EVERYWHERE
async def test_no_lease_and_no_reserved_token_stays(
    stack: LocalStack, redis: Redis, crashes: dict[str, Crash], name: str
) -> None:
    crash = crashes[name]
    left = await redis.command("ZRANGE", f"gw:leases:{crash.customer.account_id}", 0, -1, "WITHSCORES")
    assert isinstance(left, list)
    assert len(left) <= 2
    assert all(int(ends_ms) <= (crash.killed_at + LEASE_S) * 1000 for ends_ms in left[1::2])

    later_ms = int((time.time() + WINDOW_S) * 1000)
    limiter = Limiter(redis, lambda: later_ms)
    key = fingerprint(crash.customer.api_key, stack.credentials.gateway_secret)
    for lease in range(4):
        tokens = TOKENS_PER_MINUTE if lease == 0 else 0
        answer = await limiter.reserve(key=key, address="127.0.0.1", lease_id=f"later-{lease}", tokens=tokens)
        assert isinstance(answer, Reservation)


@pytest.mark.parametrize("name", ["note-done", "noted-mid-stream"])
def test_what_a_provider_says_of_an_answer_that_died_is_the_houses_to_pay(
    crashes: dict[str, Crash], simulator: Simulator, name: str
) -> None:
    crash = crashes[name]
    (waived,) = [line for line in crash.lines() if line["waived_reason"] == "crashed"]
    assert (waived["charged_nanos"], waived["cost_nanos"]) == (0, 0)
    (served,) = [each for each in simulator.requests(crash.model.upstream_model) if each["id"] == waived["upstream_id"]]
    assert not served["finished"]
    assert waived["provider_cost_nanos"] == 10 * 1_000 + served["completion_tokens"] * 2_000
