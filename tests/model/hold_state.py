"""What there is at one moment: requests, their holds and claims, the late list, the sweeps. Amounts are small units."""

from dataclasses import dataclass
from typing import Literal, NamedTuple

HOLD = 2
# What each request costs if its provider answers: as much as its hold, less, more.
COSTS = (2, 1, 3)
SPENT_ELSEWHERE = 1

# Where a gateway stands with a request. left: its client hung up and the provider was cut; crashed: it died before it
# told anybody what the request used.
Step = Literal["unsent", "reserved", "admitted", "asked", "left", "served", "unsettled", "settled", "done", "crashed"]
HoldState = Literal["none", "held", "voided", "expired", "settled", "settled_late"]
Relation = Literal["strangers", "same key", "sdk retry"]
Kind = Literal["note", "record"]


@dataclass(frozen=True, slots=True)
class Rules:
    """What the protocol rests on; a test breaks one at a time and sees it found."""

    settlement_is_idempotent: bool = True
    expiry_empties_the_hold: bool = True
    charge_is_bounded_by_what_is_available: bool = True
    retry_waits_while_the_first_is_held: bool = True
    settled_first_is_recognised: bool = True
    superseded_is_waived: bool = True
    supersession_outlives_the_claim: bool = True
    supersedes_only_when_admitted: bool = True
    void_only_before_a_provider: bool = True
    crash_note_is_waived: bool = True
    note_is_due_after_the_hold: bool = True
    note_is_removed_after_the_settlement: bool = True
    sweep_asks_the_provider_first: bool = True
    sweep_removes_after_it_settled: bool = True
    overdue_holds_expire: bool = True


@dataclass(frozen=True, slots=True)
class Scenario:
    """Who asks, and with how much money.

    relation: of a second request to the first; sweeps: that may be at the same record at once; retry_may_overtake: a
    retry without a key may be admitted before the request that it repeats; is_every_order: search all orders, also of
    steps that cannot matter to each other
    """

    relation: Relation
    requests: int = 2
    credits: int = 3
    sweeps: int = 1
    is_spent_elsewhere: bool = False
    retry_may_overtake: bool = False
    is_every_order: bool = False


class Request(NamedTuple):
    """One request: where its gateway stands, and what ledger, provider and network have of it.

    part: what its hold has; line: its usage line; is_in_flight: a settlement that its gateway gave up may still arrive;
    is_kept: something was on the late list for it
    """

    step: Step = "unsent"
    has_lease: bool = False
    hold: HoldState = "none"
    part: int = 0
    provider: Literal["idle", "asked", "billed", "failed"] = "idle"
    line: Literal["none", "charged", "waived"] = "none"
    charged: int = 0
    claim: Literal["none", "live", "superseded", "lapsed"] = "none"
    is_superseded: bool = False
    is_in_flight: bool = False
    is_kept: bool = False


class Entry(NamedTuple):
    """A record on the late list, or a crash note."""

    kind: Kind
    about: int


class Job(NamedTuple):
    """What a sweep has taken, and whether it has settled it."""

    kind: Kind
    about: int
    is_settled: bool = False


class State(NamedTuple):
    """Everything at one moment.

    is_promised: no request came after the claim of the one that it repeats had lapsed
    """

    free: int
    posted: int
    requests: tuple[Request, ...]
    late: frozenset[Entry] = frozenset()
    jobs: tuple[Job, ...] = ()
    spent_elsewhere: int = 0
    is_promised: bool = True
    is_settlement_refused: bool = False

    def having(self, index: int, **changes: object) -> "State":
        """Change one request."""
        changed = self.requests[index]._replace(**changes)  # type: ignore[arg-type]
        return self._replace(requests=(*self.requests[:index], changed, *self.requests[index + 1 :]))

    def having_late(self, kind: Kind, index: int) -> "State":
        """Put something on the late list."""
        return self._replace(late=self.late | {Entry(kind, index)}).having(index, is_kept=True)

    def without_late(self, kind: Kind, index: int) -> "State":
        """Remove it, whether or not it is there."""
        return self._replace(late=self.late - {Entry(kind, index)})

    def having_job(self, job: Job) -> "State":
        """Let a sweep be at it; sweeps have no names, so their order is none."""
        return self._replace(jobs=tuple(sorted((*self.jobs, job))))

    def without_job(self, job: Job) -> "State":
        """Let a sweep be done with it, or dead."""
        at = self.jobs.index(job)
        return self._replace(jobs=self.jobs[:at] + self.jobs[at + 1 :])

    def knows(self, index: int) -> bool:
        """Say whether anybody but its gateway knows what a request used; a crash note does not."""
        request = self.requests[index]
        is_written = any(written.kind == "record" and written.about == index for written in self._written)
        return is_written or request.line != "none" or request.step in ("unsettled", "settled")

    @property
    def _written(self) -> tuple[Entry | Job, ...]:
        return (*self.late, *self.jobs)

    @property
    def is_at_rest(self) -> bool:
        """Say whether nothing is left to happen but new requests."""
        return not (self.late or self.jobs or any(map(_is_open, self.requests)))


def _is_open(request: Request) -> bool:
    is_under_way = request.step not in ("unsent", "done", "crashed") or request.provider == "asked"
    return is_under_way or request.hold == "held" or request.is_in_flight or request.has_lease
