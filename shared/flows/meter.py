"""An admitted request: its hold, its lease, and the one way in which it ends."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager

from shared.core.errors import StoreUnavailable
from shared.core.finish import finish
from shared.core.ids import GenerationId, PriceId, format_generation_id
from shared.core.log import log_event
from shared.flows.inference import RESERVE_S, Inference
from shared.ledger.refusals import extension_error
from shared.ledger.types import Admitted, Quantities, Refused, Settlement, Unchanged, Usage
from shared.limits.types import Reservation

SETTLE_DEADLINE_S = RESERVE_S / 2
# Between the tries of one settlement, all within its deadline.
SETTLE_PAUSES_S = (0.2, 1.0)
RENEW_EVERY_S = 30.0


class Meter:
    """An admitted request: its hold, its lease, and the one way in which it ends."""

    def __init__(
        self,
        inference: Inference,
        generation_id: GenerationId,
        admitted: Admitted,
        reservation: Reservation | None,
        *,
        started_s: float,
    ) -> None:
        self.generation_id = generation_id
        self.offers = admitted.offers
        self.started_s = started_s
        self._inference = inference
        self._reservation = reservation

    @asynccontextmanager
    async def kept_alive(self) -> AsyncIterator[None]:
        """Keep the lease while the request is under way, however long it waits for others."""
        if self._reservation is None:
            yield
            return
        renewal = asyncio.ensure_future(self._renew(self._reservation))
        try:
            yield
        finally:
            renewal.cancel()
            await asyncio.wait({renewal})

    async def extend(self, price_id: PriceId, quantities: Quantities) -> None:
        """Have the hold cover these total quantities.

        raises  InsufficientCredits and its kin; StoreUnavailable
        """
        answer = await self._inference.ledger.extend_hold(self.generation_id, price_id, quantities)
        if isinstance(answer, Refused):
            if answer.status == 402:
                raise extension_error(answer)
            log_event("hold_extension_refused", level="error", code=answer.code, generation_id=self._id)
            raise StoreUnavailable("ledger")

    async def settle(self, usage: Usage) -> Settlement | None:
        """Charge the request and give its lease back, in parallel, whatever happens to the caller.

        shape   None when the ledger did not answer: the customer keeps the answer, and a log line keeps the record
        """
        try:
            settlement, _ = await finish(
                _both(self._settle(usage), self._release(usage.quantities.tokens)), deadline_s=SETTLE_DEADLINE_S
            )
        except TimeoutError:
            self._log_unsettled(usage, "timeout")
            return None
        return settlement

    async def void(self) -> None:
        """End a request that reached no provider, at no charge, whatever happens to the caller."""
        await finish(_both(self._void(), self._release(0)), deadline_s=SETTLE_DEADLINE_S)

    async def _renew(self, reservation: Reservation) -> None:
        while True:
            await asyncio.sleep(RENEW_EVERY_S)
            await self._inference.limiter.renew(reservation)

    async def _settle(self, usage: Usage) -> Settlement | None:
        try:
            answer = await self._settle_patiently(usage)
        except StoreUnavailable:
            self._log_unsettled(usage, "store_unavailable")
            return None
        if isinstance(answer, Refused):
            self._log_unsettled(usage, answer.code)
            return None
        if answer.shortfall_nanos or answer.cost_excess_nanos:
            log_event(
                "shortfall_booked",
                level="error",
                generation_id=self._id,
                shortfall_nanos=answer.shortfall_nanos,
                cost_excess_nanos=answer.cost_excess_nanos,
            )
        return answer

    async def _settle_patiently(self, usage: Usage) -> Settlement | Refused:
        """Settle, and try again while a store that is starting anew may come back; a hold settles once.

        raises  StoreUnavailable
        """
        for pause_s in SETTLE_PAUSES_S:
            try:
                return await self._inference.ledger.settle(self.generation_id, usage)
            except StoreUnavailable:
                await asyncio.sleep(pause_s)
        return await self._inference.ledger.settle(self.generation_id, usage)

    async def _void(self) -> None:
        try:
            answer = await self._inference.ledger.void_hold(self.generation_id)
        except StoreUnavailable:
            # The hold lets go by itself at its end.
            log_event("void_failed", level="warning", generation_id=self._id)
            return
        if isinstance(answer, Refused | Unchanged):
            log_event("void_changed_nothing", level="error", generation_id=self._id)

    async def _release(self, used_tokens: int) -> None:
        if self._reservation is not None:
            await self._inference.limiter.release(self._reservation, used_tokens=used_tokens)

    def _log_unsettled(self, usage: Usage, reason: str) -> None:
        log_event(
            "settlement_failed",
            level="error",
            reason=reason,
            generation_id=self._id,
            price_id=usage.price_id,
            usage_source=usage.source.value,
            outcome=usage.outcome.value,
            **usage.quantities.to_json(),
        )

    @property
    def _id(self) -> str:
        return format_generation_id(self.generation_id)


async def _both[A, B](first: Coroutine[object, object, A], second: Coroutine[object, object, B]) -> tuple[A, B]:
    return await asyncio.gather(first, second)
