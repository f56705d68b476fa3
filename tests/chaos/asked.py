"""What a client wanted, how often it tried, and what it saw of each try."""

import time
from dataclasses import dataclass, field
from enum import StrEnum

from tests.harness.tenants import Tenant


class Ending(StrEnum):
    """What the client saw of one try."""

    COMPLETE = "complete"
    LEFT = "left"
    BROKEN = "broken"
    REFUSED = "refused"
    CUT_SHORT = "cut_short"
    LOST = "lost"


@dataclass(slots=True)
class Life:
    """One life of one gateway process; times are seconds since the epoch, killed_at None while nobody has."""

    url: str
    started_at: float = field(default_factory=time.time)
    killed_at: float | None = None


@dataclass(slots=True)
class Try:
    """One HTTP request; text_bytes is how much of the answer's text arrived."""

    life: Life
    started_at: float = field(default_factory=time.time)
    ended_at: float | None = None
    ending: Ending = Ending.LOST
    status: int | None = None
    code: str | None = None
    generation_id: str | None = None
    text_bytes: int = 0
    is_replay: bool = False

    @property
    def is_worth_another(self) -> bool:
        """Whether a client that wants its answer asks again."""
        if self.ending is Ending.REFUSED:
            return self.status in {500, 502, 503, 504} or self.code == "idempotency_in_progress"
        return self.ending in {Ending.BROKEN, Ending.LEFT}


@dataclass(slots=True)
class Asked:
    """One thing that a client wants; its key stands in the provider's own record of the request.

    pays_once: all its tries together are one request, because it says so: by an Idempotency-Key or a count of retries
    units   body_bytes: of its body, every try's the same
    """

    key: str
    tenant: Tenant
    prompt: str
    is_stream: bool
    pays_once: bool = False
    body_bytes: int = 0
    tries: list[Try] = field(default_factory=list)

    @property
    def is_complete(self) -> bool:
        """Whether the client has the whole answer."""
        return any(each.ending is Ending.COMPLETE for each in self.tries)

    @property
    def most_charges(self) -> int:
        """How often it may be charged at most."""
        return 1 if self.pays_once else len(self.tries)
