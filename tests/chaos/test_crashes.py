"""Crashes excuse what they explain and nothing else: each answer, hold, lease and waived line has its own try."""

import uuid
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from tests.chaos.asked import Ending
from tests.chaos.bill import Lease
from tests.chaos.checker import Evidence
from tests.chaos.examples import (
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
)

RAN_OUT = replace(HOLD, state="expired")
# Another request's hold.
OF_OTHERS = replace(RAN_OUT, id=uuid.UUID(int=9), account_id=1001, created_at=datetime.fromtimestamp(NOW - 30, UTC))
# Of the same account at the same time, but told its end before its process was killed.
REFUSED = replace(NAMELESS, key=KEY, tries=[replace(NAMELESS.tries[0], ending=Ending.REFUSED, status=409)])


def crashed(**other: object) -> Evidence:
    """Return what a round leaves behind whose one process was killed in the middle of its one request."""
    left: dict[str, object] = {"asked": [answered(Ending.BROKEN, NOW - 29.5)], "lines": (), "holds": (RAN_OUT,)}
    return evidence(**{**left, **other})  # type: ignore[arg-type]


def lease(name: str = GENERATION_ID.hex, *, lapses_at: float = NOW + 30) -> dict[str, Lease]:
    """Return a lease that is left; a minute before it lapses it was taken."""
    return {name: Lease(1000, lapses_at)}


@pytest.mark.parametrize(
    ("kind", "given"),
    [
        pytest.param(
            "unbilled", evidence(lines=(), asked=[answered(Ending.LEFT)], holds=(RAN_OUT,)), id="a hold that ran out"
        ),
        pytest.param(
            "wrong_amounts",
            evidence(lines=(replace(LINE, is_late=True),), asked=[answered(Ending.BROKEN, killed_at=NOW - 29.5)]),
            id="an answer that a killed process took with it, charged",
        ),
        pytest.param(
            "leaked_leases",
            crashed(leases=lease(lapses_at=NOW + 50)),
            id="the lease of a killed process, renewed since",
        ),
        pytest.param(
            "leaked_leases", crashed(leases=lease(uuid.UUID(int=9).hex)), id="the lease of a request that met no crash"
        ),
        pytest.param(
            "wrong_amounts",
            evidence(lines=(WAIVED,), asked=[answered(Ending.LEFT)]),
            id="waived as crashed, and nothing was killed",
        ),
        pytest.param(
            "wrong_amounts",
            evidence(
                lines=(replace(WAIVED, upstream_id=None, waived_reason="superseded"),), asked=[answered(Ending.LEFT)]
            ),
            id="superseded without an answer, and nothing was killed",
        ),
        pytest.param(
            "wrong_amounts", crashed(lines=(replace(WAIVED, provider_nanos=1),)), id="another cost of a lost answer"
        ),
        pytest.param(
            "wrong_amounts",
            crashed(lines=(replace(WAIVED, usage_source="counted"),)),
            id="a lost answer that nobody looked up",
        ),
        pytest.param(
            "unbilled", crashed(holds=(replace(RAN_OUT, state="settled"),)), id="a crash behind the settlement"
        ),
        pytest.param(
            "unbilled",
            crashed(served=[replace(SERVED, started_at=NOW - 32.5, ended_at=NOW - 31)]),
            id="an answer from before the try that met the crash",
        ),
        pytest.param(
            "unbilled",
            crashed(asked=[answered(Ending.LEFT, killed_at=NOW - 20)]),
            id="a crash long after the answer",
        ),
        pytest.param(
            "unbilled",
            crashed(holds=(RAN_OUT, replace(RAN_OUT, id=uuid.UUID(int=9)))),
            id="two holds that ran out, one crash",
        ),
        pytest.param(
            "unbilled",
            crashed(holds=(RAN_OUT, OF_OTHERS), asked=[answered(Ending.BROKEN, NOW - 29.5), NAMELESS]),
            id="a hold that ran out, and another account's crash",
        ),
        pytest.param(
            "unbilled",
            crashed(
                holds=(RAN_OUT, replace(OF_OTHERS, account_id=1000, created_at=datetime.fromtimestamp(NOW - 50, UTC))),
                asked=[answered(Ending.BROKEN, NOW - 29.5), NAMELESS],
            ),
            id="a hold that ran out, and a later crash",
        ),
        pytest.param(
            "unbilled",
            evidence(
                asked=[answered(), NAMELESS],
                holds=(HOLD, *(replace(OF_OTHERS, account_id=1000, id=uuid.UUID(int=id_)) for id_ in (8, 9))),
            ),
            id="two holds that ran out, one crash of a request without a name",
        ),
        pytest.param(
            "unbilled",
            crashed(served=[SERVED, replace(SERVED, id="gen-sim-2")]),
            id="two answers, one hold that ran out",
        ),
        pytest.param(
            "unbilled",
            crashed(holds=(replace(RAN_OUT, created_at=datetime.fromtimestamp(NOW - 29.9, UTC)),)),
            id="an answer from before the hold that ran out",
        ),
        pytest.param(
            "unbilled",
            crashed(
                asked=[NAMELESS],
                served=[replace(SERVED, key=NAMELESS.key, started_at=NOW - 31)],
                holds=(replace(OF_OTHERS, account_id=1000, created_at=datetime.fromtimestamp(NOW - 31.5, UTC)),),
            ),
            id="an answer from before the try of a request without a name",
        ),
        pytest.param(
            "unbilled",
            crashed(holds=(RAN_OUT, replace(HOLD, id=uuid.UUID(int=9)))),
            id="a hold that was settled without a line, and another's crash",
        ),
        pytest.param(
            "unbilled",
            crashed(asked=[NAMELESS, REFUSED], holds=(replace(OF_OTHERS, account_id=1000),)),
            id="an answer to a try that was refused, and another request's crash",
        ),
    ],
)
def test_what_no_crash_explains_is_found(kind: str, given: Evidence) -> None:
    assert kind in faults_of(given)


@pytest.mark.parametrize(
    "given",
    [
        pytest.param(crashed(), id="an answer that a killed process took with it"),
        pytest.param(crashed(lines=(WAIVED,)), id="one that was looked up"),
        pytest.param(
            crashed(holds=(RAN_OUT, replace(OF_OTHERS, account_id=1000)), asked=[*crashed().asked, NAMELESS]),
            id="two holds that ran out, two crashes",
        ),
        pytest.param(
            crashed(
                holds=(RAN_OUT, replace(OF_OTHERS, account_id=1000)),
                asked=[*crashed().asked, NAMELESS],
                served=[replace(SERVED, id="gen-sim-2", key=NAMELESS.key), SERVED],
            ),
            id="two answers, of which one can have had either hold",
        ),
        pytest.param(evidence(late_records={GENERATION_ID: "crashed"}), id="a crash note of a settled request"),
        pytest.param(crashed(leases=lease()), id="the lease of a killed process"),
        pytest.param(
            crashed(leases=lease("nameless"), asked=[*crashed().asked, NAMELESS]), id="one of a request without a name"
        ),
    ],
)
def test_what_a_crash_left_behind_passes(given: Evidence) -> None:
    assert faults_of(given) == {}


def test_a_crash_excuses_no_answer_that_was_delivered_and_none_that_should_have_been_noted() -> None:
    delivered = evidence(lines=(), asked=[answered(killed_at=NOW - 29.5)])
    assert "unbilled" in faults_of(delivered)
    long = replace(SERVED, provider="openrouter", ended_at=NOW - 20)
    noted = evidence(lines=(), served=[long], asked=[answered(Ending.BROKEN, killed_at=NOW - 25)], holds=(RAN_OUT,))
    assert "unbilled" in faults_of(noted)
