"""Proxies that lose things: before a gateway the answers to its clients, before the ledger the settlements."""

import random
import re

from shared.core.money import ceil_div
from tests.harness.wire import Exchange, Fault, Wire

KEY = re.compile(rb'"key":\s*"([\w-]+)"')
GENERATION_ID = re.compile(rb'"p_generation_id":\s*"([\w-]+)"')
# How the answer to a request gets lost: it never arrived; all of it was said; it was just about to begin; it was waited
# for, but not for long.
LOSSES = (Fault(refuses=True), Fault(drops_answer=True), Fault(drops_at=b""), Fault(answer_delay_s=1, patience_s=0.1))
# How a settlement fails: not done; not done; done, and nobody was told.
FAILS_ONE_IN = 3
FAILURES = (Fault(status=503), Fault(refuses=True), Fault(drops_answer=True))


class LossyWire(Wire):
    """Before a gateway: the answer to the first try of every request gets lost, and now and then that of the next."""

    def __init__(self, target: str, chance: random.Random, *, again: float = 0.15) -> None:
        super().__init__(target)
        self._chance = chance
        self._again = again
        self._seen: set[bytes] = set()
        self.lost = 0

    def take_fault(self, exchange: Exchange) -> Fault:
        """Lose the answer of a key that was not seen before, and some of the others."""
        match = KEY.search(exchange.body)
        if match is None or (match[1] in self._seen and self._chance.random() >= self._again):
            return Fault()
        self._seen.add(match[1])
        self.lost += 1
        return self._chance.choice(LOSSES)


class ForgetfulWire(Wire):
    """Before the ledger: the settlement of every third request fails, however often it is tried."""

    def __init__(self, target: str) -> None:
        super().__init__(target)
        self._numbers: dict[bytes, int] = {}

    @property
    def failed(self) -> int:
        """How many requests it has kept from being settled."""
        return ceil_div(len(self._numbers), FAILS_ONE_IN)

    def take_fault(self, exchange: Exchange) -> Fault:
        """Fail by the request, so that its second try meets the same end as its first."""
        match = GENERATION_ID.search(exchange.body)
        if match is None or not exchange.path.endswith("/settle"):
            return Fault()
        turn, rest = divmod(self._numbers.setdefault(match[1], len(self._numbers)), FAILS_ONE_IN)
        return Fault() if rest else FAILURES[turn % len(FAILURES)]
