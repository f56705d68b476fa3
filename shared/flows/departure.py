"""When a client leaves in the middle of a stream: whether the provider is stopped, or its answer read to the end."""

import json
import time

from shared.flows.chat_request import Chat
from shared.ledger.types import Offer

# How long an answer is still read for a client that has left: it is charged as the provider charges, and only the
# provider's own report knows what it thought unseen.
DRAIN_LIMIT_S = 120.0
# A client that loses its connection so soon after the first byte may never have seen it; its SDK will ask again.
IN_DOUBT_S = 2.0
# As a field's name; within a text its quotes would be escaped.
CACHE_CONTROL = '"cache_control"'


class Departure:
    """One stream's rule for a client that has left.

    It may come again for the same answer: with an Idempotency-Key at any time, by its SDK's own retry as long as it may
    not have seen that the answer began. Then the answer is read on and kept. Else the provider is stopped where its
    record tells afterwards what it charged, which is less than the whole answer. Where there is no record, or one that
    would not tell all, reading on is the only way to know; and on a platform that may freeze a function after a hang-up
    it is always read on.
    """

    def __init__(self, chat: Chat, offer: Offer) -> None:
        self._chat = chat
        self._is_recorded = chat.call.provider_of(offer).record.generation_path is not None
        self._has_cache_control: bool | None = None
        self._first_written_s: float | None = None
        self._gone_since_s: float | None = None

    def note_written(self) -> None:
        """The client has been sent a part of the answer."""
        self._first_written_s = self._first_written_s or time.monotonic()

    def ends_answer(self) -> bool:
        """Tell whether to read no further, now that the client is gone."""
        now_s = time.monotonic()
        self._gone_since_s = self._gone_since_s or now_s
        if now_s - self._gone_since_s >= DRAIN_LIMIT_S:
            return True
        is_stoppable = self._is_recorded and self._chat.call.trail.look_up is not None
        is_stopped = (
            self._chat.call.inference.sees_hang_ups and is_stoppable and not self._may_come_again(self._gone_since_s)
        )
        return is_stopped and not self._writes_cache()

    def _writes_cache(self) -> bool:
        # A record does not say how much was written to a cache, which costs more than other input; a report does.
        if self._has_cache_control is None:
            self._has_cache_control = CACHE_CONTROL in json.dumps(self._chat.request.body)
        return self._has_cache_control

    def _may_come_again(self, gone_s: float) -> bool:
        claim = self._chat.request.claim
        if claim is None:
            return False
        if claim.key_hmacs is not None or self._first_written_s is None:
            return True
        return gone_s - self._first_written_s < IN_DOUBT_S
