"""The short form of `make chaos`: a little of each kind, and every zero a zero."""

from collections.abc import Awaitable, Callable

import pytest

from infra.local.stack import LocalStack
from tests.chaos.cuts import run_cuts
from tests.chaos.kills import run_kills
from tests.chaos.retries import run_retries
from tests.chaos.rounds import Order
from tests.chaos.settlements import run_settlements
from tests.chaos.table import Round, describe, exit_status

SEED = 20
LIMIT_S = 60.0


@pytest.mark.parametrize(
    ("run", "count", "least_compared"),
    [(run_cuts, 60, 50), (run_kills, 4, 5), (run_retries, 20, 20), (run_settlements, 24, 24)],
    ids=["cuts", "kills", "retries", "settlements"],
)
async def test_whatever_happens_the_two_bills_are_equal_and_nothing_is_left_behind(
    stack: LocalStack, run: Callable[[Order], Awaitable[Round]], count: int, least_compared: int
) -> None:
    done = await run(Order(stack, count, SEED, LIMIT_S))
    assert exit_status([done]) == 0, "\n".join(describe([done]))
    assert done.findings.compared >= least_compared
