"""The life of a hold: every order in which client, gateway, ledger, Redis, provider, network and sweeps can act.

Between two steps any process may die, and any message may be lost or come late. Written after
infra/supabase/migrations, shared/flows and shared/ledger/late.py.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from tests.model.hold_state import COSTS, HOLD, SPENT_ELSEWHERE, Job, Kind, Request, Rules, Scenario, State

Steps = Iterator[tuple[str, State]]


@dataclass(frozen=True, slots=True)
class HoldModel:
    """What can happen to the requests of one wallet."""

    scenario: Scenario
    rules: Rules

    def initial(self) -> State:
        """Return a wallet with credit, and nothing asked."""
        credits = self.scenario.credits
        return State(credits, credits, (Request(),) * self.scenario.requests)

    def is_at_rest(self, state: State) -> bool:
        """Say whether nothing is left to happen but new requests."""
        return state.is_at_rest

    def steps(self, state: State) -> Steps:
        """Return what can happen next, as (name, state).

        What one request does and no other can see goes first: any other order leads to the same books, and the search
        is spared it.
        """
        for index, request in enumerate(state.requests):
            if private := list(self._private(state, index, request)):
                yield from _named(index, private)
                return
        for index, request in enumerate(state.requests):
            yield from _named(index, self._of_request(state, index, request))
        if self.scenario.is_spent_elsewhere and not state.spent_elsewhere and state.free >= SPENT_ELSEWHERE:
            spent = state._replace(free=state.free - SPENT_ELSEWHERE, posted=state.posted - SPENT_ELSEWHERE)
            yield "another request spends", spent._replace(spent_elsewhere=SPENT_ELSEWHERE)

    def _private(self, state: State, index: int, request: Request) -> Steps:
        """What is written between two calls of the ledger; and what is left once the request has its usage line."""
        if self.scenario.is_every_order:
            return
        if request.line != "none":
            yield from self._after_settlement(state, index, request)
        elif request.step in ("asked", "left", "unsettled", "settled"):
            yield from self._gateway(state, index, request)
            yield from self._provider(state, index, request)
        else:
            yield from self._limiter(state, index, request)
            if self.rules.sweep_asks_the_provider_first:
                yield from self._provider(state, index, request)

    def _after_settlement(self, state: State, index: int, request: Request) -> Steps:
        """Nothing of this may move money once more, so one order is as good as all."""
        if request.step not in ("done", "crashed"):
            yield from self._gateway(state, index, request)
        elif request.is_in_flight:
            yield from self._network(state, index, request)
        else:
            yield from self._limiter(state, index, request)
            yield from self._sweeps(state, index)

    def _of_request(self, state: State, index: int, request: Request) -> Steps:
        yield from self._client(state, index, request)
        yield from self._gateway(state, index, request)
        yield from self._limiter(state, index, request)
        yield from self._provider(state, index, request)
        yield from self._network(state, index, request)
        yield from self._time(state, index, request)
        yield from self._sweeps(state, index)

    def _client(self, state: State, index: int, request: Request) -> Steps:
        """Send a request; again when the client has given up the one before. A key may be used in any order."""
        former = state.requests[index - 1] if index else None
        if request.step != "unsent" or (former is not None and former.step == "unsent"):
            return
        may_overtake = self.scenario.retry_may_overtake or self.scenario.relation != "sdk retry"
        if former is None or former.step != "reserved" or may_overtake:
            yield "client sends, limiter reserves", state.having(index, step="reserved", has_lease=True)

    def _gateway(self, state: State, index: int, request: Request) -> Steps:
        if request.step not in ("unsent", "done", "crashed"):
            yield "gateway dies", state.having(index, step="done" if state.knows(index) else "crashed")
        match request.step:
            case "reserved":
                yield "gateway gives up before it is admitted", _done(state, index)
                yield from self._admission(state, index)
            case "admitted":
                yield "provider is asked", state.having(index, step="asked", provider="asked")
                yield "voided, no provider was reached", self._void(state, index)
            case "asked":
                yield from self._waiting(state, index, request)
            case "left":
                yield from self._put(state, index, state.having(index, step="served"))
            case "served" if request.provider != "asked":
                yield from self._settling(state, index)
            case "unsettled":
                # Without Redis a log line has it, and the books let the hold expire.
                yield from self._put(state, index, _done(state, index))
            case "settled":
                yield "crash note is removed", _done(state.without_late("note", index), index)
                yield "crash note is not removed", _done(state, index)

    def _admission(self, state: State, index: int) -> Steps:
        former = self._recognised(state, index)
        superseding = state
        if former is not None:
            hold = state.requests[former].hold
            if hold == "held":
                return  # It asks again, or its client does.
            if hold in ("settled", "settled_late") and self.rules.settled_first_is_recognised:
                yield "the first one's answer is replayed", _done(state, index)
                return
            superseding = state.having(former, is_superseded=True, claim="superseded")
        if state.free < HOLD:
            is_careful = self.rules.supersedes_only_when_admitted
            yield "refused for want of credit", _done(state if is_careful else superseding, index)
            return
        placed = self._place(superseding, index)
        yield "admitted", placed
        yield "admitted, its gateway is not told", _done(placed, index)

    def _recognised(self, state: State, index: int) -> int | None:
        """Find the live claim of a request sent before; without a key only a retry looks for one."""
        if self.scenario.relation == "strangers" or (self.scenario.relation == "sdk retry" and index == 0):
            return None
        for number, other in enumerate(state.requests):
            is_found = other.hold != "held" or self.rules.retry_waits_while_the_first_is_held
            if number != index and other.claim == "live" and is_found:
                return number
        return None

    def _waiting(self, state: State, index: int, request: Request) -> Steps:
        """While the provider is at it: a note for the case of a crash, an answer, a client that hangs up."""
        if not request.is_kept:
            yield "crash note is left", state.having_late("note", index)
        if request.provider != "asked":
            yield "gateway has the answer", state.having(index, step="served")
        yield "client hangs up, provider is cut", state.having(index, step="left")
        if not self.rules.void_only_before_a_provider:
            yield "voided", self._void(state, index)

    def _settling(self, state: State, index: int) -> Steps:
        if not self.rules.note_is_removed_after_the_settlement:
            state = state.without_late("note", index)
        yield "settles", self._settle(state, index).having(index, step="settled")
        yield "settles, no answer comes", state.having(index, step="unsettled", is_in_flight=True)

    def _put(self, state: State, index: int, without: State) -> Steps:
        """Write a late settlement; Redis may fail before or after it has it."""
        yield "late record is put", state.having_late("record", index).having(index, step="settled")
        yield "late record is put, Redis does not answer", without.having_late("record", index)
        yield "late record is lost", without

    def _limiter(self, state: State, index: int, request: Request) -> Steps:
        if request.has_lease and request.step in ("done", "crashed"):
            yield "limiter's lease runs out", state.having(index, has_lease=False)

    def _provider(self, state: State, index: int, request: Request) -> Steps:
        """Whether or not its gateway lives, a provider goes on."""
        if request.provider == "asked":
            yield "provider answers and bills", state.having(index, provider="billed")
            yield "provider fails", state.having(index, provider="failed")

    def _network(self, state: State, index: int, request: Request) -> Steps:
        if request.is_in_flight:
            landed = state.having(index, is_in_flight=False)
            yield "settlement lands late", self._settle(landed, index)
            yield "settlement is lost", landed

    def _time(self, state: State, index: int, request: Request) -> Steps:
        if request.hold == "held" and self.rules.overdue_holds_expire:
            part = 0 if self.rules.expiry_empties_the_hold else request.part
            expired = state.having(index, hold="expired", part=part)
            yield "hold's time is over", expired._replace(free=state.free + request.part)
        if request.claim in ("live", "superseded") and index + 1 < len(state.requests):
            yield "claim's time is over", state.having(index, claim="lapsed")

    def _sweeps(self, state: State, index: int) -> Steps:
        """A lease may end at any moment, so whatever is on the list may be taken once more.

        A sweep that puts a record off is as one that dies before it settles; a lone one has then done nothing.
        """
        jobs = [job for job in state.jobs if job.about == index]
        for kind in sorted(entry.kind for entry in state.late if entry.about == index):
            if len(jobs) < self.scenario.sweeps and self._is_due(state, kind, index):
                is_kept = self.rules.sweep_removes_after_it_settled
                taken = (state if is_kept else state.without_late(kind, index)).having_job(Job(kind, index))
                if self.scenario.sweeps > 1:
                    yield f"sweep takes the {kind}", taken
                else:
                    yield from self._swept(taken, Job(kind, index))
        for job in sorted(set(jobs)):
            yield f"sweep with the {job.kind} dies", state.without_job(job)
            if job.is_settled:
                yield f"sweep removes the {job.kind}", state.without_job(job).without_late(job.kind, index)
            else:
                yield from self._swept(state, job)

    def _swept(self, state: State, job: Job) -> Steps:
        """Ask the provider, which knows when it has ended; the house pays for what a crash left."""
        if state.requests[job.about].provider != "asked" or not self.rules.sweep_asks_the_provider_first:
            is_waived = job.kind == "note" and self.rules.crash_note_is_waived
            settled = self._settle(state.without_job(job), job.about, is_waived=is_waived)
            yield f"sweep settles the {job.kind}", settled.having_job(job._replace(is_settled=True))

    def _is_due(self, state: State, kind: Kind, index: int) -> bool:
        return kind == "record" or state.requests[index].hold != "held" or not self.rules.note_is_due_after_the_hold

    # The ledger: one SQL function each, under the wallet's lock. Each begins by bringing the wallet to the present, so
    # that nobody can tell an overdue hold from one that has expired.
    def _place(self, state: State, index: int) -> State:
        has_lapsed = any(other.claim == "lapsed" and not other.is_superseded for other in state.requests)
        placed = state._replace(free=state.free - HOLD, is_promised=state.is_promised and not has_lapsed)
        claim = "none" if self.scenario.relation == "strangers" else "live"
        return placed.having(index, step="admitted", hold="held", part=HOLD, claim=claim)

    def _void(self, state: State, index: int) -> State:
        request = state.requests[index]
        if request.hold == "held":
            state = state._replace(free=state.free + request.part)
            state = state.having(index, hold="voided", part=0, claim="none")
        return _done(state, index)

    def _settle(self, state: State, index: int, *, is_waived: bool = False) -> State:
        request = state.requests[index]
        if request.line != "none" and self.rules.settlement_is_idempotent:
            return state
        if request.hold in ("none", "voided"):
            return state._replace(is_settlement_refused=True)
        is_waived = is_waived or request.provider == "failed" or self._is_known_as_superseded(request)
        available = state.free + request.part
        cost = 0 if is_waived else COSTS[index]
        charged = min(cost, available) if self.rules.charge_is_bounded_by_what_is_available else cost
        return state._replace(free=available - charged, posted=state.posted - charged).having(
            index,
            hold="settled" if request.hold == "held" else "settled_late",
            part=0,
            line="waived" if is_waived else "charged",
            charged=request.charged + charged,
            claim="none" if is_waived and request.claim == "live" else request.claim,
        )

    def _is_known_as_superseded(self, request: Request) -> bool:
        remembers = self.rules.supersession_outlives_the_claim
        is_known = request.is_superseded if remembers else request.claim == "superseded"
        return is_known and self.rules.superseded_is_waived


def _named(index: int, steps: Iterator[tuple[str, State]] | list[tuple[str, State]]) -> Steps:
    for name, state in steps:
        yield f"{'ABC'[index]}: {name}", state


def _done(state: State, index: int) -> State:
    """End a request at its gateway, which releases the limiter's lease; one that fails to is as one that dies."""
    return state.having(index, step="done", has_lease=False)
