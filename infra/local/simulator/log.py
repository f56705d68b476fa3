"""What the simulator served and what it bills for it, kept in memory and bounded."""

import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from infra.local.simulator.catalog import IMAGE_USD, cost_of, print_decimal
from infra.local.simulator.offer import Offer

MAX_RECORDS = 50_000
HEADERS_OF_INTEREST = (
    *("traceparent", "tracestate", "x-request-id"),
    *("http-referer", "x-title", "user-agent", "idempotency-key"),
)


@dataclass(slots=True)
class Served:
    """One request; it grows while its answer is written.

    policy  nothing is billed before generation has begun; then the prompt, the hidden reasoning and every token sent
    units   times: seconds since the epoch; prompt_quantity and the like are what the request would use, the billed
            numbers are properties
    """

    seq: int
    provider: str
    model: str
    offer: Offer
    script: Mapping[str, str] = field(default_factory=dict)
    body_fields: tuple[str, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    is_streamed: bool = False
    max_tokens: int | None = None
    n: int = 1
    image_parts: int = 0
    image_request: Mapping[str, Any] = field(default_factory=dict)
    images_sent: int = 0
    is_authorized: bool = False
    prompt_quantity: int = 0
    cached_quantity: int = 0
    reasoning_quantity: int = 0
    scripted_cost: Decimal | None = None
    record_after_ms: int = 0
    status: int | None = None
    finish_reason: str | None = None
    has_begun: bool = False
    tokens_sent: int = 0
    is_finished: bool = False
    client_left: bool = False
    started_at: float = field(default_factory=time.time)
    ended_at: float | None = None

    @property
    def id(self) -> str:
        """The id that the answer carries."""
        return f"gen-sim-{self.seq}"

    @property
    def has_record(self) -> bool:
        """Whether the record can be asked for: of what has begun and ended, and not sooner than its script says."""
        if not self.has_begun or self.ended_at is None:
            return False
        return time.time() >= self.ended_at + self.record_after_ms / 1000

    @property
    def prompt_tokens(self) -> int:
        """Prompt tokens billed."""
        return self.prompt_quantity if self.has_begun else 0

    @property
    def cached_tokens(self) -> int:
        """Prompt tokens billed at the cache's price."""
        return min(self.cached_quantity, self.prompt_quantity) if self.has_begun else 0

    @property
    def reasoning_tokens(self) -> int:
        """Hidden tokens billed; they come before the first visible one."""
        return self.reasoning_quantity if self.has_begun else 0

    @property
    def completion_tokens(self) -> int:
        """Completion tokens billed, hidden ones included."""
        return self.reasoning_tokens + self.tokens_sent

    @property
    def cost(self) -> Decimal:
        """The bill in US dollars."""
        if not self.has_begun:
            return Decimal(0)
        if self.scripted_cost is not None:
            return self.scripted_cost
        return self.images_sent * IMAGE_USD + cost_of(
            self.offer,
            prompt_tokens=self.prompt_tokens,
            cached_tokens=self.cached_tokens,
            completion_tokens=self.completion_tokens,
        )

    def end(self, finish_reason: str | None = None, *, is_finished: bool = False, client_left: bool = False) -> None:
        """Close the record; only the first call counts, because a client that has everything may leave as it likes."""
        if self.ended_at is not None:
            return
        self.finish_reason = finish_reason
        self.is_finished = is_finished
        self.client_left = client_left
        self.ended_at = time.time()

    def as_json(self) -> dict[str, Any]:
        """Print the record for `GET /_sim/requests`."""
        return {
            "seq": self.seq,
            "id": self.id,
            "provider": self.provider,
            "model": self.model,
            "stream": self.is_streamed,
            "status": self.status,
            "script": dict(self.script),
            "body_fields": list(self.body_fields),
            "max_tokens": self.max_tokens,
            "n": self.n,
            "image_parts": self.image_parts,
            "image_request": dict(self.image_request),
            "images_sent": self.images_sent,
            "authorization_seen": self.is_authorized,
            "headers": dict(self.headers),
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
            "cached_tokens": self.cached_tokens,
            "reasoning_tokens": self.reasoning_tokens,
            "cost": print_decimal(self.cost),
            "tokens_sent": self.tokens_sent,
            "finish_reason": self.finish_reason,
            "finished": self.is_finished,
            "client_left": self.client_left,
            "started_at": self.started_at,
            "ended_at": self.ended_at,
        }

    def as_generation(self, provider_name: str) -> dict[str, Any]:
        """Print the record as OpenRouter's `GET /generation` does.

        source  openrouter.ai/docs, "Get request & usage metadata for a generation"
        """
        cost = float(self.cost)
        return {
            "id": self.id,
            "upstream_id": f"chatcmpl-{self.seq}",
            "model": self.model,
            "provider_name": provider_name,
            "created_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self.started_at)),
            "streamed": self.is_streamed,
            "cancelled": self.client_left and not self.is_finished,
            "finish_reason": self.finish_reason,
            "native_finish_reason": self.finish_reason,
            "total_cost": cost,
            "usage": cost,
            "upstream_inference_cost": 0,
            "cache_discount": None,
            "is_byok": False,
            "api_type": "completions",
            "tokens_prompt": self.prompt_tokens,
            "tokens_completion": self.completion_tokens,
            "native_tokens_prompt": self.prompt_tokens,
            "native_tokens_completion": self.completion_tokens,
            "native_tokens_cached": self.cached_tokens,
            "native_tokens_reasoning": self.reasoning_tokens,
            "num_media_prompt": self.image_parts,
            "latency": 1,
            "generation_time": round(((self.ended_at or self.started_at) - self.started_at) * 1000),
        }


@dataclass(slots=True)
class ServedLog:
    """The last records, oldest dropped first; sequence numbers go on after a reset, so ids stay unique."""

    max_records: int = MAX_RECORDS
    last_seq: int = 0
    _records: deque[Served] = field(default_factory=deque)
    _by_seq: dict[int, Served] = field(default_factory=dict)

    def open(self, provider: str, model: str, offer: Offer) -> Served:
        """Start the record of a request that has just come in."""
        self.last_seq += 1
        served = Served(self.last_seq, provider, model, offer)
        self._records.append(served)
        self._by_seq[served.seq] = served
        if len(self._records) > self.max_records:
            del self._by_seq[self._records.popleft().seq]
        return served

    def find(self, generation_id: str) -> Served | None:
        """Return the record of an id that an answer carried, while it is still kept."""
        text = generation_id.removeprefix("gen-sim-")
        return self._by_seq.get(int(text)) if text.isascii() and text.isdecimal() else None

    def list(self, *, after: int = 0, model: str | None = None, limit: int = MAX_RECORDS) -> list[Served]:
        """Return records with a higher sequence number, oldest first."""
        chosen = [r for r in self._records if r.seq > after and (model is None or r.model == model)]
        return chosen[:limit]

    def count(self) -> tuple[int, int]:
        """Return how many requests are kept, and how many of them are not answered yet."""
        return len(self._records), sum(1 for record in self._records if record.ended_at is None)

    def reset(self) -> None:
        """Forget every record; one whose answer is still being written simply is no longer listed."""
        self._records.clear()
        self._by_seq.clear()
