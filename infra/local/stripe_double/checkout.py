"""Checkout sessions: made with lines of one-off or recurring prices, expired, listed."""

import stripe

from infra.local.stripe_double.catalog import check_charge_amount, use_price
from infra.local.stripe_double.customers import NO_ADDRESS, find_customer, merge_metadata
from infra.local.stripe_double.refusals import InvalidRequest, Json, MissingParameter, NotModelled
from infra.local.stripe_double.shapes import build, list_of
from infra.local.stripe_double.tax import added_tax, tax_of
from infra.local.stripe_double.world import LONG_ID_CHARS, World

EXPIRES_AFTER_S = 86_400
EXPIRES_BOUNDS_S = (1_800, 86_400)
ECHOED = ("allow_promotion_codes", "billing_address_collection", "client_reference_id", "consent_collection",
          "customer_email", "locale", "origin_context", "payment_method_collection", "saved_payment_method_options",
          "submit_type", "tax_id_collection", "customer_creation", "branding_settings",
          "integration_identifier")  # fmt: skip
TAKES_ONLY = {"payment": ("payment_intent_data", "invoice_creation", "customer_creation", "submit_type"),
              "subscription": ("subscription_data", "payment_method_collection")}  # fmt: skip
# Parts of the request that only completing the session uses; Stripe does not show them either.
REMEMBERED = ("payment_intent_data", "subscription_data", "invoice_creation")


def create_session(world: World, params: Json, _: tuple[str, ...] = ()) -> Json:
    """Answer POST /v1/checkout/sessions."""
    mode = params.get("mode")
    _check_request(world, params, mode)
    lines = _read_lines(world, params, str(mode))
    total = sum(line["amount_total"] for line in lines)
    if mode == "payment":
        check_charge_amount(total, lines[0]["currency"], "line_items")
    session_id = world.new_id("cs_test", LONG_ID_CHARS)
    session = build(
        stripe.checkout.Session,
        id=session_id,
        amount_subtotal=sum(line["amount_subtotal"] for line in lines),
        amount_total=total,
        automatic_tax=_automatic_tax(params),
        cancel_url=params.get("cancel_url"),
        created=world.now(),
        currency=lines[0]["currency"],
        custom_fields=[],
        custom_text=build(stripe.checkout.Session.CustomText),
        customer=params.get("customer"),
        customer_details=_customer_details(world, params),
        discounts=[],
        expires_at=_expiry(world, params),
        invoice_creation=_invoice_creation(params) if mode == "payment" else None,
        livemode=False,
        metadata=merge_metadata({}, params.get("metadata")),
        mode=mode,
        payment_method_options={"card": {"request_three_d_secure": "automatic"}},
        payment_method_types=["card"],
        payment_status="unpaid",
        phone_number_collection={"enabled": False},
        shipping_options=[],
        status="open",
        success_url=params.get("success_url"),
        total_details={
            "amount_discount": 0,
            "amount_shipping": 0,
            "amount_tax": sum(line["amount_tax"] for line in lines),
        },
        ui_mode="hosted_page",
        url=f"{world.base_url}/c/pay/{session_id}",
    )
    session |= {name: params[name] for name in ECHOED if name in params}
    if mode == "payment":
        session["customer_creation"] = params.get("customer_creation", "if_required")
    world.add({"object": "double.session_request", "id": f"{session_id}_request", "lines": lines}
              | {name: params.get(name, {}) for name in REMEMBERED})  # fmt: skip
    return world.add(session)


def session_lines(world: World, session_id: str) -> list[Json]:
    """Return the session's lines."""
    return list(world.get("double.session_request", f"{session_id}_request")["lines"])


def session_request(world: World, session: Json) -> Json:
    """Return what the request asked for and the session does not show."""
    return world.get("double.session_request", f"{session['id']}_request")


def update_session(world: World, params: Json, ids: tuple[str, ...]) -> Json:
    """Answer POST /v1/checkout/sessions/{id}."""
    session = world.get("checkout.session", ids[0])
    session["metadata"] = merge_metadata(session["metadata"], params.get("metadata"))
    return session


def get_session(world: World, _: Json, ids: tuple[str, ...]) -> Json:
    """Answer GET /v1/checkout/sessions/{id}."""
    return world.get("checkout.session", ids[0])


def expire_session(world: World, _: Json, ids: tuple[str, ...]) -> Json:
    """Answer POST /v1/checkout/sessions/{id}/expire."""
    session = world.get("checkout.session", ids[0])
    if session["status"] != "open":
        raise InvalidRequest(
            f'Only Checkout Sessions with a status in ["open"] can be expired. This Checkout Session has a status of'
            f" {session['status']}."
        )
    session |= {"status": "expired", "url": None}
    world.emit("checkout.session.expired", session)
    return session


def _check_request(world: World, params: Json, mode: str | None) -> None:
    if mode is None:
        raise MissingParameter("mode")
    if mode == "setup":
        raise NotModelled("mode=setup")
    if params.get("ui_mode", "hosted_page") != "hosted_page":
        raise NotModelled(f"ui_mode={params['ui_mode']}")
    for name in ("line_items", "success_url"):
        if not params.get(name):
            raise MissingParameter(name)
    for other, names in TAKES_ONLY.items():
        for name in names:
            if other != mode and name in params:
                raise InvalidRequest(f"You can only use `{name}` in `{other}` mode.", param=name)
    if "customer" in params:
        find_customer(world, params["customer"], param="customer")
        if "customer_email" in params:
            raise InvalidRequest("You may only specify one of these parameters: customer, customer_email.",
                                 param="customer")  # fmt: skip


def _read_lines(world: World, params: Json, mode: str) -> list[Json]:
    lines = []
    for index, item in enumerate(params["line_items"]):
        path = f"line_items[{index}]"
        _check_line(item, path)
        price = use_price(world, item, path)
        if "quantity" not in item:
            raise InvalidRequest("Quantity is required. Add `quantity` to `" + path + "`", param=path)
        if item["quantity"] < 1:
            raise InvalidRequest("Invalid positive integer", param=f"{path}[quantity]")
        lines.append(_line(world, price, item["quantity"], is_taxed=is_taxed(params)))
    _check_prices([line["price"] for line in lines], mode, params.get("currency"))
    return lines


def _check_line(item: Json, path: str) -> None:
    for name in ("tax_rates", "dynamic_tax_rates"):
        if name in item:
            raise NotModelled(f"{path}[{name}]")
    if item.get("adjustable_quantity", {}).get("enabled"):
        raise NotModelled(f"{path}[adjustable_quantity]")


def _check_prices(prices: list[Json], mode: str, currency: str | None) -> None:
    types = {price["type"] for price in prices}
    if mode == "payment" and "recurring" in types:
        raise InvalidRequest("You specified `payment` mode but passed a recurring price. Either switch to"
                             " `subscription` mode or use only one-time prices.", param="line_items")  # fmt: skip
    if mode == "subscription" and "recurring" not in types:
        raise InvalidRequest("You must provide at least one recurring price in `subscription` mode.",
                             param="line_items")  # fmt: skip
    if mode == "subscription" and "one_time" in types:
        raise NotModelled("one-time prices in subscription mode")
    currencies = {price["currency"] for price in prices} | ({currency.lower()} if currency else set())
    if len(currencies) > 1:
        raise InvalidRequest("All prices on a Checkout session must have the same currency:"
                             f" {', '.join(sorted(currencies))}.", param="line_items")  # fmt: skip


def _line(world: World, price: Json, quantity: int, *, is_taxed: bool) -> Json:
    amount = price["unit_amount"] * quantity
    tax = tax_of(world, price, amount, is_taxed=is_taxed)
    return build(
        stripe.LineItem,
        id=world.new_id("li"),
        amount_discount=0,
        amount_subtotal=amount,
        amount_tax=tax,
        amount_total=amount + added_tax(price, tax),
        currency=price["currency"],
        description=world.get("product", price["product"])["name"],
        metadata={},
        price=price,
        quantity=quantity,
    )


def _expiry(world: World, params: Json) -> int:
    now, (least_s, most_s) = world.now(), EXPIRES_BOUNDS_S
    when = int(params.get("expires_at", now + EXPIRES_AFTER_S))
    if not now + least_s <= when <= now + most_s:
        raise InvalidRequest("The `expires_at` timestamp must be between 30 minutes and 24 hours from Checkout Session"
                             " creation.", param="expires_at")  # fmt: skip
    return when


def _customer_details(world: World, params: Json) -> Json | None:
    email = params.get("customer_email")
    if "customer" in params:
        email = find_customer(world, params["customer"])["email"]
    return None if email is None else describe_customer(email, None)


def describe_customer(email: str, name: str | None) -> Json:
    """Return who pays, as the session shows it."""
    shape = stripe.checkout.Session.CustomerDetails
    return build(shape, address=dict(NO_ADDRESS), email=email, name=name, tax_exempt="none", tax_ids=[])


def is_taxed(params: Json) -> bool:
    """Tell whether the request wishes tax to be added."""
    return bool(params.get("automatic_tax", {}).get("enabled", False))


def _automatic_tax(params: Json) -> Json:
    enabled = is_taxed(params)
    return build(stripe.checkout.Session.AutomaticTax, enabled=enabled, status="complete" if enabled else None)


def _invoice_creation(params: Json) -> Json:
    given = params.get("invoice_creation", {})
    data = build(stripe.checkout.Session.InvoiceCreation.InvoiceData, **given.get("invoice_data", {}))
    return {"enabled": given.get("enabled", False), "invoice_data": data}


def lines_url(session_id: str) -> str:
    """Return where a session's lines are listed."""
    return f"/v1/checkout/sessions/{session_id}/line_items"


def session_line_list(world: World, session: Json) -> Json:
    """Return the session's lines as a list object."""
    return list_of(session_lines(world, session["id"]), lines_url(session["id"]))
