"""The checker can fail: each kind of damage to books that were right is found, and makes the run fail."""

import uuid
from dataclasses import replace
from datetime import UTC, datetime

import psycopg
import pytest
from psycopg.types.json import Jsonb

from infra.local.stack import LocalStack
from tests.chaos.asked import Asked, Ending, Life, Try
from tests.chaos.bill import Books, Hold, Line, Served
from tests.chaos.checker import Evidence, check, price
from tests.chaos.clients import try_once
from tests.chaos.rounds import look_into
from tests.chaos.slots import Slot
from tests.chaos.table import Round, describe, exit_status
from tests.chaos.world import World, open_world
from tests.harness.tenants import Tenant

NOW = 1_800_000_000.0
GENERATION_ID = uuid.UUID(int=1)
TENANT = Tenant(1000, 1, "key", "")
KEY = "chaos-0-test"

SERVED = Served(
    id="gen-sim-1",
    key=KEY,
    provider="portkey",
    prompt_tokens=10,
    cached_tokens=1,
    completion_tokens=7,
    cost_nanos=9 * 1000 + 100 + 7 * 2000,
    sent_bytes=34,
    started_at=NOW - 30,
    ended_at=NOW - 29,
)
LINE = Line(
    generation_id=GENERATION_ID,
    account_id=1000,
    provider="portkey",
    input_tokens=9,
    cached_input_tokens=1,
    output_tokens=7,
    usage_source="provider",
    cost_nanos=price(9, 1, 7),
    charged_nanos=price(9, 1, 7),
    shortfall_nanos=0,
    provider_nanos=SERVED.cost_nanos,
    waived_reason=None,
    is_late=False,
    upstream_id="gen-sim-1",
)
HOLD = Hold(
    id=GENERATION_ID,
    account_id=1000,
    state="settled",
    created_at=datetime.fromtimestamp(NOW - 31, UTC),
    expires_at=datetime.fromtimestamp(NOW + 300, UTC),
    ended_at=datetime.fromtimestamp(NOW - 29, UTC),
)


def answered(ending: Ending = Ending.COMPLETE, killed_at: float | None = None) -> Asked:
    """Return a request of one try."""
    life = Life("http://gateway", NOW - 60, killed_at)
    each = Try(life, NOW - 30.1, NOW - 28.9, ending, 200, generation_id=f"gen_{GENERATION_ID.hex}", text_bytes=34)
    return Asked(KEY, TENANT, "why" * 13, is_stream=True, body_bytes=200, tries=[each])


def evidence(*, lines: tuple[Line, ...] = (LINE,), holds: tuple[Hold, ...] = (HOLD,), **other: object) -> Evidence:
    """Return what a round of one request leaves behind."""
    right = Evidence(
        asked=[answered()],
        served=[SERVED],
        books=Books(lines, holds, negative_balances=0),
        leases={},
        late_records={},
        failed_releases=0,
        broken_rules=[],
        last_crash_at=None,
        read_at=NOW,
        closes_within_s=5,
    )
    return replace(right, **other)  # type: ignore[arg-type]


def ran(given: Evidence) -> Round:
    """Return the round that left it."""
    return Round("test", given.asked, 0, 1, 1, 1.0, check(given))


def faults_of(given: Evidence) -> dict[str, list[str]]:
    """Return the kinds of faults found."""
    return {name: found for name, found in check(given).faults.all() if found}


def test_what_is_right_passes() -> None:
    assert faults_of(evidence()) == {}
    assert exit_status([ran(evidence())]) == 0


OTHER_LINE = replace(LINE, generation_id=uuid.UUID(int=2))
RAN_OUT = replace(HOLD, state="expired")
OVERDUE = replace(HOLD, state="held", ended_at=None, expires_at=datetime.fromtimestamp(NOW - 29, UTC))
CLOSED_LATE = replace(HOLD, state="expired", expires_at=datetime.fromtimestamp(NOW - 100, UTC))
COUNTED = replace(LINE, usage_source="counted", input_tokens=10, cached_input_tokens=0)


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
        pytest.param(
            "unbilled", evidence(lines=(), asked=[answered(Ending.LEFT)], holds=(RAN_OUT,)), id="a hold that ran out"
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
            evidence(lines=(replace(LINE, is_late=True),), asked=[answered(Ending.BROKEN, killed_at=NOW - 29.5)]),
            id="an answer that a killed process took with it, charged",
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
        pytest.param("leaked_leases", evidence(leases={"lease": NOW + 50}), id="a lease that stays"),
        pytest.param("leaked_leases", evidence(leases={"lease": NOW + 50}, last_crash_at=NOW - 20), id="a renewed one"),
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
            evidence(lines=(), asked=[answered(Ending.BROKEN, killed_at=NOW - 29.5)], holds=(RAN_OUT,)),
            id="an answer that a killed process took with it",
        ),
        pytest.param(
            evidence(lines=(replace(COUNTED, output_tokens=9, charged_nanos=price(10, 0, 9)),)), id="an estimate"
        ),
        pytest.param(evidence(late_records={GENERATION_ID: "crashed"}), id="a crash note of a settled request"),
        pytest.param(evidence(leases={"lease": NOW + 30}, last_crash_at=NOW - 20), id="the lease of a killed process"),
        pytest.param(evidence(leases={"lease": NOW + 30}, failed_releases=1), id="one that Redis was too slow for"),
    ],
)
def test_what_has_its_reason_passes(given: Evidence) -> None:
    assert faults_of(given) == {}


def test_a_crash_excuses_no_answer_that_was_delivered_and_none_that_should_have_been_noted() -> None:
    delivered = evidence(lines=(), asked=[answered(killed_at=NOW - 29.5)])
    assert "unbilled" in faults_of(delivered)
    long = replace(SERVED, provider="openrouter", ended_at=NOW - 20)
    noted = evidence(lines=(), served=[long], asked=[answered(Ending.BROKEN, killed_at=NOW - 25)], holds=(RAN_OUT,))
    assert "unbilled" in faults_of(noted)


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
