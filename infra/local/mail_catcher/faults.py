"""What goes wrong on purpose: Resend is away, busy, or takes a mail and never says so."""

import asyncio
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from infra.local.mail_catcher.rules import refusal

NAMES = {429: "rate_limit_exceeded", 422: "validation_error", 403: "invalid_api_key"}


@dataclass(slots=True)
class Fault:
    """What the next answers are; times: how many of them, None until told otherwise.

    drops_answer: the mail is taken, and the connection ends without a word
    """

    status: int | None = None
    times: int | None = None
    retry_after_s: int | None = None
    delay_s: float = 0.0
    drops_answer: bool = False

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
        if self.status is None:
            return None
        headers = {} if self.retry_after_s is None else {"Retry-After": str(self.retry_after_s)}
        return refusal(self.status, NAMES.get(self.status, "application_error"), "As ordered.", headers)
