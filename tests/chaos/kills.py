"""Processes that are killed at any moment while clients of every kind are being answered."""

import asyncio
import time
from collections.abc import Sequence

from tests.chaos.clients import Question, insist, like_an_sdk, try_once, with_key
from tests.chaos.rounds import Order, closing, keep_asking, look_into
from tests.chaos.slots import Slot, a_life, start_slots
from tests.chaos.table import Round
from tests.chaos.world import World, open_world

GATEWAYS = 3
CLIENTS = 16
# A request may take 5 s and its hold lives for 8: a crash is over within seconds.
SHORT_HOLDS = {"FUNCTION_TIME_LIMIT_S": "25", "HOLD_GRACE_S": "3"}
KINDS = ("plain", "leaving", "keyed", "sdk")
# Between the start of a process and its end.
SHORTEST_LIFE_S, LONGEST_LIFE_S = 0.05, 4.0


async def run_kills(order: Order) -> Round:
    """Kill so many processes under load; what they held is let go, and nothing is charged twice."""
    started_s = time.monotonic()
    async with open_world(order.stack, order.seed) as world:
        slots = await start_slots(order.stack, GATEWAYS, SHORT_HOLDS)
        killing = True

        def stop() -> None:
            for slot in slots:
                slot.stop()

        async def kill() -> None:
            nonlocal killing
            await asyncio.gather(*(_kill_on(world, slot, order) for slot in slots))
            killing = False

        async with closing(stop):
            async with asyncio.TaskGroup() as group:
                group.create_task(kill())
                group.create_task(keep_asking(lambda: _ask(world, slots), workers=CLIENTS, goes_on=lambda: killing))
            findings = await look_into(world, slots)
        return Round(
            mode="kills",
            asked=world.asked,
            crashes=world.crashes,
            wanted=order.count,
            done=world.crashes,
            duration_s=time.monotonic() - started_s,
            findings=findings,
        )


async def _kill_on(world: World, slot: Slot, order: Order) -> None:
    """Kill whatever stands in this place, one process after the other, until all places together have had enough."""
    while world.crashes < order.count and not order.is_over():
        await asyncio.sleep(world.chance.uniform(SHORTEST_LIFE_S, LONGEST_LIFE_S))
        world.crashes += 1
        slot.kill()
        await slot.start()


async def _ask(world: World, slots: Sequence[Slot]) -> None:
    kind = world.chance.choice(KINDS)
    question = _question(world, pays_once=kind in {"keyed", "sdk"})
    if kind in {"plain", "leaving"}:
        leave_after_s = world.chance.uniform(0.01, 2.0) if kind == "leaving" else None
        life = await a_life(slots, world.chance)
        await try_once(world.session, question, life, leave_after_s=leave_after_s)
        return
    await insist(
        world.session,
        question,
        lambda: a_life(slots, world.chance),
        chance=world.chance,
        manners=with_key(question.asked.key) if kind == "keyed" else like_an_sdk(),
    )


def _question(world: World, *, pays_once: bool) -> Question:
    chance = world.chance
    script = {
        "tokens": chance.randint(5, 60),
        "pace_ms": chance.choice([5, 20, 50]),
        "first_byte_ms": chance.choice([0, 100, 800]),
        "headers_then_wait_ms": chance.choice([0, 0, 1500]),
    }
    return world.question(script, is_stream=chance.random() < 0.7, pays_once=pays_once)
