"""What a wallet must answer, told a second time: event by event, as if a sweep ran at every moment something is due.

Nothing here is taken from the SQL: times are whole seconds, lots and holds are objects, and sums are made anew.
"""

from dataclasses import dataclass, field
from uuid import UUID

Answer = dict[str, object]


@dataclass(slots=True, eq=False)
class Lot:
    """Credit of one origin; left is what no hold has."""

    number: int
    kind: str
    source: str | None
    left: int
    live_from: int | None
    expires_at: int | None

    def has_expired(self, now: int) -> bool:
        """Say whether its time is over."""
        return self.expires_at is not None and self.expires_at <= now

    def is_live(self, now: int) -> bool:
        """Say whether it can be spent."""
        return not self.has_expired(now) and (self.live_from is None or self.live_from <= now)

    @property
    def rank(self) -> tuple[bool, int, int]:
        """Earliest expiry first."""
        return (self.expires_at is None, self.expires_at or 0, self.number)


@dataclass(slots=True, eq=False)
class Hold:
    """Money set aside; parts are what it took from which lot, in that order.

    is_superseded: a retry took its place; is_waived: it was settled for nothing, for whatever reason
    """

    amount: int
    expires_at: int
    parts: list[tuple[Lot, int]]
    state: str = "held"
    is_superseded: bool = False
    is_waived: bool = False


@dataclass(slots=True, eq=False)
class WalletModel:
    """One wallet."""

    now: int = 0
    posted: int = 0
    owed: int = 0
    lots: list[Lot] = field(default_factory=list)
    holds: dict[UUID, Hold] = field(default_factory=dict)
    settlements: dict[UUID, Answer] = field(default_factory=dict)

    @property
    def available(self) -> int:
        """What can be spent now."""
        return sum(lot.left for lot in self._live())

    @property
    def held(self) -> int:
        """What live holds have."""
        return sum(amount for hold in self.holds.values() if hold.state == "held" for _, amount in hold.parts)

    def balance(self) -> Answer:
        """What read_balance must answer."""
        return {
            "posted_nanos": self.posted,
            "owed_nanos": self.owed,
            "held_nanos": self.held,
            "available_nanos": self.available,
        }

    def pass_time(self, seconds: int) -> None:
        """Let everything happen in its own moment."""
        then = self.now + seconds
        ends = [hold.expires_at for hold in self.holds.values() if hold.state == "held"]
        ends += [lot.expires_at for lot in self.lots if lot.expires_at is not None]
        for moment in sorted({end for end in ends if self.now < end <= then}):
            self.now = moment
            for hold in self.holds.values():
                if hold.state == "held" and hold.expires_at <= moment:
                    hold.state = "expired"
                    self._return_parts(hold)
            self._tidy()
        self.now = then

    def credit(self, amount: int, kind: str, source: str, live_from: int | None, expires_at: int | None) -> Answer:
        """Add a lot."""
        self.lots.append(Lot(len(self.lots), kind, source, amount, live_from, expires_at))
        self.posted += amount
        self._tidy()
        return {"verdict": "credited", "moved_nanos": amount, "owed_nanos": 0, "is_repeated": False}

    def take_back(self, amount: int, kind: str, source: str | None) -> Answer:
        """Take credit back: from the source's own lots, then from other purchases; the rest is owed."""
        rest = amount
        own = [lot for lot in self.lots if source is not None and lot.source == source]
        kinds = {"purchase", "admin"} if kind == "admin" else {"purchase"}
        others = [lot for lot in self.lots if lot.kind in kinds and lot not in own]
        for lot in (*sorted(own, key=lambda lot: lot.rank), *sorted(others, key=lambda lot: lot.rank)):
            if not lot.has_expired(self.now):
                rest -= self._take(lot, rest)
        self.posted -= amount - rest
        self.owed += rest
        return {"verdict": "credited", "moved_nanos": rest - amount, "owed_nanos": rest, "is_repeated": False}

    def admit(self, hold_id: UUID, amount: int, lifetime: int) -> Answer:
        """Hold an amount, or refuse with the numbers."""
        if amount > self.available:
            return self._refused(amount)
        hold = Hold(amount, self.now + lifetime, self._take_parts(amount))
        self.holds[hold_id] = hold
        return self.admitted(hold_id)

    def admitted(self, hold_id: UUID) -> Answer:
        """What admission answers, the first time and every other."""
        hold = self.holds[hold_id]
        return {"verdict": "admitted", "amount_nanos": hold.amount, "state": hold.state}

    def extend(self, hold_id: UUID, total: int) -> Answer:
        """Raise a hold to a total."""
        hold = self.holds[hold_id]
        if hold.state != "held":
            return {"verdict": "refused", "code": "hold_ended", "numbers": {"state": hold.state}}
        extra = max(0, total - hold.amount)
        if extra > self.available:
            return self._refused(extra)
        hold.parts += self._take_parts(extra)
        hold.amount += extra
        return {"verdict": "extended", "amount_nanos": hold.amount}

    def void(self, hold_id: UUID) -> Answer:
        """End a hold at no charge."""
        hold = self.holds[hold_id]
        if hold.state != "held":
            return {"verdict": "unchanged", "state": hold.state}
        hold.state = "voided"
        self._return_parts(hold)
        self._tidy()
        return {"verdict": "voided", "released_nanos": hold.amount}

    def settle(self, hold_id: UUID, cost: int, *, is_waived: bool = False) -> Answer:
        """Charge a cost, once: from the hold's parts, then from what is free; the house bears the rest."""
        hold = self.holds[hold_id]
        if hold_id in self.settlements:
            return {**self.settlements[hold_id], "is_repeated": True}
        if hold.state == "voided":
            return {"verdict": "refused", "code": "hold_voided"}
        is_late = hold.state == "expired"
        hold.is_waived = is_waived or hold.is_superseded
        cost = 0 if hold.is_waived else cost
        rest = cost
        unused: list[tuple[Lot, int]] = []
        for lot, amount in hold.parts:
            spent = min(rest, amount)
            rest -= spent
            unused.append((lot, amount - spent))
        hold.parts = unused
        self._return_parts(hold)
        for lot in self._live():
            rest -= self._take(lot, rest)
        hold.state = "settled_late" if is_late else "settled"
        self.posted -= cost - rest
        self._tidy()
        charge = {"cost_nanos": cost, "charged_nanos": cost - rest, "shortfall_nanos": rest}
        self.settlements[hold_id] = {"verdict": "settled", **charge, "is_late": is_late, "is_repeated": False}
        return self.settlements[hold_id]

    def _live(self) -> list[Lot]:
        return sorted((lot for lot in self.lots if lot.is_live(self.now)), key=lambda lot: lot.rank)

    def _take(self, lot: Lot, wanted: int) -> int:
        taken = min(wanted, lot.left)
        lot.left -= taken
        return taken

    def _take_parts(self, amount: int) -> list[tuple[Lot, int]]:
        parts: list[tuple[Lot, int]] = []
        for lot in self._live():
            if taken := self._take(lot, amount):
                parts.append((lot, taken))
                amount -= taken
        assert amount == 0
        return parts

    def _return_parts(self, hold: Hold) -> None:
        for lot, amount in hold.parts:
            lot.left += amount
        hold.parts = []

    def _tidy(self) -> None:
        """Let expired lots lapse, then repay what is owed from purchases."""
        for lot in self.lots:
            if lot.has_expired(self.now):
                self.posted -= lot.left
                lot.left = 0
        for lot in sorted(self.lots, key=lambda lot: lot.rank):
            if lot.kind == "purchase":
                repaid = self._take(lot, self.owed)
                self.owed -= repaid
                self.posted -= repaid

    def _refused(self, required: int) -> Answer:
        numbers = {"available_nanos": self.available, "required_nanos": required}
        return {"verdict": "refused", "code": "insufficient_credits", "numbers": numbers}
