"""Subscription schedules: a subscription's coming phases, each with its price, as a downgrade at the period's end."""

import stripe

from infra.local.stripe_double.catalog import use_price
from infra.local.stripe_double.collection import end_subscription
from infra.local.stripe_double.customers import merge_metadata
from infra.local.stripe_double.periods import next_boundary
from infra.local.stripe_double.refusals import InvalidRequest, Json, MissingParameter, NotModelled
from infra.local.stripe_double.shapes import build
from infra.local.stripe_double.subscription_changes import update_subscription
from infra.local.stripe_double.subscriptions import find_living, period_end
from infra.local.stripe_double.world import World

NOT_MODELLED_OF_PHASES = frozenset({
    "add_invoice_items", "application_fee_percent", "automatic_tax", "billing_cycle_anchor", "billing_thresholds",
    "collection_method", "default_tax_rates", "discounts", "on_behalf_of", "transfer_data", "trial", "trial_end",
})  # fmt: skip


def create_schedule(world: World, params: Json, _: tuple[str, ...] = ()) -> Json:
    """Answer POST /v1/subscription_schedules: from a subscription, whose period is the first phase."""
    if "from_subscription" not in params:
        raise NotModelled("a schedule without from_subscription")
    if others := sorted(params.keys() - {"from_subscription", "expand"}):
        raise InvalidRequest(f"You cannot set `{others[0]}` if `from_subscription` is set.", param=others[0])
    subscription = find_living(world, params["from_subscription"])
    if subscription["schedule"] is not None:
        raise InvalidRequest(
            "You cannot migrate a subscription that is already attached to a schedule:"
            f" `{subscription['id']}` is already attached to `{subscription['schedule']}`",
            param="from_subscription",
        )
    item = subscription["items"]["data"][0]
    phase = _phase(item["price"], item["quantity"], item["current_period_start"], item["current_period_end"])
    schedule = _new_schedule(world, subscription, phase)
    subscription["schedule"] = schedule["id"]
    world.emit("subscription_schedule.created", world.add(schedule))
    return schedule


def update_schedule(world: World, params: Json, ids: tuple[str, ...]) -> Json:
    """Answer POST /v1/subscription_schedules/{id}."""
    schedule = _find_active(world, ids[0])
    phases = _read_phases(world, schedule, params["phases"]) if "phases" in params else schedule["phases"]
    with world.changing(schedule, "subscription_schedule.updated"):
        schedule["end_behavior"] = params.get("end_behavior", schedule["end_behavior"])
        schedule["metadata"] = merge_metadata(schedule["metadata"], params.get("metadata"))
        schedule["phases"] = phases
        _enter(schedule, phases[0])
    _use_price(world, schedule, phases[0], params.get("proration_behavior", "create_prorations"))
    return schedule


def release_schedule(world: World, _: Json, ids: tuple[str, ...]) -> Json:
    """Answer POST /v1/subscription_schedules/{id}/release: the subscription goes on as it is."""
    schedule = _find_active(world, ids[0])
    subscription = world.get("subscription", schedule["subscription"])
    released = {"released_at": world.now(), "released_subscription": subscription["id"]}
    schedule |= {"status": "released", "current_phase": None, "subscription": None, **released}
    subscription["schedule"] = None
    world.emit("subscription_schedule.released", schedule)
    return schedule


def cancel_schedule(world: World, _: Json, ids: tuple[str, ...]) -> Json:
    """Answer POST /v1/subscription_schedules/{id}/cancel: the subscription ends with it, now."""
    schedule = _find_active(world, ids[0])
    end_subscription(world, world.get("subscription", schedule["subscription"]), "cancellation_requested")
    return schedule


def get_schedule(world: World, _: Json, ids: tuple[str, ...]) -> Json:
    """Answer GET /v1/subscription_schedules/{id}."""
    return world.get("subscription_schedule", ids[0])


def begin_next_phase(world: World, schedule: Json) -> None:
    """Go on to the phase that begins now; after the last one the schedule lets go of the subscription, or ends it."""
    ended_at = schedule["current_phase"]["end_date"]
    coming = [phase for phase in schedule["phases"] if phase["start_date"] >= ended_at]
    if not coming and schedule["end_behavior"] == "cancel":
        cancel_schedule(world, {}, (schedule["id"],))
    elif not coming:
        release_schedule(world, {}, (schedule["id"],))
    else:
        with world.changing(schedule, "subscription_schedule.updated"):
            _enter(schedule, coming[0])
        _use_price(world, schedule, coming[0], coming[0]["proration_behavior"])


def _use_price(world: World, schedule: Json, phase: Json, behavior: str) -> None:
    """Give the subscription the phase's price; where its period ends there is nothing to prorate."""
    subscription = world.get("subscription", schedule["subscription"])
    item, wanted = subscription["items"]["data"][0], phase["items"][0]
    if (item["price"]["id"], item["quantity"]) == (wanted["price"], wanted["quantity"]):
        return
    when = min(max(phase["start_date"], world.now()), period_end(subscription))
    changed = {"id": item["id"], "price": wanted["price"], "quantity": wanted["quantity"]}
    behavior = "none" if when == period_end(subscription) else behavior
    params = {"items": [changed], "proration_behavior": behavior, "proration_date": when}
    update_subscription(world, params, (subscription["id"],))


def _read_phases(world: World, schedule: Json, given: list[Json]) -> list[Json]:
    if not given:
        raise MissingParameter("phases[0]")
    start, phases = schedule["current_phase"]["start_date"], []
    for index, phase in enumerate(given):
        path = f"phases[{index}]"
        _check_phase(phase, path, start)
        price = use_price(world, phase["items"][0], f"{path}[items][0]")
        end = _end_of(world, phase, price, start)
        behavior = phase.get("proration_behavior", "create_prorations")
        phases.append(
            {**_phase(price, phase["items"][0].get("quantity", 1), start, end), "proration_behavior": behavior}
        )
        start = end
    return phases


def _check_phase(phase: Json, path: str, start: int) -> None:
    for name in NOT_MODELLED_OF_PHASES & phase.keys():
        raise NotModelled(f"{path}[{name}]")
    if len(phase["items"]) != 1:
        raise NotModelled(f"{path}[items] with other than one item")
    if phase.get("start_date", start) != start:
        raise InvalidRequest(
            "You can not modify the start date of the current phase; a later one begins where the one before ends.",
            param=f"{path}[start_date]",
        )


def _end_of(world: World, phase: Json, price: Json, start: int) -> int:
    if phase.get("end_date") == "now":
        return world.now()
    if "end_date" in phase:
        end = int(phase["end_date"])
    else:
        length = phase.get("duration") or price["recurring"]
        end = next_boundary(start, start, length["interval"], length.get("interval_count", 1))
    if end <= start:
        raise InvalidRequest("The end date of a phase must be after its start.", param="phases[0][end_date]")
    return end


def _phase(price: Json, quantity: int, start: int, end: int) -> Json:
    shape = stripe.SubscriptionSchedule.Phase
    item = build(shape.Item, discounts=[], metadata={}, plan=price["id"], price=price["id"], quantity=quantity)
    return build(
        shape,
        add_invoice_items=[],
        currency=price["currency"],
        discounts=[],
        end_date=end,
        items=[item],
        metadata={},
        proration_behavior="create_prorations",
        start_date=start,
    )


def _new_schedule(world: World, subscription: Json, phase: Json) -> Json:
    defaults = build(
        stripe.SubscriptionSchedule.DefaultSettings,
        billing_cycle_anchor="automatic",
        collection_method="charge_automatically",
        invoice_settings={"account_tax_ids": None, "days_until_due": None, "issuer": {"type": "self"}},
    )
    return build(
        stripe.SubscriptionSchedule,
        id=world.new_id("sub_sched"),
        billing_mode=dict(subscription["billing_mode"]),
        created=world.now(),
        current_phase={"start_date": phase["start_date"], "end_date": phase["end_date"]},
        customer=subscription["customer"],
        default_settings=defaults,
        end_behavior="release",
        livemode=False,
        metadata={},
        pause_schedules=[],
        phases=[phase],
        status="active",
        subscription=subscription["id"],
    )


def _enter(schedule: Json, phase: Json) -> None:
    schedule["current_phase"] = {"start_date": phase["start_date"], "end_date": phase["end_date"]}


def _find_active(world: World, schedule_id: str) -> Json:
    schedule = world.get("subscription_schedule", schedule_id)
    if schedule["status"] != "active":
        raise InvalidRequest(f"This subscription schedule is {schedule['status']}; it can be changed no more.")
    return schedule
