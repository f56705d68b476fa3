"""Clients that hang up at any moment: before the first byte, in the middle, behind the last one."""

import time
from collections.abc import Mapping

from tests.chaos.asked import Ending
from tests.chaos.clients import Question, insist, try_once, with_key
from tests.chaos.rounds import Order, closing, keep_asking, look_into
from tests.chaos.slots import a_life, start_slots
from tests.chaos.table import Round
from tests.chaos.world import World, open_world

GATEWAYS = 2
CLIENTS = 24
# One in so many asks for a whole answer, and one in so many names its request and comes again.
WHOLE_ONE_IN = 10
KEYED_ONE_IN = 8


async def run_cuts(order: Order) -> Round:
    """Cut so many answers at random points and compare every one of them with the provider's bill."""
    started_s = time.monotonic()
    async with open_world(order.stack, order.seed) as world:
        slots = await start_slots(order.stack, GATEWAYS, {})

        def stop() -> None:
            for slot in slots:
                slot.stop()

        async def ask() -> None:
            question, duration_s = _question(world)
            # Up to behind the end: who leaves there has everything.
            leave_after_s = world.chance.uniform(0.01, duration_s * 1.15)
            if not question.asked.pays_once:
                life = await a_life(slots, world.chance)
                await try_once(world.session, question, life, leave_after_s=leave_after_s)
                return
            await insist(
                world.session,
                question,
                lambda: a_life(slots, world.chance),
                chance=world.chance,
                manners=with_key(question.asked.key),
                leave_first_after_s=leave_after_s,
            )

        async with closing(stop):
            await keep_asking(ask, workers=CLIENTS, goes_on=lambda: _cut(world) < order.count and not order.is_over())
            findings = await look_into(world, slots)
        return Round(
            mode="cuts",
            asked=world.asked,
            crashes=0,
            wanted=order.count,
            done=_cut(world),
            duration_s=time.monotonic() - started_s,
            findings=findings,
        )


def _cut(world: World) -> int:
    return sum(any(each.ending is Ending.LEFT for each in asked.tries) for asked in world.asked)


def _question(world: World) -> tuple[Question, float]:
    """Return what to ask, and how long its answer takes."""
    chance = world.chance
    tokens, pace_ms, first_byte_ms = chance.randint(5, 80), chance.choice([2, 5, 10, 20]), chance.choice([0, 50, 300])
    # Some providers say nothing of what they charge, and some break off by themselves: there it is estimated.
    script: Mapping[str, object] = {
        "tokens": tokens,
        "pace_ms": pace_ms,
        "first_byte_ms": first_byte_ms,
        "cached_tokens": chance.choice([0, 0, 1]),
        "reasoning_tokens": chance.choice([0, 0, 7]),
        **chance.choice([{}, {}, {}, {}, {"usage": "missing"}, {"cut": "mid_stream", "at": chance.randint(1, tokens)}]),
    }
    is_stream = chance.randrange(WHOLE_ONE_IN) > 0
    question = world.question(script, is_stream=is_stream, pays_once=chance.randrange(KEYED_ONE_IN) == 0)
    return question, (first_byte_ms + (tokens * pace_ms if is_stream else 0)) / 1000 + 0.05
