"""The checker can fail: each kind of damage to books that were right is found, and makes the run fail."""

import asyncio
import uuid
from dataclasses import replace
from datetime import UTC, datetime

import psycopg
import pytest
from psycopg.types.json import Jsonb

from infra.local.stack import LocalStack
from tests.chaos.amounts import price
from tests.chaos.asked import Asked, Ending
from tests.chaos.bill import Books, Lease
from tests.chaos.checker import Evidence
from tests.chaos.clients import try_once
from tests.chaos.examples import (
    COUNTED,
    CUT,
    ESTIMATED,
    GENERATION_ID,
    HOLD,
    KEY,
    LINE,
    NAMELESS,
    NOW,
    SERVED,
    WAIVED,
    answered,
    evidence,
    faults_of,
    ran,
)
from tests.chaos.rounds import look_into
from tests.chaos.slots import Slot
from tests.chaos.table import describe, exit_status
from tests.chaos.world import World, open_world

OTHER_LINE = replace(LINE, generation_id=uuid.UUID(int=2))
OVERDUE = replace(HOLD, state="held", ended_at=None, expires_at=datetime.fromtimestamp(NOW - 29, UTC))
CLOSED_LATE = replace(HOLD, state="expired", expires_at=datetime.fromtimestamp(NOW - 100, UTC))
LEASE = {GENERATION_ID.hex: Lease(1000, NOW + 30)}


def no_answer() -> Asked:
    """Return a request that was refused because its provider failed."""
    request = answered(Ending.REFUSED)
    request.tries[0].text_bytes = 0
    return request


def test_what_is_right_passes() -> None:
    assert faults_of(evidence()) == {}
    assert exit_status([ran(evidence())]) == 0


@pytest.mark.parametrize(
    ("kind", "given"),
    [
        pytest.param("double_charges", evidence(lines=(LINE, OTHER_LINE)), id="one answer, two lines"),
        pytest.param(
            "double_charges",
            evidence(
                lines=(LINE, replace(OTHER_LINE, upstream_id="gen-sim-2")),
                served=[SERVED, replace(SERVED, id="gen-sim-2")],
            ),
            id="one request, two answers",
        ),
        pytest.param("unbilled", evidence(lines=()), id="an answer without a line"),
        pytest.param(
            "unbilled",
            evidence(lines=(replace(LINE, waived_reason="crashed", cost_nanos=0, charged_nanos=0),)),
            id="a whole answer that nobody pays",
        ),
        pytest.param("wrong_amounts", evidence(lines=(replace(LINE, output_tokens=8),)), id="other quantities"),
        pytest.param(
            "wrong_amounts",
            evidence(lines=(replace(LINE, charged_nanos=LINE.charged_nanos - 1, shortfall_nanos=1),)),
            id="a nano-dollar less",
        ),
        pytest.param(
            "wrong_amounts", evidence(lines=(replace(LINE, provider_nanos=1),)), id="another cost of the provider"
        ),
        pytest.param("wrong_amounts", evidence(lines=(LINE, replace(OTHER_LINE, upstream_id=None))), id="no answer"),
        pytest.param(
            "wrong_amounts", evidence(lines=(LINE, replace(OTHER_LINE, upstream_id="gen-sim-9"))), id="no such answer"
        ),
        pytest.param(
            "wrong_amounts", evidence(lines=(replace(LINE, waived_reason="crashed"),)), id="waived and charged"
        ),
        pytest.param(
            "wrong_amounts",
            evidence(lines=(replace(COUNTED, output_tokens=10, charged_nanos=price(10, 0, 10)),)),
            id="an estimate above what was sent",
        ),
        pytest.param(
            "negative_balances", evidence(books=Books((LINE,), (HOLD,), negative_balances=1)), id="below zero"
        ),
        pytest.param("stuck_holds", evidence(holds=(OVERDUE,)), id="a hold that nobody closed"),
        pytest.param("stuck_holds", evidence(holds=(CLOSED_LATE,)), id="a hold that was closed too late"),
        pytest.param(
            "stuck_holds",
            evidence(lines=(), late_records={GENERATION_ID: "charged"}),
            id="a settlement that is still late",
        ),
        pytest.param("leaked_leases", evidence(leases=LEASE), id="a lease that stays"),
        pytest.param(
            "wrong_amounts",
            evidence(lines=(replace(WAIVED, waived_reason="no_answer"),), asked=[answered(Ending.LEFT)]),
            id="no answer, and the provider gave one",
        ),
        pytest.param(
            "wrong_amounts",
            evidence(
                lines=(replace(WAIVED, waived_reason="no_answer", upstream_id=None),),
                served=[replace(SERVED, broke_off=True, is_finished=False)],
                asked=[answered(Ending.CUT_SHORT)],
            ),
            id="no answer, and the client got some of one",
        ),
        pytest.param(
            "wrong_amounts", evidence(lines=(ESTIMATED,)), id="counted, and the provider said what it charges"
        ),
        pytest.param(
            "wrong_amounts",
            evidence(lines=(ESTIMATED,), served=[replace(CUT, provider="openrouter")]),
            id="counted, and the provider can be asked",
        ),
        pytest.param(
            "wrong_amounts",
            evidence(lines=(replace(WAIVED, waived_reason="no_answer"),), asked=[replace(NAMELESS, key=KEY)]),
            id="no answer for a request without a name, and the provider gave one",
        ),
        pytest.param("broken_rules", evidence(sweep_error="TimeoutError()"), id="sweeps that ended"),
        pytest.param("broken_rules", evidence(broken_rules=["wallet = its lots"]), id="a broken rule"),
    ],
)
def test_damage_is_found_and_the_run_fails(kind: str, given: Evidence) -> None:
    assert kind in faults_of(given)
    assert exit_status([ran(given)]) == 1
    assert f"  {kind}: " in "\n".join(describe([ran(given)]))


@pytest.mark.parametrize(
    "given",
    [
        pytest.param(
            evidence(lines=(ESTIMATED,), served=[replace(SERVED, hides_usage=True)]), id="an estimate of what is hidden"
        ),
        pytest.param(evidence(lines=(ESTIMATED,), served=[CUT]), id="an estimate of what was cut"),
        pytest.param(
            evidence(
                lines=(replace(WAIVED, waived_reason="no_answer", usage_source="none"),),
                served=[replace(CUT, is_failed=True)],
                asked=[no_answer()],
            ),
            id="no answer",
        ),
        pytest.param(evidence(leases=LEASE, failed_releases=1), id="one that Redis was too slow for"),
    ],
)
def test_what_has_its_reason_passes(given: Evidence) -> None:
    assert faults_of(given) == {}


def test_sweeps_that_failed_are_in_the_table() -> None:
    assert "3 sweeps failed" in "\n".join(describe([ran(evidence(failed_sweeps=3))]))


async def test_what_ended_the_sweeps_is_known(stack: LocalStack) -> None:
    async with open_world(stack, seed=1) as world:
        assert world.sweep_error == ""
        world.sweeper.stop()
        for _ in range(50):
            await asyncio.sleep(0.1)
            if world.sweep_error:
                break
        assert world.sweep_error


def test_a_round_that_did_less_than_it_says_fails() -> None:
    assert exit_status([replace(ran(evidence()), done=0)]) == 1
    assert exit_status([]) == 1


SETTLE_AGAIN = """
    select api.settle(%(again)s, line.price_id, to_jsonb(line.quantities), line.usage_source,
                      jsonb_build_object('outcome', line.outcome, 'is_stream', true, 'upstream_id', line.upstream_id))
      from gateway.usage_lines as line where line.generation_id = %(id)s
"""
COPY_HOLD = """
    insert into gateway.holds (id, account_id, key_id, model_id, price_id, quantities, amount_nanos, expires_at)
    select %(again)s, account_id, key_id, model_id, price_id, quantities, 0, clock_timestamp() + interval '5 minutes'
      from gateway.holds where id = %(id)s
"""
TAKE_AWAY = """
    with gone as (delete from gateway.usage_lines where generation_id = %(id)s returning *)
    select to_jsonb(gone) from gone
"""
PUT_BACK = "insert into gateway.usage_lines select * from jsonb_populate_record(null::gateway.usage_lines, %s)"
LET_GO = "select api.void_hold(%(again)s)"


async def test_damage_in_the_tables_is_found(stack: LocalStack) -> None:
    async with open_world(stack, seed=1) as world:
        slot = Slot(stack, {})
        await slot.start()
        for _ in range(3):
            await _ask(world, slot)
        charged_twice, forgotten, held = (_named(asked) for asked in world.asked)
        with psycopg.connect(stack.database_url, autocommit=True) as owner:
            owner.execute(COPY_HOLD.encode(), charged_twice)
            owner.execute(SETTLE_AGAIN.encode(), charged_twice)
            owner.execute(COPY_HOLD.encode(), held)
            (line,) = owner.execute(TAKE_AWAY.encode(), forgotten).fetchone() or (None,)
            found = await look_into(world, [slot], rest_within_s=0.1)
            # Other tests read the same books.
            owner.execute(PUT_BACK.encode(), (Jsonb(line),))
            owner.execute(LET_GO.encode(), held)
        slot.stop()
    kinds = {name for name, faults in found.faults.all() if faults}
    assert kinds == {"double_charges", "unbilled", "stuck_holds", "broken_rules"}


async def _ask(world: World, slot: Slot) -> None:
    assert slot.life is not None
    await try_once(world.session, world.question({"tokens": 4}), slot.life)


def _named(asked: Asked) -> dict[str, uuid.UUID]:
    """Return the id of a request that was answered, and one for its copy."""
    (each,) = asked.tries
    assert each.ending is Ending.COMPLETE
    assert each.generation_id is not None
    generation_id = uuid.UUID(each.generation_id.removeprefix("gen_"))
    return {"id": generation_id, "again": uuid.uuid5(generation_id, "again")}
