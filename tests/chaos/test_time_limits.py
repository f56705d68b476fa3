"""An answer for which its request had no time left is paid for by the house, and only by a line of its own request."""

import uuid
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from tests.chaos.asked import Asked, Ending, Life, Try
from tests.chaos.bill import Line
from tests.chaos.checker import Evidence, check
from tests.chaos.examples import HOLD, LINE, NAMELESS, NOW, SERVED, answered, evidence, faults_of

# The gateway hung up on it before it had its name.
LEFT = replace(SERVED, is_finished=False)
OUT_OF_TIME = replace(
    LINE,
    usage_source="counted",
    output_tokens=4096,
    cost_nanos=0,
    charged_nanos=0,
    provider_nanos=LEFT.cost_nanos + 1,
    waived_reason="time_limit",
    upstream_id=None,
)


def refused() -> Asked:
    """Return a request whose one try was told that its time is over."""
    asked = answered(Ending.REFUSED)
    asked.tries[0].status, asked.tries[0].code, asked.tries[0].text_bytes = 504, "time_limit_reached", 0
    return asked


def of_nobody_told(*, started_at: float = NOW - 31.5, ended_at: float = NOW - 30.5) -> Asked:
    """Return the same request of a client that left before it was told a name."""
    asked = refused()
    asked.tries = [Try(Life("http://gateway", NOW - 60), started_at, ended_at, Ending.LEFT)]
    return asked


def told_of_another() -> Asked:
    """Return the same request of a client that was told a name, and not this one."""
    asked = of_nobody_told()
    asked.tries[0].generation_id = f"gen_{uuid.UUID(int=9).hex}"
    return asked


def timed_out(*, lines: tuple[Line, ...] = (OUT_OF_TIME,), **other: object) -> Evidence:
    """Return what a round leaves behind whose one request had no time left for its answer."""
    left: dict[str, object] = {"asked": [refused()], "served": [LEFT]}
    return evidence(lines=lines, **{**left, **other})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "given",
    [
        pytest.param(timed_out(), id="its client was told so"),
        pytest.param(timed_out(asked=[of_nobody_told()]), id="its client had left"),
        pytest.param(timed_out(lines=(replace(OUT_OF_TIME, upstream_id=LEFT.id),)), id="its provider had named it"),
    ],
)
def test_an_answer_without_time_is_paid_for_by_the_house(given: Evidence) -> None:
    assert faults_of(given) == {}
    assert check(given).waived == {"waived as time_limit": 1}


@pytest.mark.parametrize(
    "given",
    [
        pytest.param(timed_out(lines=()), id="no line"),
        pytest.param(timed_out(lines=(replace(OUT_OF_TIME, provider="chutes"),)), id="another provider's line"),
        pytest.param(timed_out(served=[LEFT, replace(LEFT, id="gen-sim-2")]), id="two answers, one line"),
        pytest.param(timed_out(served=[replace(LEFT, is_finished=True)]), id="the provider was done"),
        pytest.param(timed_out(served=[replace(LEFT, broke_off=True)]), id="the provider broke off"),
        pytest.param(timed_out(served=[replace(LEFT, ended_at=None)]), id="the provider is still at it"),
        pytest.param(timed_out(served=[replace(LEFT, started_at=NOW - 32)]), id="asked before the hold was made"),
        pytest.param(timed_out(served=[replace(LEFT, ended_at=NOW - 26)]), id="left long after the hold was settled"),
        pytest.param(
            timed_out(asked=[replace(refused(), key="chaos-2-test"), of_nobody_told()]),
            id="the line of another request, whose client was told",
        ),
        pytest.param(
            timed_out(asked=[of_nobody_told()], holds=(replace(HOLD, account_id=1001),)), id="another account's line"
        ),
        pytest.param(timed_out(asked=[of_nobody_told(ended_at=NOW - 34)]), id="the client left long before"),
        pytest.param(timed_out(asked=[of_nobody_told(started_at=NOW - 30.9)]), id="the client came after"),
        pytest.param(timed_out(asked=[told_of_another()]), id="the client was told of another hold"),
        pytest.param(
            timed_out(lines=(replace(OUT_OF_TIME, upstream_id=LEFT.id),), served=[LEFT, replace(LEFT, id="gen-sim-2")]),
            id="the line names another answer",
        ),
        pytest.param(timed_out(asked=[NAMELESS]), id="nobody asked for it"),
    ],
)
def test_an_answer_is_unbilled_that_no_line_of_its_own_request_pays_for(given: Evidence) -> None:
    assert list(faults_of(given)) == ["unbilled"]


@pytest.mark.parametrize(
    "line",
    [
        pytest.param(replace(OUT_OF_TIME, provider_nanos=LEFT.cost_nanos - 1), id="less booked than billed"),
        pytest.param(replace(OUT_OF_TIME, charged_nanos=1), id="charged to the customer"),
    ],
)
def test_the_house_books_at_least_what_the_provider_bills(line: Line) -> None:
    assert list(faults_of(timed_out(lines=(line,)))) == ["wrong_amounts"]


def test_a_line_that_is_waived_for_another_reason_pays_for_no_answer() -> None:
    assert "unbilled" in faults_of(timed_out(lines=(replace(OUT_OF_TIME, waived_reason="no_answer"),)))


def test_a_line_that_names_its_answer_is_wrong_where_the_provider_was_done() -> None:
    named = replace(OUT_OF_TIME, upstream_id=SERVED.id)
    assert list(faults_of(timed_out(lines=(named,), served=[SERVED]))) == ["wrong_amounts"]


def test_a_fault_tells_of_its_tries_and_holds() -> None:
    late = replace(HOLD, ended_at=datetime.fromtimestamp(NOW - 33, UTC))
    (fault,) = faults_of(timed_out(holds=(late,)))["unbilled"]
    assert "-0.10 s to +1.10 s refused 504 time_limit_reached gen_00000000000000000000000000000001" in fault
    assert "settled, made -1.00 s, over +330.00 s, closed -3.00 s, counted time_limit for None" in fault
