"""Changing a subscription: another price or quantity with its proration, the wish to end, what it is paid with."""

from dataclasses import dataclass
from datetime import UTC, datetime

from infra.local.stripe_double.catalog import use_price
from infra.local.stripe_double.collection import collect_invoice, default_method
from infra.local.stripe_double.customers import merge_metadata
from infra.local.stripe_double.invoice_lines import Line, hold_back
from infra.local.stripe_double.invoices import Terms, draft_invoice
from infra.local.stripe_double.payments import refusal_of
from infra.local.stripe_double.periods import next_boundary, prorate
from infra.local.stripe_double.refusals import InvalidRequest, Json, NotModelled, ResourceMissing, StripeRefusal
from infra.local.stripe_double.subscriptions import (
    find_living,
    new_item,
    period_end,
    period_line,
    set_items,
    set_price,
)
from infra.local.stripe_double.world import World

NOT_MODELLED_OF_ITEMS = frozenset({"tax_rates", "discounts", "billing_thresholds", "clear_usage", "current_trial"})


@dataclass(frozen=True, slots=True)
class Change:
    """One item's change; no item: it is new; no price: it goes."""

    item: Json | None
    price: Json | None
    quantity: int


@dataclass(frozen=True, slots=True)
class Move:
    """All changes of one request, when they count from, and how they are charged."""

    changes: list[Change]
    when: int
    behavior: str
    resets_cycle: bool


def update_subscription(world: World, params: Json, ids: tuple[str, ...]) -> Json:
    """Change a subscription at once.

    raises  CardRefused with payment_behavior error_if_incomplete, then nothing has changed
    """
    subscription = find_living(world, ids[0])
    if subscription["schedule"] is not None and {"cancel_at", "cancel_at_period_end"} & params.keys():
        raise InvalidRequest(
            f"The subscription is managed by the subscription schedule `{subscription['schedule']}`, and updating any"
            " cancelation behavior directly is not allowed. Please update the schedule instead.",
        )
    behavior = params.get("payment_behavior", "allow_incomplete")
    if behavior not in {"allow_incomplete", "error_if_incomplete"}:
        raise NotModelled(f"payment_behavior={behavior}")
    move = read_move(world, subscription, params)
    method = _read_method(world, subscription, params)
    if behavior == "error_if_incomplete" and move is not None:
        _check_payable(world, subscription, move)
    invoice = None
    with world.changing(subscription, "customer.subscription.updated"):
        _change_plainly(world, subscription, params)
        subscription["default_payment_method"] = method
        if move is not None:
            invoice = apply_move(world, subscription, move)
    if invoice is not None:
        collect_invoice(world, invoice)
    return subscription


def apply_changes(world: World, subscription: Json, params: Json) -> Json | None:
    """Change prices, quantities and the wish to end; return the draft of an invoice when one is due at once.

    raises  InvalidRequest, ResourceMissing
    """
    move = read_move(world, subscription, params)
    _change_plainly(world, subscription, params)
    return None if move is None else apply_move(world, subscription, move)


def _change_plainly(world: World, subscription: Json, params: Json) -> None:
    subscription["metadata"] = merge_metadata(subscription["metadata"], params.get("metadata"))
    subscription["description"] = params.get("description", subscription["description"]) or None
    subscription["cancellation_details"] |= params.get("cancellation_details", {})
    if "automatic_tax" in params:
        subscription["automatic_tax"]["enabled"] = params["automatic_tax"]["enabled"]
    if "cancel_at_period_end" in params:
        _wish_end(world, subscription, period_end(subscription) if params["cancel_at_period_end"] else None)
        subscription["cancel_at_period_end"] = params["cancel_at_period_end"]
    elif "cancel_at" in params:
        given = params["cancel_at"]
        when = period_end(subscription) if isinstance(given, str) and given else given or None
        _wish_end(world, subscription, when)
        subscription["cancel_at_period_end"] = when == period_end(subscription)


def _wish_end(world: World, subscription: Json, when: int | None) -> None:
    if when is not None and when <= world.now():
        raise InvalidRequest("The cancel_at timestamp must be in the future.", param="cancel_at")
    subscription |= {"cancel_at": when, "canceled_at": None if when is None else world.now()}
    subscription["cancellation_details"]["reason"] = None if when is None else "cancellation_requested"


def _read_method(world: World, subscription: Json, params: Json) -> str | None:
    chosen = params.get("default_payment_method", subscription["default_payment_method"])
    if chosen is not None:
        method = world.get("payment_method", chosen, param="default_payment_method")
        if method["customer"] != subscription["customer"]:
            raise ResourceMissing("PaymentMethod", chosen, param="default_payment_method")
    return None if chosen is None else str(chosen)


def read_move(world: World, subscription: Json, params: Json) -> Move | None:
    """Return what changes of prices and quantities, or of the cycle, were asked for."""
    changes = [_read_change(world, subscription, item, f"items[{index}]")
               for index, item in enumerate(params.get("items", []))]  # fmt: skip
    resets_cycle = params.get("billing_cycle_anchor") == "now"
    if not (resets_cycle or any(_differs(change) for change in changes)):
        return None
    items = _items_after(subscription, changes)
    if not items:
        raise InvalidRequest("A subscription must have at least one active item.", param="items")
    _check_prices(subscription, items)
    when = params.get("proration_date", world.now())
    begun = subscription["items"]["data"][0]["current_period_start"]
    if not begun <= when <= period_end(subscription):
        raise InvalidRequest("Cannot specify proration_date outside of the current period.", param="proration_date")
    resets_cycle = resets_cycle or _interval(items[0]) != _interval(subscription["items"]["data"][0]["price"])
    return Move(changes, when, params.get("proration_behavior", "create_prorations"), resets_cycle)


def _read_change(world: World, subscription: Json, given: Json, path: str) -> Change:
    for name in NOT_MODELLED_OF_ITEMS & given.keys():
        raise NotModelled(f"{path}[{name}]")
    item = _find_item(subscription, given["id"], path) if "id" in given else None
    if given.get("deleted"):
        if item is None:
            raise ResourceMissing("subscription item", "", param=f"{path}[id]")
        return Change(item, None, 0)
    if item is not None and "price" not in given and "price_data" not in given:
        return Change(item, item["price"], given["quantity"] if "quantity" in given else item["quantity"])
    return Change(item, use_price(world, given, path), given.get("quantity", 1))


def _find_item(subscription: Json, item_id: str, path: str) -> Json:
    for item in subscription["items"]["data"]:
        if item["id"] == item_id:
            found: Json = item
            return found
    raise ResourceMissing("subscription item", item_id, param=f"{path}[id]")


def _items_after(subscription: Json, changes: list[Change]) -> list[Json]:
    """Return the prices that the subscription would have."""
    changed = {change.item["id"] for change in changes if change.item is not None}
    kept = [item["price"] for item in subscription["items"]["data"] if item["id"] not in changed]
    return [*(change.price for change in changes if change.price is not None), *kept]


def _check_prices(subscription: Json, prices: list[Json]) -> None:
    for price in prices:
        if price["type"] != "recurring":
            raise InvalidRequest("The price specified is not recurring.", param="items[0][price]")
        if price["currency"] != subscription["currency"]:
            raise InvalidRequest(
                f"The price specified has the currency {price['currency']}; the subscription's is"
                f" {subscription['currency']}.",
                param="items[0][price]",
            )
    if len({_interval(price) for price in prices}) > 1:
        raise NotModelled("prices of different intervals in one subscription")


def apply_move(world: World, subscription: Json, move: Move) -> Json | None:
    """Change the items; return the draft of an invoice when it is due at once."""
    lines = [] if move.behavior == "none" else _prorations(world, subscription, move)
    _change_items(world, subscription, move)
    if move.resets_cycle:
        _reset_cycle(world, subscription)
        lines += [period_line(world, subscription, item) for item in subscription["items"]["data"]]
    elif move.behavior != "always_invoice":
        for line in lines:
            hold_back(world, line, subscription["customer"])
        return None
    return _draft(world, subscription, lines) if lines else None


def _draft(world: World, subscription: Json, lines: list[Line]) -> Json:
    now = world.now()
    terms = Terms("subscription_update", now, now, subscription, is_taxed=subscription["automatic_tax"]["enabled"])
    invoice = draft_invoice(world, world.get("customer", subscription["customer"]), lines, terms)
    subscription["latest_invoice"] = invoice["id"]
    return invoice


def _change_items(world: World, subscription: Json, move: Move) -> None:
    items = list(subscription["items"]["data"])
    for change in move.changes:
        if change.item is None and change.price is not None:
            items.append(new_item(world, subscription, change.price, change.quantity))
        elif change.item is not None and change.price is None:
            items.remove(change.item)
        elif change.item is not None and change.price is not None:
            set_price(change.item, change.price, change.quantity)
    set_items(subscription, items)


def _reset_cycle(world: World, subscription: Json) -> None:
    now = world.now()
    subscription["billing_cycle_anchor"] = now
    for item in subscription["items"]["data"]:
        interval, count = _interval(item["price"])
        item |= {"current_period_start": now, "current_period_end": next_boundary(now, now, interval, count)}
    if subscription["cancel_at_period_end"]:
        subscription["cancel_at"] = period_end(subscription)


def _prorations(world: World, subscription: Json, move: Move) -> list[Line]:
    """Return the credit for what is not used up, and, in a cycle that goes on, the charge for the rest of it."""
    lines = []
    for change in [change for change in move.changes if _differs(change)] or _all_unchanged(subscription):
        if change.item is not None:
            credit = -change.item["price"]["unit_amount"] * change.item["quantity"]
            lines.append(_proration(world, change.item["price"], change.item["quantity"], credit, (subscription, move)))
        if change.price is not None and not move.resets_cycle:
            charge = change.price["unit_amount"] * change.quantity
            lines.append(_proration(world, change.price, change.quantity, charge, (subscription, move)))
    return lines


def _proration(world: World, price: Json, quantity: int, amount: int, context: tuple[Json, Move]) -> Line:
    subscription, move = context
    first = subscription["items"]["data"][0]
    start, end = first["current_period_start"], first["current_period_end"]
    day = datetime.fromtimestamp(move.when, UTC).strftime("%d %b %Y")
    name = world.get("product", price["product"])["name"]
    return Line(
        prorate(amount, end - move.when, end - start),
        price,
        quantity,
        move.when,
        end,
        f"{'Unused' if amount < 0 else 'Remaining'} time on {name} after {day}",
        subscription["id"],
        first["id"],
        is_proration=True,
    )


def is_payable(world: World, subscription: Json, move: Move) -> bool:
    """Tell whether what the change charges at once, if anything, would be paid."""
    try:
        _check_payable(world, subscription, move)
    except StripeRefusal:
        return False
    return True


def _check_payable(world: World, subscription: Json, move: Move) -> None:
    """Refuse the change when what it charges at once would be declined.

    raises  CardRefused
    """
    if not move.resets_cycle and move.behavior != "always_invoice":
        return
    stand_in = {
        "parent": {"subscription_details": {"subscription": subscription["id"]}},
        "customer": subscription["customer"],
    }
    method = default_method(world, stand_in)
    if method is None:
        raise InvalidRequest("This customer has no attached payment source or default payment method.")
    refusal = refusal_of(world.cards[method["id"]], is_authenticated=False)
    if refusal is not None:
        raise refusal


def _all_unchanged(subscription: Json) -> list[Change]:
    return [Change(item, item["price"], item["quantity"]) for item in subscription["items"]["data"]]


def _differs(change: Change) -> bool:
    if change.item is None or change.price is None:
        return True
    return bool(change.item["price"]["id"] != change.price["id"] or change.item["quantity"] != change.quantity)


def _interval(price: Json) -> tuple[str, int]:
    return price["recurring"]["interval"], price["recurring"]["interval_count"]
