"""The checker: our ledger against the provider's own bill, request by request, and what must be zero."""

import math
import uuid
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from shared.core.ids import parse_generation_id
from shared.core.money import ceil_div
from tests.chaos.asked import Asked, Ending, Try
from tests.chaos.bill import Books, Line, Served
from tests.chaos.world import COST_RATES, MARKUP_PPM

MILLION = 1_000_000
BYTES_PER_COUNTED_TOKEN = 4
REPORTED = frozenset({"provider", "lookup"})
LEASE_S = 60.0
# A request whose client has left goes on to its settlement for so long at most.
SETTLES_WITHIN_S = 15.0
# Who can be asked afterwards what an answer used, and when at the latest a note of such an answer is written down.
CAN_BE_ASKED = frozenset({"openrouter"})
NOTED_WITHIN_S = 3.0


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything that a round left behind.

    leases: when each lease that is still there lapses; failed_releases: how many the gateways say they could not give
    back; late_records: what is on the list of late settlements; last_crash_at: None where no process was killed
    units   moments: seconds since the epoch; closes_within_s: how long after its time a hold may be closed
    """

    asked: Sequence[Asked]
    served: Sequence[Served]
    books: Books
    leases: Mapping[str, float]
    late_records: Mapping[uuid.UUID, str]
    failed_releases: int
    broken_rules: Sequence[str]
    last_crash_at: float | None
    read_at: float
    closes_within_s: float


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


def check(evidence: Evidence) -> Findings:
    """Compare the two bills and look at what is left."""
    faults = Faults(broken_rules=list(evidence.broken_rules))
    ledger = _Ledger.of(evidence.books.lines)
    asked = {each.key: each for each in evidence.asked}
    lost = [served for served in evidence.served if served.cost_nanos and _is_lost(served, ledger, asked, faults)]
    kinds = [_compare(served, line, asked, faults) for served in evidence.served for line in ledger.of_answer(served)]
    _check_strays(evidence, ledger, faults)
    _check_requests(evidence, ledger, faults)
    _check_rest(evidence, faults)
    return Findings(
        faults=faults,
        compared=kinds.count("compared"),
        estimated=kinds.count("estimated"),
        waived=Counter(kind for kind in kinds if kind.startswith("waived")),
        failed=sum(served.is_failed for served in evidence.served),
        lost=len(lost),
        lost_nanos=sum(served.cost_nanos for served in lost),
        notes_left=len(set(evidence.late_records) & {line.generation_id for line in evidence.books.lines}),
    )


def price(input_tokens: int, cached_tokens: int, output_tokens: int) -> int:
    """Return what quantities cost at our prices: one rounding up at the end, here with the quantities of the bill."""
    quantities = {
        "input_tokens": input_tokens,
        "cached_input_tokens": cached_tokens,
        "output_tokens": output_tokens,
    }
    rates = {unit: ceil_div(rate * (MILLION + MARKUP_PPM), MILLION) for unit, rate in COST_RATES.items()}
    return ceil_div(sum(rates[unit] * quantities[unit] for unit in rates), MILLION)


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


def _is_lost(served: Served, ledger: _Ledger, asked: Mapping[str, Asked], faults: Faults) -> bool:
    """Say whether a killed process took this answer with it before it was noted; any other is unbilled."""
    if ledger.of_answer(served) or served.is_failed:
        return False
    until = (served.ended_at or math.inf) + SETTLES_WITHIN_S
    if served.provider in CAN_BE_ASKED:
        until = min(until, served.started_at + NOTED_WITHIN_S)
    # From the try's own start: a provider that is slow may read what a dead process has sent.
    tries = asked[served.key].tries if served.key in asked else []
    if any(each.life.was_killed_within(each.started_at, until) for each in tries):
        return True
    faults.unbilled.append(f"{served.id} of {served.provider} cost {served.cost_nanos} and has no line")
    return False


def _compare(served: Served, line: Line, asked: Mapping[str, Asked], faults: Faults) -> str:
    """Compare one answer with its line; say how."""
    name = f"{served.id} of {served.provider}, line {line.generation_id}"
    if served.is_failed and line.charged_nanos:
        faults.wrong_amounts.append(f"{name}: the provider failed, and {line.charged_nanos} was charged")
    if line.waived_reason is not None:
        if line.charged_nanos or line.cost_nanos:
            faults.wrong_amounts.append(f"{name}: waived as {line.waived_reason} and charged {line.charged_nanos}")
        return f"waived as {line.waived_reason}{', broken off' if served.is_failed else ''}"
    if line.is_late and any(each.life.killed_at for each in (asked[served.key].tries if served.key in asked else ())):
        faults.wrong_amounts.append(f"{name}: its process was killed, and it was charged {line.charged_nanos}")
    if line.usage_source in REPORTED:
        faults.wrong_amounts += [f"{name}: {what}" for what in _differences(served, line)]
        return "compared"
    faults.wrong_amounts += [f"{name}: {what}" for what in _misestimates(served, line, asked.get(served.key))]
    return "estimated"


def _differences(served: Served, line: Line) -> Iterator[str]:
    fresh_tokens = served.prompt_tokens - served.cached_tokens
    billed = (fresh_tokens, served.cached_tokens, served.completion_tokens)
    booked = (line.input_tokens, line.cached_input_tokens, line.output_tokens)
    if booked != billed:
        yield f"{booked} tokens booked ({line.usage_source}), {billed} billed"
    if line.charged_nanos != price(*billed):
        yield f"{line.charged_nanos} charged, {price(*billed)} is the price"
    if line.provider_nanos != served.cost_nanos:
        yield f"{line.provider_nanos} booked for the provider, {served.cost_nanos} billed"


def _misestimates(served: Served, line: Line, asked: Asked | None) -> Iterator[str]:
    """Yield where an estimate is not the documented one: a token per four bytes, of what the gateway can have seen."""
    if asked is None:
        yield "nobody asked for it"
        return
    tries = [each for each in asked.tries if each.generation_id == f"gen_{line.generation_id.hex}"]
    least = ceil_div(max((each.text_bytes for each in tries), default=0), BYTES_PER_COUNTED_TOKEN)
    most = ceil_div(served.sent_bytes, BYTES_PER_COUNTED_TOKEN)
    if not least <= line.output_tokens <= most:
        yield f"{line.output_tokens} output tokens estimated, {least} to {most} passed"
    shortest, longest = (ceil_div(size, BYTES_PER_COUNTED_TOKEN) for size in (len(asked.prompt), asked.body_bytes))
    if not shortest <= line.input_tokens <= longest:
        yield f"{line.input_tokens} input tokens estimated, {shortest} to {longest} were sent"
    if line.charged_nanos != price(line.input_tokens, 0, line.output_tokens):
        yield f"{line.charged_nanos} charged, {price(line.input_tokens, 0, line.output_tokens)} is the price"


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


def _check_rest(evidence: Evidence, faults: Faults) -> None:
    """What must not be left once everything has come to rest."""
    if evidence.books.negative_balances:
        faults.negative_balances.append(f"{evidence.books.negative_balances} wallets or lots are below zero")
    for hold in evidence.books.holds:
        closed_at = evidence.read_at if hold.ended_at is None else hold.ended_at.timestamp()
        if closed_at > hold.expires_at.timestamp() + evidence.closes_within_s or hold.state == "held":
            faults.stuck_holds.append(f"{hold.id}: {hold.state}, over since {hold.expires_at}, closed {hold.ended_at}")
    for late in evidence.books.unsettled(evidence.late_records):
        faults.stuck_holds.append(f"{late} is on the late list: {evidence.late_records[late]}")
    _check_unsettled(evidence, faults)
    faults.leaked_leases += _leaked(evidence)


def _leaked(evidence: Evidence) -> list[str]:
    """Return the leases that are still there and that neither a killed process nor a slow Redis explains."""
    crashes_over_at = -math.inf if evidence.last_crash_at is None else evidence.last_crash_at + LEASE_S
    left = [
        f"{name} lapses only in {lapses_at - evidence.read_at:.0f} s"
        for name, lapses_at in evidence.leases.items()
        if lapses_at > max(evidence.read_at, crashes_over_at)
    ]
    return left[evidence.failed_releases :]


def _check_unsettled(evidence: Evidence, faults: Faults) -> None:
    """A request that was admitted ends in a line; only those of a process that was killed may just run out."""
    unsettled = [hold for hold in evidence.books.holds if hold.state == "expired"]
    crashed = [each for request in evidence.asked for each in request.tries if each.life.killed_at is not None]
    if len(unsettled) > len(crashed):
        faults.unbilled.append(f"{len(unsettled)} holds ran out unsettled, {len(crashed)} tries met a killed process")
