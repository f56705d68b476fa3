"""The command line: one kind of chaos or all in turn, each bounded in time, then the table."""

import argparse
import asyncio
import sys
from collections.abc import Awaitable, Callable, Sequence

from infra.ledger_check.__main__ import describe as describe_books
from infra.ledger_check.findings import read_findings
from infra.local.processes import StackError
from infra.local.stack import ROOT
from tests.chaos.cuts import run_cuts
from tests.chaos.kills import run_kills
from tests.chaos.retries import run_retries
from tests.chaos.rounds import Order
from tests.chaos.settlements import run_settlements
from tests.chaos.table import Round, describe, exit_status
from tests.harness.sessions import take_free_stack

# How it is run, and how much of it when nobody says: about two minutes for all.
ROUNDS: dict[str, tuple[Callable[[Order], Awaitable[Round]], int]] = {
    "cuts": (run_cuts, 300),
    "kills": (run_kills, 20),
    "retries": (run_retries, 100),
    "settlements": (run_settlements, 100),
}
DEFAULT_LIMIT_S = 900.0
DEFAULT_SEED = 1
SHOWN_FINDINGS = 5


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what was asked for against a stack of its own, print the table, and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("mode", nargs="?", choices=(*ROUNDS, "all"), default="all")
    parser.add_argument("--count", type=int, help="how many cuts, kills, retried requests, answers")
    parser.add_argument("--seed", type=int, default=DEFAULT_SEED)
    parser.add_argument(
        "--limit-s", type=float, default=DEFAULT_LIMIT_S, help="after so long a round asks nothing more"
    )
    options = parser.parse_args(arguments)
    modes = tuple(ROUNDS) if options.mode == "all" else (options.mode,)
    stack = take_free_stack(ROOT / ".local" / "test")
    rounds: list[Round] = []
    try:
        stack.start()
        for mode in modes:
            run, count = ROUNDS[mode]
            order = Order(stack, options.count or count, options.seed, options.limit_s)
            rounds.append(asyncio.run(_run(run, order)))
        books = read_findings(stack.database_url, stuck_after_s=0, limit=SHOWN_FINDINGS)
    except StackError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    finally:
        stack.stop()
    sys.stdout.write("".join(f"{line}\n" for line in (*describe(rounds), *describe_books(books))))
    return exit_status(rounds) or int(any(finding.is_fault for finding in books))


async def _run(run: Callable[[Order], Awaitable[Round]], order: Order) -> Round:
    return await run(order)


if __name__ == "__main__":
    sys.exit(main())
