"""Customers and the payment methods attached to them."""

from typing import Any

import stripe

from infra.local.stripe_double.cards import TOKEN_PREFIX, Card, card_details, find_card
from infra.local.stripe_double.refusals import InvalidRequest, Json, ResourceMissing
from infra.local.stripe_double.shapes import build
from infra.local.stripe_double.world import World

NO_ADDRESS = {"city": None, "country": None, "line1": None, "line2": None, "postal_code": None, "state": None}
CHANGEABLE = ("address", "business_name", "description", "email", "individual_name", "name", "phone", "shipping",
              "tax_exempt", "preferred_locales")  # fmt: skip


def create_customer(world: World, params: Json, _: tuple[str, ...] = ()) -> Json:
    """Answer POST /v1/customers."""
    customer = build(
        stripe.Customer,
        id=world.new_id("cus", 14),
        balance=params.get("balance", 0),
        created=world.now(),
        delinquent=False,
        invoice_prefix=world.new_id("X", 8).removeprefix("X_").upper(),
        invoice_settings=build(stripe.Customer.InvoiceSettings),
        livemode=False,
        metadata=merge_metadata({}, params.get("metadata")),
        next_invoice_sequence=1,
        preferred_locales=[],
        tax_exempt="none",
    )
    _change(world, customer, params)
    world.emit("customer.created", world.add(customer))
    if "payment_method" in params:
        attach_method(world, {"customer": customer["id"]}, (params["payment_method"],))
    return customer


def get_customer(world: World, _: Json, ids: tuple[str, ...]) -> Json:
    """Answer GET /v1/customers/{id}; one that was deleted is a stub."""
    customer = world.get("customer", ids[0])
    return _stub(customer) if customer.get("deleted") else customer


def update_customer(world: World, params: Json, ids: tuple[str, ...]) -> Json:
    """Answer POST /v1/customers/{id}."""
    customer = find_customer(world, ids[0])
    with world.changing(customer, "customer.updated"):
        _change(world, customer, params)
        customer["metadata"] = merge_metadata(customer["metadata"], params.get("metadata"))
        customer["balance"] = params.get("balance", customer["balance"])
    return customer


def delete_customer(world: World, _: Json, ids: tuple[str, ...]) -> Json:
    """Answer DELETE /v1/customers/{id}; the route ends its subscriptions first."""
    customer = find_customer(world, ids[0])
    world.emit("customer.deleted", customer)
    customer["deleted"] = True
    return _stub(customer)


def find_customer(world: World, customer_id: str, *, param: str | None = None) -> Json:
    """Return a customer that was not deleted.

    raises  ResourceMissing
    """
    customer = world.get("customer", customer_id, param=param)
    if customer.get("deleted"):
        raise ResourceMissing("customer", customer_id, param=param)
    return customer


def merge_metadata(old: dict[str, str], given: Any) -> dict[str, str]:
    """Return the metadata with what was given; an empty value unsets a key, an empty string all of them."""
    if given == "":
        return {}
    return {name: value for name, value in {**old, **(given or {})}.items() if value != ""}


def create_method(world: World, card: Card, *, email: str | None = None, name: str | None = None) -> Json:
    """Make a payment method of a card, attached to nobody."""
    shown = build(
        stripe.PaymentMethod.Card,
        **card_details(card),
        display_brand=card.brand,
        networks={"available": [card.brand], "preferred": None},
        three_d_secure_usage={"supported": True},
    )
    method: Json = {
        "id": world.new_id("pm"),
        "object": "payment_method",
        "allow_redisplay": "limited",
        "billing_details": billing_details(email, name),
        "card": shown,
        "created": world.now(),
        "customer": None,
        "customer_account": None,
        "livemode": False,
        "metadata": {},
        "type": "card",
    }
    world.cards[method["id"]] = card
    return world.add(method)


def billing_details(email: str | None, name: str | None) -> Json:
    """Return who a card says its owner is."""
    return {"address": dict(NO_ADDRESS), "email": email, "name": name, "phone": None, "tax_id": None}


def take_method(world: World, method_id: str, *, param: str) -> Json:
    """Return a payment method; a `pm_card_` token makes a new one, as in Stripe's test mode.

    raises  ResourceMissing
    """
    if method_id.startswith(TOKEN_PREFIX):
        card = find_card(method_id)
        if card is None:
            raise ResourceMissing("PaymentMethod", method_id, param=param)
        return create_method(world, card)
    if world.find(method_id) is None:
        raise ResourceMissing("PaymentMethod", method_id, param=param)
    return world.get("payment_method", method_id, param=param)


def get_method(world: World, _: Json, ids: tuple[str, ...]) -> Json:
    """Answer GET /v1/payment_methods/{id}."""
    return world.get("payment_method", ids[-1])


def attach_method(world: World, params: Json, ids: tuple[str, ...]) -> Json:
    """Answer POST /v1/payment_methods/{id}/attach."""
    customer = find_customer(world, params.get("customer", ""), param="customer")
    method = take_method(world, ids[0], param="payment_method")
    if method["customer"] not in {None, customer["id"]}:
        raise InvalidRequest(
            "The payment method you provided has already been attached to a customer.",
            code="payment_method_unexpected_state",
        )
    if method["customer"] is None:
        method["customer"] = customer["id"]
        world.emit("payment_method.attached", method)
    return method


def detach_method(world: World, _: Json, ids: tuple[str, ...]) -> Json:
    """Answer POST /v1/payment_methods/{id}/detach."""
    method = world.get("payment_method", ids[0])
    owner = method["customer"]
    if owner is None:
        raise InvalidRequest(
            "The payment method you provided is not attached to a customer so detachment is impossible."
        )
    with world.changing(method, "payment_method.detached"):
        method["customer"] = None
    settings = world.get("customer", owner)["invoice_settings"]
    if settings["default_payment_method"] == method["id"]:
        settings["default_payment_method"] = None
    return method


def set_default_card(world: World, customer: Json, card: Card) -> Json:
    """Attach a card and make it the one that invoices are paid with."""
    method = create_method(world, card, email=customer["email"])
    attach_method(world, {"customer": customer["id"]}, (method["id"],))
    settings = {"invoice_settings": {"default_payment_method": method["id"]}}
    update_customer(world, settings, (customer["id"],))
    for subscription in world.rows("subscription"):
        if subscription["customer"] == customer["id"] and subscription["ended_at"] is None:
            subscription["default_payment_method"] = method["id"]
    return method


def _change(world: World, customer: Json, params: Json) -> None:
    for name in CHANGEABLE:
        if name in params:
            customer[name] = None if params[name] == "" else params[name]
    given = params.get("invoice_settings", {})
    if "default_payment_method" in given:
        method = world.get(
            "payment_method", given["default_payment_method"], param="invoice_settings[default_payment_method]"
        )
        if method["customer"] != customer["id"]:
            raise InvalidRequest(
                "The customer does not have a payment method with the ID"
                f" {method['id']}. The payment method must be attached to the customer.",
                param="invoice_settings[default_payment_method]",
                code="resource_missing",
            )
        customer["invoice_settings"]["default_payment_method"] = method["id"]


def _stub(customer: Json) -> Json:
    return {"id": customer["id"], "object": "customer", "deleted": True}
