"""Which request met which crash: what a killed process left behind is excused one by one, never in the lump."""

import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from tests.chaos.asked import Asked, Ending, Try
from tests.chaos.bill import Books, Hold, Lease, Served

LEASE_S = 60.0
# How much later than its sender's clock says something sent may be read, by a store or a provider on a busy machine.
READ_WITHIN_S = 2.0
# Lines of requests whose process was killed.
OF_CRASHES = frozenset({"crashed", "superseded"})
# Who has one of these was told the end of his request, which was in the books by then.
TOLD = frozenset({Ending.COMPLETE, Ending.REFUSED})


@dataclass(frozen=True, slots=True)
class Crash:
    """A try whose process was killed after the try had begun; name: the request's id where the client was told it."""

    account_id: int
    each: Try
    started_at: float
    killed_at: float
    name: str | None

    def can_have_made(self, name: str, account_id: int, made_at: float) -> bool:
        """Say whether this try's process can have made a hold or a lease: its own by name, else one of its time."""
        if self.account_id != account_id or self.name is not None:
            return self.account_id == account_id and self.name == name
        ended_at = min(self.killed_at, self.each.ended_at or self.killed_at)
        return self.started_at - READ_WITHIN_S <= made_at <= ended_at + READ_WITHIN_S

    def can_have_taken(self, served: Served, until: float) -> bool:
        """Say whether this try's process can have died with an answer that it had to settle or note by then."""
        if self.each.ending in TOLD or self.killed_at > until:
            return False
        # A provider that is slow may read what a dead process has sent.
        return self.started_at <= served.started_at <= self.killed_at + READ_WITHIN_S


@dataclass(frozen=True, slots=True)
class Crashes:
    """What crashes explain: by_hold, which crash left a hold behind; unsettled, those of them without a line."""

    all: Sequence[Crash]
    by_hold: Mapping[uuid.UUID, Crash]
    unsettled: Sequence[Hold]

    @classmethod
    def of(cls, asked: Sequence[Asked], books: Books) -> "Crashes":
        """Give each hold that a process left behind its own try that met a crash, as far as there are such."""
        crashes = [crash for request in asked for crash in _crashes_of(request)]
        settled = {line.generation_id for line in books.lines}
        waived = {line.generation_id for line in books.lines if line.waived_reason in OF_CRASHES}
        left = [hold for hold in books.holds if hold.state == "expired" or hold.id in waived]
        by_hold = _match(left, [crash for crash in crashes if crash.each.ending not in TOLD])
        return cls(crashes, by_hold, [hold for hold in left if hold.id in by_hold and hold.id not in settled])

    def took(self, unpaid: Sequence[tuple[Served, Asked, float]]) -> set[str]:
        """Return the ids of the answers that killed processes took with them, each with a hold of its own that ran out.

        unpaid: answers without a line, each with who asked for it and when at the latest it had to be settled or noted
        """
        possible = {served.id: list(self._holds_of(served, asked, until)) for served, asked, until in unpaid}
        taken: dict[uuid.UUID, str] = {}

        def take(answer_id: str, refused: set[uuid.UUID]) -> bool:
            # Another answer that has the hold gives it up if it finds one elsewhere: else the order would decide.
            for hold_id in possible[answer_id]:
                if hold_id in refused:
                    continue
                refused.add(hold_id)
                if hold_id not in taken or take(taken[hold_id], refused):
                    taken[hold_id] = answer_id
                    return True
            return False

        return {answer_id for answer_id in possible if take(answer_id, set())}

    def explain(self, name: str, lease: Lease) -> bool:
        """Say whether a lease is that of a try whose process was killed, and not a renewed one."""
        made_at = lease.lapses_at - LEASE_S
        of_holds = [crash for id_, crash in self.by_hold.items() if id_.hex == name]
        return any(
            made_at <= crash.killed_at + READ_WITHIN_S
            for crash in of_holds or self.all
            if crash in of_holds or crash.can_have_made(name, lease.account_id, made_at)
        )

    def _holds_of(self, served: Served, request: Asked, until: float) -> Iterator[uuid.UUID]:
        """Yield the holds under which an answer can have been asked for by a try that was killed with it."""
        for hold in self.unsettled:
            made_at = hold.created_at.timestamp()
            if made_at <= served.started_at and any(
                crash.can_have_taken(served, until) and crash.can_have_made(hold.id.hex, hold.account_id, made_at)
                for crash in _crashes_of(request)
            ):
                yield hold.id


def _crashes_of(request: Asked) -> Iterator[Crash]:
    for each in request.tries:
        killed_at = each.life.killed_at
        if killed_at is not None and each.started_at <= killed_at:
            name = None if each.generation_id is None else each.generation_id.removeprefix("gen_")
            yield Crash(request.tenant.account_id, each, each.started_at, killed_at, name)


def _match(holds: Sequence[Hold], crashes: Sequence[Crash]) -> dict[uuid.UUID, Crash]:
    """Match by name first, then by time: of those that can have made the oldest hold, the one that ended first."""
    free = sorted(
        crashes, key=lambda crash: (crash.name is None, min(crash.killed_at, crash.each.ended_at or crash.killed_at))
    )
    matched: dict[uuid.UUID, Crash] = {}
    for hold in sorted(holds, key=lambda hold: hold.created_at):
        for crash in free:
            made_at, over_at = hold.created_at.timestamp(), hold.expires_at.timestamp()
            if crash.killed_at <= over_at and crash.can_have_made(hold.id.hex, hold.account_id, made_at):
                matched[hold.id] = crash
                free.remove(crash)
                break
    return matched
