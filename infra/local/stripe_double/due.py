"""What happens by itself when time passes: renewals, collections, expiries, each at its own moment and in order."""

from collections.abc import Callable, Iterator
from functools import partial

from infra.local.stripe_double.checkout import expire_session
from infra.local.stripe_double.collection import collect_invoice, end_subscription
from infra.local.stripe_double.pending_updates import expire_update
from infra.local.stripe_double.refusals import Json
from infra.local.stripe_double.schedules import begin_next_phase
from infra.local.stripe_double.subscriptions import RENEWED, period_end, renew_subscription
from infra.local.stripe_double.world import World

# A hundred subscriptions over a century; past it something renews itself in a circle.
MAX_STEPS = 200_000

Due = tuple[int, Callable[[], object]]


def advance(world: World, until: int) -> None:
    """Move the clock, and do what falls due on the way at the time it does.

    raises  RuntimeError when there is no end to it
    """
    for _ in range(MAX_STEPS):
        due = min(_everything_due(world), key=lambda due: due[0], default=None)
        if due is None or due[0] > until:
            world.clock.move_to(until)
            return
        world.clock.move_to(due[0])
        due[1]()
    raise RuntimeError("too much fell due at once")


def catch_up(world: World) -> None:
    """Do what fell due since the last look."""
    advance(world, world.now())


def _everything_due(world: World) -> Iterator[Due]:
    for session in world.rows("checkout.session"):
        if session["status"] == "open":
            yield session["expires_at"], partial(expire_session, world, {}, (session["id"],))
    # A phase begins before the renewal of the same moment, which then charges its price.
    for schedule in world.rows("subscription_schedule"):
        if schedule["status"] == "active":
            yield schedule["current_phase"]["end_date"], partial(begin_next_phase, world, schedule)
    for subscription in world.rows("subscription"):
        yield from _due_of_subscription(world, subscription)
    for invoice in world.rows("invoice"):
        when = invoice["automatically_finalizes_at"] or invoice["next_payment_attempt"]
        if invoice["auto_advance"] and when is not None:
            yield when, partial(collect_invoice, world, invoice)


def _due_of_subscription(world: World, subscription: Json) -> Iterator[Due]:
    if subscription["status"] not in RENEWED:
        return
    if subscription["pending_update"] is not None:
        yield subscription["pending_update"]["expires_at"], partial(expire_update, world, subscription)
    ends_at = subscription["cancel_at"]
    if ends_at is not None and ends_at <= period_end(subscription):
        yield ends_at, partial(end_subscription, world, subscription, "cancellation_requested")
    else:
        yield period_end(subscription), partial(renew_subscription, world, subscription)
