"""The ledger's machine with requests that come again: keys, retries, processes that died, answers kept and erased."""

import itertools
import uuid
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import invariant, multiple, rule

from tests.sql.books import Books
from tests.sql.claims import claim_of, set_account
from tests.sql.claims_model import ClaimsModel
from tests.sql.customers import Customer
from tests.sql.ledger_machine import LIFETIMES, WAITS, LedgerMachine
from tests.sql.wallet_model import Answer

_numbers = itertools.count(1)

READ_STANDING = """
    select generation_id, answer, replays, is_erased from gateway.replays
     where account_id = %s and expires_at > gateway.clock()
"""
ERASE = "update gateway.replays set answer = null, is_erased = true where generation_id = %s"

# Few, so that requests meet under one.
KEYS = st.sampled_from([None, None, "a", "b"])
BODIES = st.sampled_from(["x", "x", "x", "y"])
ANSWERS = st.sampled_from(["one", "two", "one", None])
# What becomes of a request that is sent several times; a retry waits some seconds, so that holds end in between.
AGAIN, SETTLE, WAIVE, END = "again", "settle", "waive", "void"
STEPS = [AGAIN, AGAIN, AGAIN, SETTLE, SETTLE, WAIVE, END]


class RetryMachine(LedgerMachine):
    """Every rule of the ledger's machine, and those of requests that come again."""

    def __init__(self, books: Books) -> None:
        super().__init__(books)
        self.claims = ClaimsModel(self.model)

    @rule(
        target=LedgerMachine.holds,
        wait=WAITS,
        amount=st.integers(0, 70),
        lifetime=LIFETIMES,
        key=KEYS,
        body=BODIES,
        is_retry=st.booleans(),
        known_for=st.sampled_from([5, 30, 200]),
    )
    def ask_with_a_claim(
        self, wait: int, amount: int, lifetime: int, key: str | None, body: str, *, is_retry: bool, known_for: int
    ) -> Any:
        # The newest of two is told by the clock, which never stands still in production.
        self.pass_time(wait + 1)
        hold_id = self._new_id()
        expected = self.claims.admit(
            hold_id, amount, lifetime, key=key, body=body, is_retry=is_retry, known_for=known_for
        )
        claim = claim_of(*[key] if key else [], body=body, is_retry=is_retry, lifetime_s=known_for)
        for who in (self.swept, self.twin):
            answer = self._admit(who, hold_id, amount, lifetime, claim=claim)
            assert {name: answer.get(name) for name in expected} == self._named_for(who, expected)
        return hold_id if expected["verdict"] == "admitted" else multiple()

    @rule(wait=WAITS, hold_id=LedgerMachine.holds, cost=st.integers(0, 120), answer=ANSWERS, is_waived=st.booleans())
    def settle_with_an_answer(
        self, wait: int, hold_id: uuid.UUID, cost: int, answer: str | None, *, is_waived: bool
    ) -> None:
        self.pass_time(wait)
        expected = self.claims.settle(hold_id, cost, answer=answer, is_waived=is_waived)
        usage = {"answer": answer, "waived_reason": "no_answer" if is_waived else None}
        self._both(expected, lambda who: who.settle(self._id_of(who, hold_id), cost, **usage))

    @rule(
        amount=st.integers(1, 20),
        lifetime=st.integers(1, 6),
        key=st.sampled_from([None, "c"]),
        steps=st.lists(st.tuples(st.sampled_from(STEPS), st.integers(0, 3)), min_size=4, max_size=9),
    )
    def make_a_request_that_comes_again(
        self, amount: int, lifetime: int, key: str | None, steps: list[tuple[str, int]]
    ) -> None:
        self.credit(0, 200, "purchase", None, None)
        asked: dict[str, Any] = {"amount": amount, "lifetime": lifetime, "key": key, "known_for": 30}
        hold_ids = [self.ask_with_a_claim(0, body="z", is_retry=False, **asked)]
        for step, number in steps:
            # Of these requests an earlier one, so that what was superseded also settles late.
            hold_id = hold_ids[number % len(hold_ids)]
            if step == AGAIN:
                hold_ids.append(self.ask_with_a_claim(number, body="z" if number else "y", is_retry=True, **asked))
            elif hold_id not in self.model.holds:
                continue
            elif step == END:
                self.void(0, hold_id)
            else:
                answer = "sealed" if number else None
                self.settle_with_an_answer(0, hold_id, amount + number, answer, is_waived=step == WAIVE)

    @rule(hold_id=LedgerMachine.holds)
    def erase_one_answer(self, hold_id: uuid.UUID) -> None:
        self.claims.erase(hold_id)
        for who in (self.swept, self.twin):
            self.books.rows(ERASE, self._id_of(who, hold_id))

    @rule()
    def erase_what_is_over(self) -> None:
        assert self.books.call("erase_answers")["count"] % 2 == 0

    @rule()
    def change_retention(self) -> None:
        self.claims.keeps_answers = not self.claims.keeps_answers
        for who in (self.swept, self.twin):
            set_account(who, is_zero_retention=not self.claims.keeps_answers)

    @invariant()
    def the_claims_are_the_models(self) -> None:
        standing = [(claim.hold_id, claim.answer, claim.replays, claim.is_erased) for claim in self.claims.standing()]
        for who in (self.swept, self.twin):
            expected = {(self._id_of(who, hold_id), *kept) for hold_id, *kept in standing}
            # A hold that ended unseen still stands in the table; whoever asks for it brings the wallet to the present.
            assert set(self.books.rows(READ_STANDING, who.account_id)) == expected

    def teardown(self) -> None:
        super().teardown()
        self.books.call("erase_answers", limit=10_000)

    def _named_for(self, who: Customer, expected: Answer) -> Answer:
        """Return the answer with the ids that this wallet knows its requests by."""
        named = dict(expected)
        if isinstance(hold_id := named.get("generation_id"), uuid.UUID):
            named["generation_id"] = str(self._id_of(who, hold_id))
        numbers = named.get("numbers")
        if isinstance(numbers, dict) and "generation_id" in numbers:
            named["numbers"] = {"generation_id": str(self._id_of(who, numbers["generation_id"]))}
        return named
