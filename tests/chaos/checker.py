"""The checker: our ledger against the provider's own bill, request by request, and what must be zero."""

import math
import uuid
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from shared.core.ids import parse_generation_id
from tests.chaos.amounts import CAN_BE_ASKED, compare
from tests.chaos.asked import Asked, Ending, Try
from tests.chaos.bill import Books, Lease, Line, Served
from tests.chaos.crashes import OF_CRASHES, Crashes
from tests.chaos.story import tell
from tests.chaos.time_limits import match_time_limits

# So long after a provider has said everything it is settled at the latest.
SETTLES_WITHIN_S = 5.0
# Of an answer that its provider can be asked about, a note is written down at the latest.
NOTED_WITHIN_S = 3.0


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything that a round left behind.

    leases: those still there, by the ids of their requests; failed_releases: how many the gateways say they could not
    give back; late_records: what is on the list of late settlements; sweep_error: what ended the sweeps, "" for nothing
    units   moments: seconds since the epoch; closes_within_s: how long after its time a hold may be closed
    """

    asked: Sequence[Asked]
    served: Sequence[Served]
    books: Books
    leases: Mapping[str, Lease]
    late_records: Mapping[uuid.UUID, str]
    failed_releases: int
    broken_rules: Sequence[str]
    read_at: float
    closes_within_s: float
    failed_sweeps: int = 0
    sweep_error: str = ""


@dataclass(slots=True)
class Faults:
    """What is not as it has to be, each said in a line; all of these are to be empty."""

    double_charges: list[str] = field(default_factory=list)
    unbilled: list[str] = field(default_factory=list)
    wrong_amounts: list[str] = field(default_factory=list)
    negative_balances: list[str] = field(default_factory=list)
    stuck_holds: list[str] = field(default_factory=list)
    leaked_leases: list[str] = field(default_factory=list)
    broken_rules: list[str] = field(default_factory=list)

    def all(self) -> Iterator[tuple[str, list[str]]]:
        """Yield each kind with what was found of it."""
        for name in self.__dataclass_fields__:
            yield name, getattr(self, name)


@dataclass(frozen=True, slots=True)
class Findings:
    """What the checker found.

    lost: what providers billed for answers that a killed process took with it; failed: for answers that they broke off
    """

    faults: Faults
    compared: int
    estimated: int
    waived: Mapping[str, int]
    failed: int
    lost: int
    lost_nanos: int
    notes_left: int
    failed_sweeps: int


def check(evidence: Evidence) -> Findings:
    """Compare the two bills and look at what is left."""
    faults = Faults(broken_rules=list(evidence.broken_rules))
    ledger = _Ledger.of(evidence.books.lines)
    asked = {each.key: each for each in evidence.asked}
    crashes = Crashes.of(evidence.asked, evidence.books)
    unnamed = [
        served for served in evidence.served if served.cost_nanos and not (served.is_failed or ledger.of_answer(served))
    ]
    timed_out = match_time_limits(unnamed, asked, evidence.books)
    unpaid = [served for served in unnamed if served.id not in timed_out]
    taken = crashes.took([(each, asked[each.key], _ends_by(each)) for each in unpaid if each.key in asked])
    faults.unbilled += [
        f"{each.id} of {each.provider} cost {each.cost_nanos} and has no line; "
        f"{tell(each, asked.get(each.key), evidence.books)}"
        for each in unpaid
        if each.id not in taken
    ]
    pairs = [(served, line) for served in evidence.served for line in ledger.of_answer(served)]
    compared = [compare(served, line, asked.get(served.key)) for served, line in (*pairs, *timed_out.values())]
    kinds = [kind for kind, _ in compared]
    faults.wrong_amounts += [what for _, wrong in compared for what in wrong]
    _check_strays(evidence, ledger, faults)
    _check_requests(evidence, ledger, faults)
    _check_waived(evidence, crashes, faults)
    _check_rest(evidence, crashes, faults)
    return Findings(
        faults=faults,
        compared=kinds.count("compared"),
        estimated=kinds.count("estimated"),
        waived=Counter(kind for kind in kinds if kind.startswith("waived")),
        failed=sum(served.is_failed for served in evidence.served),
        lost=len(taken),
        lost_nanos=sum(served.cost_nanos for served in unpaid if served.id in taken),
        notes_left=len(set(evidence.late_records) & {line.generation_id for line in evidence.books.lines}),
        failed_sweeps=evidence.failed_sweeps,
    )


@dataclass(frozen=True, slots=True)
class _Ledger:
    """The usage lines by the answers that they pay for."""

    by_answer: Mapping[str, Sequence[Line]]
    by_generation: Mapping[str, Line]
    without_answer: Sequence[Line]

    @classmethod
    def of(cls, lines: Sequence[Line]) -> "_Ledger":
        by_answer: dict[str, list[Line]] = defaultdict(list)
        for line in lines:
            if line.upstream_id is not None:
                by_answer[line.upstream_id].append(line)
        return cls(
            by_answer,
            {line.generation_id.hex: line for line in lines},
            [line for line in lines if line.upstream_id is None],
        )

    def of_answer(self, served: Served) -> Sequence[Line]:
        return self.by_answer.get(served.id, ())

    def of_try(self, each: Try) -> Line | None:
        generation_id = None if each.generation_id is None else parse_generation_id(each.generation_id)
        return None if generation_id is None else self.by_generation.get(generation_id.hex)


def _ends_by(served: Served) -> float:
    """Return when an answer is settled at the latest, or noted for the case of a crash: a later one excuses nothing."""
    settled_by = (served.ended_at or math.inf) + SETTLES_WITHIN_S
    return min(settled_by, served.started_at + NOTED_WITHIN_S) if served.provider in CAN_BE_ASKED else settled_by


def _check_strays(evidence: Evidence, ledger: _Ledger, faults: Faults) -> None:
    """Charges for answers that no provider has given, and answers that several lines charge."""
    billed = {served.id for served in evidence.served}
    strays = [line for id_, lines in ledger.by_answer.items() if id_ not in billed for line in lines]
    for line in (*strays, *ledger.without_answer):
        if line.cost_nanos:
            faults.wrong_amounts.append(f"line {line.generation_id} charges {line.cost_nanos} for no billed answer")
    for answer_id, lines in ledger.by_answer.items():
        charged = [line for line in lines if line.cost_nanos]
        if len(charged) > 1:
            faults.double_charges.append(f"{answer_id} is charged by {len(charged)} lines")


def _check_requests(evidence: Evidence, ledger: _Ledger, faults: Faults) -> None:
    """What each client pays for what it wanted, however often it had to ask."""
    answers: dict[str, list[Served]] = defaultdict(list)
    for served in evidence.served:
        answers[served.key].append(served)
    for request in evidence.asked:
        lines = [line for served in answers[request.key] for line in ledger.of_answer(served) if line.cost_nanos]
        if len(lines) > request.most_charges:
            faults.double_charges.append(f"{request.key} was charged {len(lines)} times for {request.most_charges}")
        if request.is_complete and not lines:
            faults.unbilled.append(f"{request.key} has its whole answer and was charged nothing")
        for each in request.tries:
            if each.ending is Ending.COMPLETE and each.generation_id and ledger.of_try(each) is None:
                faults.unbilled.append(f"{each.generation_id} was answered and has no line")


def _check_waived(evidence: Evidence, crashes: Crashes, faults: Faults) -> None:
    """What nobody is charged for has its reason in the request itself, whether or not it names an answer."""
    broken_off = {served.key for served in evidence.served if served.broke_off}
    failed = {
        each.generation_id: each.text_bytes
        for request in evidence.asked
        for each in request.tries
        if request.key in broken_off and each.generation_id is not None
    }
    told = {
        each.generation_id for request in evidence.asked for each in request.tries if each.generation_id is not None
    }
    for line in evidence.books.lines:
        name = f"gen_{line.generation_id.hex}"
        if line.waived_reason in OF_CRASHES and line.generation_id not in crashes.by_hold:
            faults.wrong_amounts.append(f"{name}: {line.waived_reason}, and no try of it met a crash")
        if line.waived_reason == "no_answer" and name in told and failed.get(name, 1):
            faults.wrong_amounts.append(f"{name}: no_answer, and no provider broke off before there was one")


def _check_rest(evidence: Evidence, crashes: Crashes, faults: Faults) -> None:
    """What must not be left once everything has come to rest."""
    if evidence.books.negative_balances:
        faults.negative_balances.append(f"{evidence.books.negative_balances} wallets or lots are below zero")
    for hold in evidence.books.holds:
        closed_at = evidence.read_at if hold.ended_at is None else hold.ended_at.timestamp()
        if closed_at > hold.expires_at.timestamp() + evidence.closes_within_s or hold.state == "held":
            faults.stuck_holds.append(f"{hold.id}: {hold.state}, over since {hold.expires_at}, closed {hold.ended_at}")
    for late in evidence.books.unsettled(evidence.late_records):
        faults.stuck_holds.append(f"{late} is on the late list: {evidence.late_records[late]}")
    if evidence.sweep_error:
        faults.broken_rules.append(f"the sweeps ended: {evidence.sweep_error}")
    _check_unsettled(evidence, crashes, faults)
    faults.leaked_leases += _leaked(evidence, crashes)


def _leaked(evidence: Evidence, crashes: Crashes) -> list[str]:
    """Return the leases that are still there and that neither a killed process nor a slow Redis explains."""
    left = [
        f"{name} lapses only in {lease.lapses_at - evidence.read_at:.0f} s"
        for name, lease in evidence.leases.items()
        if lease.lapses_at > evidence.read_at and not crashes.explain(name, lease)
    ]
    return left[evidence.failed_releases :]


def _check_unsettled(evidence: Evidence, crashes: Crashes, faults: Faults) -> None:
    """A request that was admitted ends in a line; only that of a process that was killed may just run out."""
    settled = {line.generation_id for line in evidence.books.lines}
    for hold in evidence.books.holds:
        if hold.state == "expired" and hold.id not in crashes.by_hold:
            faults.unbilled.append(f"{hold.id} of {hold.account_id} ran out unsettled, and no try of it met a crash")
        if hold.state.startswith("settled") and hold.id not in settled:
            faults.unbilled.append(f"{hold.id} of {hold.account_id} is {hold.state} and has no line")
