"""Lists and look-ups that need no more than a kind, and the filters that Stripe gives each."""

from collections.abc import Callable

from infra.local.stripe_double import checkout, customers
from infra.local.stripe_double.listing import Matches, field_is, list_rows
from infra.local.stripe_double.refusals import Json
from infra.local.stripe_double.world import World

Answer = Callable[[World, Json, tuple[str, ...]], Json]


def lister(kind: str, path: str, **filters: Matches) -> Answer:
    """Return the answer to a list of one kind, with its filters."""

    def answer(world: World, params: Json, _: tuple[str, ...]) -> Json:
        return list_rows(world.rows(kind), params, path, filters)

    return answer


def list_customer_methods(world: World, params: Json, ids: tuple[str, ...]) -> Json:
    """Answer GET /v1/customers/{id}/payment_methods."""
    customers.find_customer(world, ids[0])
    rows = [row for row in world.rows("payment_method") if row["customer"] == ids[0]]
    return list_rows(rows, params, f"/v1/customers/{ids[0]}/payment_methods", METHOD_FILTERS)


def list_session_lines(world: World, params: Json, ids: tuple[str, ...]) -> Json:
    """Answer GET /v1/checkout/sessions/{id}/line_items."""
    world.get("checkout.session", ids[0])
    return list_rows(checkout.session_lines(world, ids[0]), params, checkout.lines_url(ids[0]), {})


def list_invoice_lines(world: World, params: Json, ids: tuple[str, ...]) -> Json:
    """Answer GET /v1/invoices/{id}/lines."""
    lines = world.get("invoice", ids[0])["lines"]["data"]
    return list_rows(lines, params, f"/v1/invoices/{ids[0]}/lines", {})


def list_items(world: World, params: Json, _: tuple[str, ...]) -> Json:
    """Answer GET /v1/subscription_items."""
    items = world.get("subscription", params["subscription"], param="subscription")["items"]["data"]
    return list_rows(items, params, "/v1/subscription_items", {"subscription": field_is("subscription")})


def getter(kind: str) -> Answer:
    """Return the answer to a look-up of one kind."""
    return lambda world, _, ids: world.get(kind, ids[0])


def is_subscription_in(row: Json, wanted: object) -> bool:
    """Filter subscriptions by status, which also knows `ended` and `all`."""
    ended = {"ended": row["status"] in {"canceled", "incomplete_expired"}, "all": True}
    return bool(ended.get(str(wanted), row["status"] == wanted))


def list_subscriptions(world: World, params: Json, _: tuple[str, ...]) -> Json:
    """Leave the ended ones out unless they are asked for, as Stripe does."""
    rows = [row for row in world.rows("subscription") if "status" in params or row["status"] != "canceled"]
    return list_rows(rows, params, "/v1/subscriptions", SUBSCRIPTION_FILTERS)


def has_price(row: Json, wanted: object) -> bool:
    """Filter subscriptions by price."""
    return any(item["price"]["id"] == wanted for item in row["items"]["data"])


def pays_with(row: Json, wanted: object) -> bool:
    """Filter invoice payments by their intent."""
    return isinstance(wanted, dict) and row["payment"]["payment_intent"] == wanted.get("payment_intent")


def belongs_to_subscription(row: Json, wanted: object) -> bool:
    """Filter invoices by subscription."""
    return row["parent"] is not None and row["parent"]["subscription_details"]["subscription"] == wanted


def is_payer(row: Json, wanted: object) -> bool:
    """Filter sessions by the payer's e-mail."""
    details = row["customer_details"] or {}
    return isinstance(wanted, dict) and details.get("email") == wanted.get("email")


def is_recurring(row: Json, wanted: object) -> bool:
    """Filter prices by their interval."""
    recurring = row["recurring"] or {}
    return isinstance(wanted, dict) and all(recurring.get(name) == value for name, value in wanted.items())


def is_in(name: str) -> Matches:
    """Return a filter for one of several values."""
    return lambda row, wanted: isinstance(wanted, list) and row[name] in wanted


CUSTOMER = {"customer": field_is("customer")}
METHOD_FILTERS: dict[str, Matches] = {
    **CUSTOMER,
    "type": field_is("type"),
    "allow_redisplay": field_is("allow_redisplay"),
}
SUBSCRIPTION_FILTERS: dict[str, Matches] = {
    **CUSTOMER,
    "status": is_subscription_in,
    "price": has_price,
    "collection_method": field_is("collection_method"),
    "automatic_tax": lambda row, wanted: row["automatic_tax"] == wanted,
}
PAYMENT = {"payment_intent": field_is("payment_intent"), "charge": field_is("charge")}
