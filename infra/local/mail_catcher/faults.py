"""What goes wrong on purpose: Resend is away, busy, or takes a mail and never says so."""

import asyncio
import time
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from infra.local.mail_catcher.rules import refusal

NAMES = {429: "rate_limit_exceeded", 422: "validation_error", 403: "invalid_api_key"}


@dataclass(slots=True)
class Fault:
    """What the next answers are; times: how many of them, None until told otherwise.

    drops_answer: the mail is taken, and the connection ends without a word
    per_second: so many are taken, and whoever asks for more is told to wait for a second
    message: what the answer says
    """

    status: int | None = None
    times: int | None = None
    retry_after_s: int | None = None
    delay_s: float = 0.0
    drops_answer: bool = False
    per_second: int | None = None
    message: str = "As ordered."
    _taken_s: list[float] = field(default_factory=list)

    @classmethod
    def read(cls, body: dict[str, Any]) -> "Fault":
        """Read an order of /_control/fault.

        raises  TypeError for a field that there is not
        """
        return cls(**body)

    def is_over(self) -> bool:
        """Count one request, and tell whether this fault is none any more."""
        if self.times is None:
            return False
        self.times -= 1
        return self.times < 0

    async def before(self) -> web.Response | None:
        """Return the answer that is given instead of taking the mail."""
        await asyncio.sleep(self.delay_s)
        if self.per_second is not None and self._is_too_many(self.per_second):
            return refusal(429, NAMES[429], self.message, {"Retry-After": "1"})
        if self.status is None:
            return None
        headers = {} if self.retry_after_s is None else {"Retry-After": str(self.retry_after_s)}
        return refusal(self.status, NAMES.get(self.status, "application_error"), self.message, headers)

    def _is_too_many(self, per_second: int) -> bool:
        now_s = time.monotonic()
        self._taken_s = [taken_s for taken_s in self._taken_s if now_s - taken_s < 1]
        if len(self._taken_s) >= per_second:
            return True
        self._taken_s.append(now_s)
        return False
