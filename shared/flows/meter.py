"""An admitted request: its hold, its lease, and the one way in which it ends."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager

import msgspec

from shared.clients.redis import RedisUnavailable
from shared.core.clock import wall_clock_ms
from shared.core.errors import StoreUnavailable
from shared.core.finish import finish
from shared.core.ids import GenerationId, PriceId, format_generation_id
from shared.core.log import log_event
from shared.core.verdicts import Refused
from shared.flows.inference import RESERVE_S, Inference
from shared.ledger.late import LateSettlement, LookUp
from shared.ledger.refusals import extension_error
from shared.ledger.types import Admitted, Quantities, Settlement, Unchanged, Usage
from shared.limits.types import Reservation

SETTLE_DEADLINE_S = RESERVE_S / 2
# To write a settlement that failed on the list, beside all of that: three tries of a quarter of a second each.
PUT_PAUSES_S = (0.2, 0.3)
PUT_OFF_S = 2.0
# An answer that is larger does not go with its record: Redis is not where a database's worth of answers may wait.
MAX_LATE_ANSWER_BYTES = 16 * 1024
# Between the tries of one settlement, all within its deadline.
SETTLE_PAUSES_S = (0.2, 1.0)
RENEW_EVERY_S = 30.0
# A request that is under way for longer leaves a note for the case that its function dies.
NOTE_AFTER_S = 1.0
# The note is due when the hold has let go, whoever's clock is ahead.
NOTE_GRACE_MS = 2_000
# A provider's record of an answer that was cut is there after seconds.
LOOK_UP_AFTER_MS = 5_000

# Says what a request that is under way would come to if its function died now; None while there is nothing to say.
CrashUsage = Callable[[], tuple[Usage, LookUp] | None]


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
        self.keeps_answer = not admitted.is_zero_retention
        self.started_s = started_s
        self._inference = inference
        self._reservation = reservation
        self._hold_ends_ms = wall_clock_ms() + inference.hold_lifetime_s * 1000
        self._crash_note: LateSettlement | None = None
        self._is_noted = False
        self._is_ended = False
        # A note on its way to the list must not be overtaken by its removal.
        self._noting = asyncio.Lock()

    @asynccontextmanager
    async def kept_alive(self, crash_usage: CrashUsage) -> AsyncIterator[None]:
        """Keep the lease while the request is under way, however long it waits for others, and leave a crash note."""
        keeping = asyncio.ensure_future(self._keep(crash_usage))
        try:
            yield
        finally:
            keeping.cancel()
            await asyncio.wait({keeping})

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

        shape   None when the ledger did not settle it: the customer keeps the answer, and the sweep charges it later
        """
        settlement, _ = await finish(
            _both(self._settle(usage), self._release(usage.quantities.tokens)),
            deadline_s=SETTLE_DEADLINE_S + PUT_OFF_S,
        )
        return settlement

    async def settle_later(self, usage: Usage, look_up: LookUp) -> None:
        """Leave the request to the sweep, which asks the provider what it used; `usage` stands if it never says.

        The lease is given back now. Without Redis the request is settled at once, by `usage`.
        """
        await finish(
            _both(self._look_up_later(usage, look_up), self._release(usage.quantities.tokens)),
            deadline_s=SETTLE_DEADLINE_S + PUT_OFF_S,
        )

    async def void(self) -> None:
        """End a request that reached no provider, at no charge, whatever happens to the caller."""
        await finish(_both(self._void(), self._release(0)), deadline_s=SETTLE_DEADLINE_S)

    async def _keep(self, crash_usage: CrashUsage) -> None:
        renewed_s = time.monotonic()
        while True:
            await asyncio.sleep(NOTE_AFTER_S)
            await self._note_crash(crash_usage())
            if self._reservation is not None and time.monotonic() - renewed_s >= RENEW_EVERY_S:
                renewed_s = time.monotonic()
                await self._inference.limiter.renew(self._reservation)
            await finish(self._inference.shared_health.send_news(), deadline_s=PUT_OFF_S)

    async def _note_crash(self, found: tuple[Usage, LookUp] | None) -> None:
        """Write down what the sweep is to do if this function does not live to settle; once per provider."""
        if found is None:
            return
        is_new = self._crash_note is None or self._crash_note.look_up != found[1]
        if is_new or not self._is_noted:
            # The same note again where it was not taken: whatever Redis took of it, one removal removes it.
            note = self._record(*found) if is_new or self._crash_note is None else self._crash_note
            await finish(self._put_crash_note(note), deadline_s=PUT_OFF_S)

    async def _put_crash_note(self, note: LateSettlement) -> None:
        async with self._noting:
            if self._is_ended:
                return
            former, self._crash_note = self._crash_note, note
            self._is_noted = await self._put(note, due_ms=self._hold_ends_ms + NOTE_GRACE_MS)
            if former is not None and former is not note:
                await self._remove(former)

    async def _settle(self, usage: Usage) -> Settlement | None:
        try:
            async with asyncio.timeout(SETTLE_DEADLINE_S):
                settlement, reason = await self._settle_or_say_why(usage)
        except TimeoutError:
            settlement, reason = None, "timeout"
        if settlement is None:
            await self._leave_to_the_sweep(usage, reason)
            return None
        if settlement.shortfall_nanos or settlement.cost_excess_nanos:
            log_event(
                "shortfall_booked",
                level="error",
                generation_id=self._id,
                shortfall_nanos=settlement.shortfall_nanos,
                cost_excess_nanos=settlement.cost_excess_nanos,
            )
        await self._forget_crash_note()
        return settlement

    async def _settle_or_say_why(self, usage: Usage) -> tuple[Settlement | None, str]:
        try:
            answer = await self._settle_patiently(usage)
        except StoreUnavailable:
            return None, "store_unavailable"
        return (None, answer.code) if isinstance(answer, Refused) else (answer, "")

    async def _look_up_later(self, usage: Usage, look_up: LookUp) -> None:
        if await self._put_surely(self._record(usage, look_up), after_ms=LOOK_UP_AFTER_MS):
            await self._forget_crash_note()
        else:
            await self._settle(usage)

    async def _leave_to_the_sweep(self, usage: Usage, reason: str) -> None:
        """Put the settlement on the late list; without Redis the log line is its record."""
        if await self._put_surely(self._record(usage, None), after_ms=0):
            log_event("settlement_put_off", level="warning", reason=reason, generation_id=self._id)
            await self._forget_crash_note()
        else:
            self._log_unsettled(usage, reason)

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
            report = self._inference.shared_health.report()
            await self._inference.limiter.release(self._reservation, used_tokens=used_tokens, rider=report)

    async def _forget_crash_note(self) -> None:
        # After the settlement, never before it: in between nobody would know.
        async with self._noting:
            self._is_ended = True
            if self._crash_note is not None:
                await self._remove(self._crash_note)

    def _record(self, usage: Usage, look_up: LookUp | None) -> LateSettlement:
        if usage.answer is not None and len(usage.answer) > MAX_LATE_ANSWER_BYTES:
            usage = msgspec.structs.replace(usage, answer=None)
        return LateSettlement(self.generation_id, usage, look_up, since_ms=wall_clock_ms())

    async def _put_surely(self, record: LateSettlement, *, after_ms: int) -> bool:
        """Put a record that nothing else holds, and try again while Redis may come back."""
        for pause_s in PUT_PAUSES_S:
            if await self._put(record, due_ms=wall_clock_ms() + after_ms):
                return True
            await asyncio.sleep(pause_s)
        return await self._put(record, due_ms=wall_clock_ms() + after_ms)

    async def _put(self, record: LateSettlement, *, due_ms: int) -> bool:
        try:
            await self._inference.late.put(record, due_ms=due_ms)
        except RedisUnavailable as error:
            log_event("late_settlement_not_put", level="warning", reason=str(error), generation_id=self._id)
            return False
        return True

    async def _remove(self, record: LateSettlement) -> None:
        try:
            await self._inference.late.remove(record)
        except RedisUnavailable as error:
            # The sweep will find it settled.
            log_event("crash_note_left", level="warning", reason=str(error), generation_id=self._id)

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
