"""Everything that may become of payments at Stripe, told to us late, again, out of order, while the credit is used.

What the wallet must come to is counted a second time here, from what Stripe says at the end and nothing else.
"""

import itertools
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, multiple, rule

from tests.sql.books import Books
from tests.sql.payments import NANOS_PER_CENT, AtStripe, claim, kept, make_buyer, post, row, sync

_numbers = itertools.count(1)

CENTS = st.integers(1, 13)
NANOS = st.integers(1, 10 * NANOS_PER_CENT)
WAITS = st.sampled_from([0, 0, 0, 5, 40])
MONTH_S = 60
KEEP_PLAN_PAYMENT = """
    select gateway.keep_plan_payment(%s, %s, 'sub_1', 'in_1', %s, 0, %s, gateway.clock(), gateway.clock())
"""
LOCK_ACCOUNT = "select from gateway.accounts where id = %s for no key update"
LOCK_WALLET = "select from gateway.wallets where account_id = %s for no key update"
READ_SPENT = """
    select coalesce(sum(amount_nanos) filter (where kind in ('usage', 'breakage')), 0)
      from gateway.transfers where debit_account = %s
"""
READ_LEFT = """
    select coalesce(sum(remaining_nanos), 0) from gateway.lots where source = %s and kind = 'plan'
"""
COUNT_LINES = "select count(*) from gateway.transfers where account_id = %s or source like %s"
READ_WALLET = "select posted_nanos, owed_nanos from gateway.wallets where account_id = %s"


@dataclass(slots=True)
class Reader:
    """A server between its claim and its last post; told is what it has read, None before that."""

    payment: AtStripe
    claim: int
    told: dict[str, Any] | None = None


class PaymentMachine(RuleBasedStateMachine):
    """One account with a few payments."""

    payments: Bundle[AtStripe] = Bundle("payments")
    plans: Bundle[AtStripe] = Bundle("plans")
    readers: Bundle[Reader] = Bundle("readers")
    holds: Bundle[uuid.UUID] = Bundle("holds")

    def __init__(self, books: Books) -> None:
        super().__init__()
        self.books = books
        self.start: datetime = books.now() + timedelta(days=1)
        books.set_time(self.start)
        self.buyer = make_buyer(books)
        self.bonuses: dict[str, int] = {}
        self.allowances: dict[str, int] = {}
        self.everything: list[AtStripe] = []
        self.is_used = False

    @initialize(target=payments, cents=CENTS, bonus=st.integers(0, 30_000_001))
    def buy(self, cents: int, bonus: int) -> Any:
        return self.pay(cents, bonus, 0)

    @rule(target=payments, cents=CENTS, bonus=st.integers(0, 30_000_001), tax=st.integers(0, 3))
    def pay(self, cents: int, bonus: int, tax: int) -> Any:
        if len(self.everything) > 3:
            return multiple()
        payment = self.buyer.pay(cents, tax_cents=tax, bonus=bonus)
        self.bonuses[payment.id] = bonus
        self.everything.append(payment)
        return payment

    @rule(target=plans, cents=CENTS)
    def subscribe(self, cents: int) -> Any:
        if self.allowances:
            return multiple()
        payment = AtStripe(f"pi_plan{next(_numbers)}", "plan", self.buyer.customer_id, cents)
        self.allowances[payment.id] = 0
        self.everything.append(payment)
        return payment

    @rule(plan=plans, amount=NANOS, months=st.integers(1, 3))
    def give_allowances(self, plan: AtStripe, amount: int, months: int) -> None:
        """A paid invoice, or one more of its lines: lots of months to come, and what they come to in all."""
        self.is_used = True
        now, account_id = self.books.now(), self.buyer.account_id
        with self.books.owner.transaction():
            self.books.rows(LOCK_ACCOUNT, account_id)
            self.books.rows(LOCK_WALLET, account_id)
            for month in range(months):
                begins = now + timedelta(seconds=month * MONTH_S)
                self.books.rows(
                    "select api.credit_account(%s, %s, 'plan', %s, %s, %s, %s)",
                    account_id, amount, f"line {next(_numbers)}", plan.id, begins, begins + timedelta(seconds=MONTH_S),
                )  # fmt: skip
                self.allowances[plan.id] += amount
            self.books.rows(KEEP_PLAN_PAYMENT, account_id, plan.id, plan.received_cents, self.allowances[plan.id])

    @rule(payment=payments | plans, cents=CENTS, status=st.sampled_from(["succeeded", "pending"]))
    def refund(self, payment: AtStripe, cents: int, status: str) -> None:
        payment.refund(cents, status)

    @rule(payment=payments | plans, status=st.sampled_from(["failed", "canceled", "succeeded"]))
    def end_refund(self, payment: AtStripe, status: str) -> None:
        if payment.refunds:
            payment.refunds[-1]["status"] = status

    @rule(payment=payments | plans, cents=CENTS)
    def dispute(self, payment: AtStripe, cents: int) -> None:
        payment.dispute(cents)

    @rule(payment=payments | plans)
    def inquire(self, payment: AtStripe) -> None:
        payment.dispute(5, "warning_needs_response", is_withdrawn=False)

    @rule(payment=payments | plans, is_won=st.booleans())
    def decide(self, payment: AtStripe, *, is_won: bool) -> None:
        for dispute in payment.disputes:
            if dispute["status"] == "needs_response":
                dispute.update(status="won" if is_won else "lost", is_withdrawn=not is_won)

    @rule(target=readers, payment=payments | plans)
    def begin(self, payment: AtStripe) -> Reader:
        return Reader(payment, claim(self.books, payment))

    @rule(reader=readers)
    def read(self, reader: Reader) -> None:
        reader.told = reader.told or reader.payment.read()

    @rule(reader=readers)
    def post(self, reader: Reader) -> None:
        if reader.told:
            assert post(self.books, reader.claim, reader.told)["verdict"] in ("posted", "superseded")

    @rule(payment=payments | plans)
    def sync(self, payment: AtStripe) -> None:
        sync(self.books, payment)
        self._is_exact(payment)

    @rule(target=holds, wait=WAITS, amount=NANOS, lifetime=st.integers(1, 60))
    def hold(self, wait: int, amount: int, lifetime: int) -> Any:
        self.pass_time(wait)
        hold_id = uuid.uuid4()
        self.is_used = True
        answer = self.buyer.customer.admit(tokens=amount, generation_id=hold_id, lifetime_s=lifetime)
        return hold_id if answer["verdict"] == "admitted" else multiple()

    @rule(wait=WAITS, hold_id=holds, cost=st.integers(0, 12 * NANOS_PER_CENT))
    def settle(self, wait: int, hold_id: uuid.UUID, cost: int) -> None:
        self.pass_time(wait)
        self.buyer.customer.settle(hold_id, cost)

    @rule(hold_id=holds)
    def void(self, hold_id: uuid.UUID) -> None:
        self.buyer.customer.void(hold_id)

    @rule(
        target=holds,
        payment=payments | plans,
        cents=CENTS,
        share=st.sampled_from([13, 13, 9, 4]),
        is_refund=st.booleans(),
    )
    def take_back_what_is_held(self, payment: AtStripe, cents: int, share: int, *, is_refund: bool) -> Any:
        """Hold all that can be spent, or a share of it, months first and a bonus last; then take back and post it."""
        available = self.buyer.customer.balance()["available_nanos"]
        hold_id = self.hold(0, available * share // 13 or 1, 60)
        if is_refund:
            payment.refund(cents)
        else:
            payment.dispute(cents)
        self.sync(payment)
        return hold_id

    @rule(seconds=st.integers(1, 90))
    def pass_time(self, seconds: int) -> None:
        self.books.pass_time(seconds=seconds)

    @invariant()
    def the_books_are_right(self) -> None:
        assert self.books.broken_rules(self.buyer.account_id) == []

    def teardown(self) -> None:
        self.pass_time(300)
        self.books.call("expire_holds")
        for payment in self.everything:
            sync(self.books, payment)
        lines = self._lines()
        for payment in self.everything:
            sync(self.books, payment)
            self._is_exact(payment)
        assert self._lines() == lines, "a second reading of the same moved money"
        self.the_books_are_right()
        ((posted, owed),) = self.books.rows(READ_WALLET, self.buyer.account_id)
        spent = self.books.value(READ_SPENT, self.buyer.account_id)
        assert posted - owed == sum(map(self._left_of, self.everything)) - spent
        # Nothing that was not used can be missing.
        assert self.is_used or owed == 0

    def _is_exact(self, payment: AtStripe) -> None:
        """Compare what is posted of a payment with Stripe's numbers of this moment."""
        _, money, bonus, allowances, money_taken, credit_taken = row(self.books, payment)
        assert money == (payment.received_cents - payment.tax_cents) * NANOS_PER_CENT
        assert money - money_taken == kept(money, payment)
        assert (bonus, allowances) == (self.bonuses.get(payment.id, 0), self.allowances.get(payment.id, 0))
        if payment.kind == "credits":
            assert bonus - credit_taken == kept(bonus, payment)
        else:
            # Less only where a refund finds nothing more in the lots that it gave.
            assert allowances - credit_taken >= kept(allowances, payment)
            is_empty = self.books.value(READ_LEFT, payment.id) == 0
            assert is_empty or allowances - credit_taken == kept(allowances, payment)

    def _left_of(self, payment: AtStripe) -> int:
        _, money, bonus, allowances, money_taken, credit_taken = row(self.books, payment)
        wallet_money = 0 if payment.kind == "plan" else money - money_taken
        return int(wallet_money + bonus + allowances - credit_taken)

    def _lines(self) -> int:
        return int(self.books.value(COUNT_LINES, self.buyer.account_id, "pi_%"))
