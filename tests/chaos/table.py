"""The table of a chaos run, and what it comes to."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from shared.core.money import NANOS_PER_DOLLAR
from tests.chaos.asked import Asked, Ending
from tests.chaos.checker import Findings

SHOWN_FAULTS = 8
COUNTS = ("requests", "aborts", "crashes", "retries")


@dataclass(frozen=True, slots=True)
class Round:
    """One round and what was found; wanted and done are what it is counted by: cuts, kills, retries, failures."""

    mode: str
    asked: Sequence[Asked]
    crashes: int
    wanted: int
    done: int
    duration_s: float
    findings: Findings
    remark: str = ""

    @property
    def is_right(self) -> bool:
        """Whether it did what it was to do and every zero is a zero."""
        return self.done >= self.wanted and not any(found for _, found in self.findings.faults.all())


def exit_status(rounds: Sequence[Round]) -> int:
    """Return 1 where a zero is not zero, or a round did less than it says."""
    return 0 if rounds and all(each.is_right for each in rounds) else 1


def describe(rounds: Sequence[Round]) -> Iterator[str]:
    """Yield the table in Markdown, then what it does not say in numbers."""
    faults = [name for name, _ in rounds[0].findings.faults.all()] if rounds else []
    columns = ("mode", *COUNTS, *(name.replace("_", " ") for name in faults), "seconds")
    yield f"| {' | '.join(columns)} |"
    yield "|---|" + "--:|" * (len(columns) - 1)
    for each in rounds:
        numbers = (*_counts(each), *(len(found) for _, found in each.findings.faults.all()), f"{each.duration_s:.0f}")
        yield f"| {each.mode} | {' | '.join(str(number) for number in numbers)} |"
    for each in rounds:
        yield from _details(each)


def _counts(each: Round) -> tuple[int, ...]:
    tries = [one for request in each.asked for one in request.tries]
    aborts = sum(one.ending is Ending.LEFT for one in tries)
    return (len(each.asked), aborts, each.crashes, len(tries) - sum(bool(request.tries) for request in each.asked))


def _details(each: Round) -> Iterator[str]:
    found = each.findings
    parts = (
        f"{found.compared} lines equal to the provider's bill",
        f"{found.estimated} within the estimate",
        *(f"{count} {kind}" for kind, count in found.waived.items()),
        f"{found.lost} lost in crashes ({found.lost_nanos / NANOS_PER_DOLLAR:.6f} USD, the house's)",
        f"{found.failed} broken off by their provider",
        f"{found.notes_left} crash notes left of settled requests",
        f"{found.failed_sweeps} sweeps failed" if found.failed_sweeps else "",
        each.remark,
    )
    yield f"{each.mode}: {each.done} of {each.wanted}; {', '.join(part for part in parts if part)}"
    for name, faults in found.faults.all():
        for fault in faults[:SHOWN_FAULTS]:
            yield f"  {name}: {fault}"
        if len(faults) > SHOWN_FAULTS:
            yield f"  {name}: … and {len(faults) - SHOWN_FAULTS} more"
