"""Everything one double remembers: its objects, its clock, the cards behind payment methods, the events to deliver."""

import copy
import random
import string
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import stripe

from infra.local.stripe_double.cards import Card
from infra.local.stripe_double.clock import Clock
from infra.local.stripe_double.refusals import CardRefused, Json, ResourceMissing, StripeRefusal
from infra.local.stripe_double.shapes import build

ALPHABET = string.ascii_letters + string.digits
ID_CHARS = 24
LONG_ID_CHARS = 56
# Stripe names its kinds in errors as it names them in objects, but for one.
NOUNS = {"payment_method": "PaymentMethod"}


@dataclass(slots=True)
class Settings:
    """What an account's owner sets in Stripe's dashboard.

    after_retries: what becomes of a subscription whose invoice stays unpaid: unpaid, cancel or past_due
    units   dispute_fee: cents; tax_basis_points: hundredths of a percent, where automatic_tax is wished
    """

    after_retries: str = "unpaid"
    retry_after_days: tuple[int, ...] = (3, 5, 7)
    draft_s: int = 3_600
    dispute_fee: int = 1_500
    tax_basis_points: int = 0


@dataclass(frozen=True, slots=True)
class Cause:
    """The API request that events name as their cause."""

    request_id: str | None = None
    idempotency_key: str | None = None


@dataclass(slots=True)
class World:
    """base_url: where the pages are; outbox: events that nobody took yet; refund_fates: what becomes of refunds."""

    clock: Clock
    base_url: str = "http://127.0.0.1"
    seed: int | None = None
    settings: Settings = field(default_factory=Settings)
    cause: Cause = field(default_factory=Cause)
    cards: dict[str, Card] = field(default_factory=dict)
    outbox: list[Json] = field(default_factory=list)
    _tables: dict[str, dict[str, Json]] = field(default_factory=dict)
    _by_id: dict[str, Json] = field(default_factory=dict)
    _added: list[str] = field(default_factory=list)
    _random: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)

    def now(self) -> int:
        """Return the double's time."""
        return self.clock.now()

    def new_id(self, prefix: str, chars: int = ID_CHARS) -> str:
        """Return an id that is not in use."""
        return f"{prefix}_{''.join(self._random.choices(ALPHABET, k=chars))}"

    def add(self, row: Json) -> Json:
        """Keep an object."""
        if row["id"] not in self._by_id:
            self._added.append(row["id"])
        self._tables.setdefault(row["object"], {})[row["id"]] = row
        self._by_id[row["id"]] = row
        return row

    def rows(self, kind: str) -> list[Json]:
        """Return the objects of a kind, newest first."""
        return list(reversed(self._tables.get(kind, {}).values()))

    def find(self, object_id: str) -> Json | None:
        """Return the object of any kind that has this id."""
        return self._by_id.get(object_id)

    def get(self, kind: str, object_id: str, *, param: str | None = None) -> Json:
        """Return an object by the id that the URL, or a parameter, gave.

        raises  ResourceMissing
        """
        row = self._tables.get(kind, {}).get(object_id)
        if row is None:
            raise ResourceMissing(NOUNS.get(kind, kind), object_id, param=param)
        return row

    def emit(self, event_type: str, row: Json, previous: Json | None = None) -> None:
        """Make an event with the object as it is now."""
        data = {"object": copy.deepcopy(row)}
        if previous is not None:
            data["previous_attributes"] = previous
        event = build(
            stripe.Event,
            id=self.new_id("evt"),
            api_version=stripe.api_version,
            created=self.now(),
            data=data,
            livemode=False,
            pending_webhooks=0,
            request={"id": self.cause.request_id, "idempotency_key": self.cause.idempotency_key},
            type=event_type,
        )
        del event["account"], event["context"]
        self.outbox.append(self.add(event))

    @contextmanager
    def as_a_whole(self) -> Iterator[None]:
        """Forget what was added, events too, when the work is refused; a declined card leaves its traces."""
        added, emitted = len(self._added), len(self.outbox)
        try:
            yield
        except CardRefused:
            raise
        except StripeRefusal:
            for object_id in self._added[added:]:
                del self._tables[self._by_id.pop(object_id)["object"]][object_id]
            del self._added[added:], self.outbox[emitted:]
            raise

    @contextmanager
    def changing(self, row: Json, event_type: str) -> Iterator[Json]:
        """Emit an event with what changed in between, if anything did; a refusal changes nothing."""
        before = copy.deepcopy(row)
        try:
            yield row
        except StripeRefusal:
            # What did not change keeps being the same object.
            row |= {name: value for name, value in before.items() if row.get(name) != value}
            raise
        if before != row:
            self.emit(event_type, row, _differences(before, row))


def _differences(before: Json, after: Json) -> Json:
    """Return the old values of what changed; within objects only what changed, as Stripe does."""
    changed: Json = {}
    for name in before.keys() | after.keys():
        old, new = before.get(name), after.get(name)
        if old == new:
            continue
        changed[name] = _differences(old, new) if isinstance(old, dict) and isinstance(new, dict) else old
    return changed
