"""Every order of the ledger's calls that hypothesis can think of, each answer compared with the model's."""

import itertools
import uuid
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, multiple, rule

from tests.sql.books import Books
from tests.sql.customers import Customer, make_customer
from tests.sql.wallet_model import Answer, WalletModel

_numbers = itertools.count(1)

# Holds leave `held` once, and an expired one may still be settled: anything else that is written down is a fault.
WATCH_STATES = """
    create table public.hold_ends (hold_id uuid, was text, became text);
    create function public.note_hold_end() returns trigger language plpgsql as $$
    begin
        insert into public.hold_ends values (new.id, old.state, new.state);
        return null;
    end $$;
    create trigger note_hold_end after update of state on gateway.holds
        for each row when (old.state is distinct from new.state) execute function public.note_hold_end();
"""
READ_WRONG_ENDS = """
    select hold_id, was, became from public.hold_ends
     where (was, became) not in
           (('held', 'settled'), ('held', 'voided'), ('held', 'expired'), ('expired', 'settled_late'))
    union all
    select hold_id, was, count(*)::text from public.hold_ends group by hold_id, was having count(*) > 1
"""
READ_SUMS = """
    select posted_nanos,
           (select sum(case when credit_account = wallet.account_id then amount_nanos else -amount_nanos end)
              from gateway.transfers where wallet.account_id in (credit_account, debit_account)),
           (select sum(remaining_nanos) from gateway.lots where account_id = wallet.account_id)
         + (select coalesce(sum(part.amount_nanos), 0) from gateway.hold_parts as part
              join gateway.holds as hold on hold.id = part.hold_id where hold.account_id = wallet.account_id),
           (select min(remaining_nanos) from gateway.lots where account_id = wallet.account_id),
           (select count(*) from gateway.usage_lines
             where account_id = wallet.account_id and charged_nanos + shortfall_nanos <> cost_nanos)
      from gateway.wallets as wallet where account_id = any (%s)
"""
LOCK_WALLET = "select from gateway.wallets where account_id = %s for no key update"

AMOUNTS = st.integers(1, 100)
LIFETIMES = st.integers(1, 30)
LOT_KINDS = st.sampled_from(["purchase", "purchase", "trial", "plan", "promo", "admin"])
TAKE_BACK_KINDS = st.sampled_from(["refund", "dispute", "admin"])
# Seconds before a call; mostly none, so that calls also meet in one moment.
WAITS = st.sampled_from([0, 0, 0, 1, 2, 5, 10])
# In the place of a cost: the request is not settled.
VOID = -1


class LedgerMachine(RuleBasedStateMachine):
    """One model and two wallets that get the same calls; the twin is passed over by every sweep."""

    holds: Bundle[uuid.UUID] = Bundle("holds")
    credits: Bundle[tuple[str, int]] = Bundle("credits")

    def __init__(self, books: Books) -> None:
        super().__init__()
        self.books = books
        self.model = WalletModel()
        self.start: datetime = books.now() + timedelta(days=1)
        books.set_time(self.start)
        self.swept = make_customer(books)
        self.twin = make_customer(books)
        self.twin_ids: dict[uuid.UUID, uuid.UUID] = {}

    @initialize(target=credits, amount=st.integers(100, 400), expires_in=st.none() | st.integers(5, 60))
    def buy(self, amount: int, expires_in: int | None) -> Any:
        return self.credit(0, amount, "purchase", None, expires_in)

    @initialize(target=holds, amount=st.integers(1, 50), lifetime=LIFETIMES)
    def ask(self, amount: int, lifetime: int) -> Any:
        return self.admit(0, amount, lifetime)

    @rule(seconds=st.integers(1, 40))
    def pass_time(self, seconds: int) -> None:
        self.model.pass_time(seconds)
        self.books.set_time(self.start + timedelta(seconds=self.model.now))

    @rule(
        target=credits,
        wait=WAITS,
        amount=AMOUNTS,
        kind=LOT_KINDS,
        live_in=st.none() | st.integers(-5, 15),
        expires_in=st.none() | st.integers(-2, 25),
    )
    def credit(self, wait: int, amount: int, kind: str, live_in: int | None, expires_in: int | None) -> tuple[str, int]:
        self.pass_time(wait)
        key = f"credit-{next(_numbers)}"
        live_from, expires_at = self._later(live_in), self._later(expires_in)
        times = {"live_from": self._at(live_from), "expires_at": self._at(expires_at)}
        expected = self.model.credit(amount, kind, key, live_from, expires_at)
        self._both(expected, lambda who: who.credit(amount, kind=kind, key=key, source=key, **times))
        return key, amount

    @rule(credit=credits, more=st.sampled_from([0, 1, -3]))
    def deliver_a_credit_again(self, credit: tuple[str, int], more: int) -> None:
        key, amount = credit
        expected: Answer = {"verdict": "credited", "moved_nanos": amount, "is_repeated": True}
        if more:
            expected = {"verdict": "refused", "code": "zero_amount"}
        if amount + more and more:
            expected = {"verdict": "refused", "code": "idempotency_key_reused", "numbers": {"amount_nanos": amount}}
        self._both(expected, lambda who: who.credit(amount + more, key=key))

    @rule(wait=WAITS, amount=st.integers(1, 120), kind=TAKE_BACK_KINDS, credit=credits, is_of_credit=st.booleans())
    def take_back(self, wait: int, amount: int, kind: str, credit: tuple[str, int], *, is_of_credit: bool) -> None:
        self.pass_time(wait)
        source = credit[0] if is_of_credit else None
        key = f"credit-{next(_numbers)}"
        expected = self.model.take_back(amount, kind, source)
        self._both(expected, lambda who: who.credit(-amount, kind=kind, key=key, source=source))
        self._both({**expected, "is_repeated": True}, lambda who: who.credit(-amount, kind=kind, key=key))

    @rule(target=holds, wait=WAITS, amount=st.integers(0, 70), lifetime=LIFETIMES)
    def admit(self, wait: int, amount: int, lifetime: int) -> Any:
        self.pass_time(wait)
        hold_id = self._new_id()
        expected = self.model.admit(hold_id, amount, lifetime)
        self._both(expected, lambda who: self._admit(who, hold_id, amount, lifetime))
        return hold_id if expected["verdict"] == "admitted" else multiple()

    @rule(hold_id=holds)
    def admit_again(self, hold_id: uuid.UUID) -> None:
        self._both(self.model.admitted(hold_id), lambda who: self._admit(who, hold_id, 7, 7))

    @rule(wait=WAITS, hold_id=holds, total=st.integers(0, 120))
    def extend(self, wait: int, hold_id: uuid.UUID, total: int) -> None:
        self.pass_time(wait)
        self._both(self.model.extend(hold_id, total), lambda who: who.extend(self._id_of(who, hold_id), total))

    @rule(wait=WAITS, hold_id=holds, cost=st.integers(0, 120))
    def settle(self, wait: int, hold_id: uuid.UUID, cost: int) -> None:
        self.pass_time(wait)
        self._both(self.model.settle(hold_id, cost), lambda who: who.settle(self._id_of(who, hold_id), cost))

    @rule(wait=WAITS, hold_id=holds)
    def void(self, wait: int, hold_id: uuid.UUID) -> None:
        self.pass_time(wait)
        self._both(self.model.void(hold_id), lambda who: who.void(self._id_of(who, hold_id)))

    @rule(
        wait=WAITS,
        amount=st.integers(1, 70),
        lifetime=LIFETIMES,
        duration=st.integers(0, 35),
        ends=st.lists(st.integers(0, 90) | st.just(VOID), min_size=1, max_size=2),
    )
    def make_a_request(self, wait: int, amount: int, lifetime: int, duration: int, ends: list[int]) -> None:
        hold_id = self.admit(wait, amount, lifetime)
        if hold_id not in self.model.holds:
            return
        for cost in ends:
            if cost == VOID:
                self.void(duration, hold_id)
            else:
                self.settle(duration, hold_id, cost)

    @rule()
    def sweep(self) -> None:
        # A sweep passes busy wallets over; that is how the twin never sees one.
        with self.books.owner.transaction():
            self.books.rows(LOCK_WALLET, self.twin.account_id)
            self.books.call("expire_holds")

    @invariant()
    def the_balance_is_the_models(self) -> None:
        for who in (self.swept, self.twin):
            with self.books.owner.transaction(force_rollback=True):
                assert self.books.value("select api.read_balance(%s)", who.account_id) == self.model.balance()

    @invariant()
    def the_books_are_right(self) -> None:
        for posted, transferred, kept, least, unbalanced in self.books.rows(READ_SUMS, self._accounts()):
            assert posted == (transferred or 0) == (kept or 0)
            assert (least or 0) >= 0
            assert unbalanced == 0
        for account_id in self._accounts():
            assert self.books.broken_rules(account_id) == []
        assert self.books.rows(READ_WRONG_ENDS) == []

    def teardown(self) -> None:
        self.pass_time(1000)
        self.sweep()
        self.the_balance_is_the_models()
        self.the_books_are_right()
        assert self.books.broken_rules() == []
        self.books.rows("truncate public.hold_ends")

    def _both(self, expected: Answer, ask: Callable[[Customer], Any]) -> None:
        for who in (self.swept, self.twin):
            answer = ask(who)
            assert {name: answer.get(name) for name in expected} == expected

    def _admit(self, who: Customer, hold_id: uuid.UUID, amount: int, lifetime: int, **other: object) -> Answer:
        hold_of_who = self._id_of(who, hold_id)
        answer: Answer = who.admit(tokens=amount, generation_id=hold_of_who, lifetime_s=lifetime, **other)
        hold = answer.get("hold")
        return {**answer, **hold} if isinstance(hold, dict) else answer

    def _new_id(self) -> uuid.UUID:
        hold_id = uuid.uuid4()
        self.twin_ids[hold_id] = uuid.uuid4()
        return hold_id

    def _id_of(self, who: Customer, hold_id: uuid.UUID) -> uuid.UUID:
        return hold_id if who is self.swept else self.twin_ids[hold_id]

    def _accounts(self) -> list[int]:
        return [self.swept.account_id, self.twin.account_id]

    def _later(self, seconds: int | None) -> int | None:
        return None if seconds is None else self.model.now + seconds

    def _at(self, seconds: int | None) -> datetime | None:
        return None if seconds is None else self.start + timedelta(seconds=seconds)
