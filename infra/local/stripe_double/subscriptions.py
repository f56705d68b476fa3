"""Subscriptions: begun, renewed, cancelled at once or at the period's end."""

import stripe

from infra.local.stripe_double.collection import end_subscription
from infra.local.stripe_double.customers import delete_customer, find_customer
from infra.local.stripe_double.invoice_lines import Line, take_held_back
from infra.local.stripe_double.invoices import Terms, draft_invoice
from infra.local.stripe_double.periods import next_boundary
from infra.local.stripe_double.refusals import InvalidRequest, Json
from infra.local.stripe_double.shapes import build, list_of
from infra.local.stripe_double.world import World

Chosen = list[tuple[Json, int]]
RENEWED = frozenset({"active", "past_due", "unpaid"})


def begin_subscription(world: World, customer: Json, chosen: Chosen, details: Json) -> tuple[Json, Json]:
    """Make a subscription and the draft of its first invoice; both wait for the money.

    chosen: prices with their quantities
    raises  InvalidRequest for prices that do not go together
    """
    _check_prices(customer, chosen)
    now = world.now()
    first = chosen[0][0]
    subscription = build(
        stripe.Subscription,
        id=world.new_id("sub"),
        automatic_tax={"disabled_reason": None, "enabled": details.get("is_taxed", False), "liability": None},
        billing_cycle_anchor=now,
        billing_mode={"flexible": {"proration_discounts": "included"}, "type": "flexible", "updated_at": None},
        billing_schedules=[],
        cancel_at_period_end=False,
        cancellation_details=build(stripe.Subscription.CancellationDetails),
        collection_method="charge_automatically",
        created=now,
        currency=first["currency"],
        customer=customer["id"],
        default_tax_rates=[],
        discounts=[],
        invoice_settings=build(stripe.Subscription.InvoiceSettings, issuer={"account": None, "type": "self"}),
        items=list_of([], ""),
        livemode=False,
        metadata=details.get("metadata", {}),
        description=details.get("description"),
        default_payment_method=details.get("default_payment_method"),
        payment_settings={"payment_method_options": None, "payment_method_types": None,
                          "save_default_payment_method": "off"},
        start_date=now,
        status="incomplete",
        trial_settings={"end_behavior": {"billing_cycle_anchor": None, "missing_payment_method": "create_invoice"}},
    )  # fmt: skip
    customer["currency"] = first["currency"]
    items = [new_item(world, subscription, price, quantity) for price, quantity in chosen]
    set_items(subscription, items)
    world.emit("customer.subscription.created", world.add(subscription))
    terms = Terms("subscription_create", now, now, subscription, is_taxed=details.get("is_taxed", False))
    invoice = draft_invoice(world, customer, [period_line(world, subscription, item) for item in items], terms)
    subscription["latest_invoice"] = invoice["id"]
    return subscription, invoice


def new_item(world: World, subscription: Json, price: Json, quantity: int) -> Json:
    """Make an item whose period began with the subscription's."""
    recurring, anchor = price["recurring"], subscription["billing_cycle_anchor"]
    items = subscription["items"]["data"]
    now = world.now()
    end = next_boundary(anchor, now, recurring["interval"], recurring["interval_count"])
    item = build(
        stripe.SubscriptionItem,
        id=world.new_id("si", 14),
        created=now,
        current_period_end=items[0]["current_period_end"] if items else end,
        current_period_start=items[0]["current_period_start"] if items else now,
        discounts=[],
        metadata={},
        plan=_plan(price),
        price=price,
        quantity=quantity,
        subscription=subscription["id"],
        tax_rates=[],
    )
    return world.add(item)


def set_items(subscription: Json, items: list[Json]) -> None:
    """Give the subscription these items."""
    url = f"/v1/subscription_items?subscription={subscription['id']}"
    subscription["items"] = {**list_of(items, url), "total_count": len(items)}


def set_price(item: Json, price: Json, quantity: int) -> None:
    """Give an item another price."""
    item |= {"price": price, "plan": _plan(price), "quantity": quantity}


def period_line(world: World, subscription: Json, item: Json) -> Line:
    """Return the line that charges an item for its current period."""
    price, quantity = item["price"], item["quantity"]
    recurring = price["recurring"]
    name = world.get("product", price["product"])["name"]
    shown = f"{price['unit_amount'] // 100}.{price['unit_amount'] % 100:02} / {recurring['interval']}"
    return Line(
        price["unit_amount"] * quantity,
        price,
        quantity,
        item["current_period_start"],
        item["current_period_end"],
        f"{quantity} x {name} (at ${shown})",
        subscription["id"],
        item["id"],
    )


def renew_subscription(world: World, subscription: Json) -> None:
    """Begin the next period with a draft of its invoice, which is charged an hour later; or end, if that was wished."""
    if subscription["cancel_at_period_end"]:
        end_subscription(world, subscription, "cancellation_requested")
        return
    items = subscription["items"]["data"]
    start, end = items[0]["current_period_start"], items[0]["current_period_end"]
    is_collected = subscription["status"] != "unpaid"
    with world.changing(subscription, "customer.subscription.updated"):
        for item in items:
            _move_on(subscription, item)
        lines = [*take_held_back(world, subscription), *(period_line(world, subscription, item) for item in items)]
        is_taxed = subscription["automatic_tax"]["enabled"]
        terms = Terms("subscription_cycle", start, end, subscription, is_collected=is_collected, is_taxed=is_taxed)
        invoice = draft_invoice(world, world.get("customer", subscription["customer"]), lines, terms)
        take_held_back(world, subscription, invoice["id"])
        subscription["latest_invoice"] = invoice["id"]
    if is_collected:
        invoice["automatically_finalizes_at"] = world.now() + world.settings.draft_s


def cancel_subscription(world: World, params: Json, ids: tuple[str, ...]) -> Json:
    """Answer DELETE /v1/subscriptions/{id}: it ends now, nothing is given back."""
    subscription = find_living(world, ids[0])
    subscription["cancellation_details"] |= params.get("cancellation_details", {})
    end_subscription(world, subscription, "cancellation_requested")
    return subscription


def get_subscription(world: World, _: Json, ids: tuple[str, ...]) -> Json:
    """Answer GET /v1/subscriptions/{id}."""
    return world.get("subscription", ids[0])


def find_living(world: World, subscription_id: str) -> Json:
    """Return a subscription that has not ended.

    raises  ResourceMissing, InvalidRequest
    """
    subscription = world.get("subscription", subscription_id)
    if subscription["ended_at"] is not None:
        raise InvalidRequest(
            "A canceled subscription can only update its cancellation_details and metadata.",
            param="id",
            code="resource_missing",
        )
    return subscription


def period_end(subscription: Json) -> int:
    """Return when the current period ends."""
    return int(subscription["items"]["data"][0]["current_period_end"])


def _move_on(subscription: Json, item: Json) -> None:
    price = item["price"]["recurring"]
    begun = item["current_period_end"]
    end = next_boundary(subscription["billing_cycle_anchor"], begun, price["interval"], price["interval_count"])
    item |= {"current_period_start": begun, "current_period_end": end}


def _check_prices(customer: Json, chosen: Chosen) -> None:
    for price, _ in chosen:
        if price["type"] != "recurring":
            raise InvalidRequest(
                f"The price specified is set to `type=one_time` but this field only accepts prices with"
                f" `type=recurring`: {price['id']}",
                param="items[0][price]",
            )
    if len({(price["recurring"]["interval"], price["recurring"]["interval_count"]) for price, _ in chosen}) > 1:
        raise InvalidRequest("All prices of a subscription of the double need the same interval.", param="items")
    currencies = {price["currency"] for price, _ in chosen} | ({customer["currency"]} - {None})
    if len(currencies) > 1:
        raise InvalidRequest(
            "You cannot combine currencies on a single customer. This customer has an active subscription, subscription"
            f" schedule, discount, quote, or invoice item with currency {customer['currency']}.",
        )


def _plan(price: Json) -> Json:
    """Return the price in its older form, which items still carry."""
    recurring = price["recurring"]
    return build(
        stripe.Plan,
        id=price["id"],
        active=price["active"],
        amount=price["unit_amount"],
        amount_decimal=price["unit_amount_decimal"],
        billing_scheme=price["billing_scheme"],
        created=price["created"],
        currency=price["currency"],
        interval=recurring["interval"],
        interval_count=recurring["interval_count"],
        livemode=False,
        metadata=price["metadata"],
        nickname=price["nickname"],
        product=price["product"],
        usage_type="licensed",
    )


def end_customer(world: World, _: Json, ids: tuple[str, ...]) -> Json:
    """Answer DELETE /v1/customers/{id}: the customer's subscriptions end as well."""
    find_customer(world, ids[0])
    for subscription in world.rows("subscription"):
        if subscription["customer"] == ids[0] and subscription["ended_at"] is None:
            end_subscription(world, subscription, "cancellation_requested")
    return delete_customer(world, {}, ids)
