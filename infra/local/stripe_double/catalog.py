"""Products and prices: one-off, or recurring by the day, week, month or year."""

from decimal import Decimal

import stripe

from infra.local.stripe_double.customers import merge_metadata
from infra.local.stripe_double.refusals import InvalidRequest, Json, MissingParameter
from infra.local.stripe_double.shapes import build
from infra.local.stripe_double.world import World

# Far fewer than Stripe takes; enough to be able to say no.
CURRENCIES = ("usd", "eur", "gbp", "cad", "aud", "jpy", "chf")
MIN_CHARGE = {"usd": 50, "eur": 50, "gbp": 30, "cad": 50, "aud": 50, "jpy": 50, "chf": 50}
MAX_CHARGE = 99_999_999
MAX_INTERVALS = {"day": 1_095, "week": 156, "month": 36, "year": 3}
PRODUCT_FIELDS = ("active", "description", "name", "statement_descriptor", "tax_code", "unit_label", "url", "shippable")
PRICE_FIELDS = ("active", "nickname", "lookup_key", "tax_behavior")


def create_product(world: World, params: Json, _: tuple[str, ...] = ()) -> Json:
    """Answer POST /v1/products."""
    if world.find(params.get("id", "")):
        raise InvalidRequest("Product already exists.", code="resource_already_exists", param="id")
    now = world.now()
    product = build(
        stripe.Product,
        id=params.get("id") or world.new_id("prod", 14),
        active=True,
        created=now,
        images=params.get("images") or [],
        livemode=False,
        marketing_features=params.get("marketing_features") or [],
        metadata=merge_metadata({}, params.get("metadata")),
        name=params["name"],
        type="service",
        updated=now,
    )
    product |= {name: params[name] for name in PRODUCT_FIELDS if name in params}
    world.emit("product.created", world.add(product))
    if "default_price_data" in params:
        price = create_price(world, {**params["default_price_data"], "product": product["id"]})
        product["default_price"] = price["id"]
    return product


def update_product(world: World, params: Json, ids: tuple[str, ...]) -> Json:
    """Answer POST /v1/products/{id}."""
    product = world.get("product", ids[0])
    if "default_price" in params:
        world.get("price", params["default_price"], param="default_price")
    with world.changing(product, "product.updated"):
        for name in (*PRODUCT_FIELDS, "default_price"):
            if name in params:
                product[name] = None if params[name] == "" else params[name]
        product["metadata"] = merge_metadata(product["metadata"], params.get("metadata"))
        product["updated"] = world.now()
    return product


def get_product(world: World, _: Json, ids: tuple[str, ...]) -> Json:
    """Answer GET /v1/products/{id}."""
    return world.get("product", ids[0])


def create_price(world: World, params: Json, _: tuple[str, ...] = ()) -> Json:
    """Answer POST /v1/prices."""
    amount = _unit_amount(params)
    check_currency(params["currency"], "currency")
    recurring = _recurring(params.get("recurring"))
    product = _product_of(world, params)
    _take_lookup_key(world, params)
    price = build(
        stripe.Price,
        id=world.new_id("price"),
        active=params.get("active", True),
        billing_scheme="per_unit",
        created=world.now(),
        currency=params["currency"].lower(),
        livemode=False,
        lookup_key=params.get("lookup_key"),
        metadata=merge_metadata({}, params.get("metadata")),
        nickname=params.get("nickname"),
        product=product["id"],
        recurring=recurring,
        tax_behavior=params.get("tax_behavior", "unspecified"),
        type="recurring" if recurring else "one_time",
        unit_amount=amount,
        unit_amount_decimal=str(amount),
    )
    world.emit("price.created", world.add(price))
    return price


def update_price(world: World, params: Json, ids: tuple[str, ...]) -> Json:
    """Answer POST /v1/prices/{id}; what it costs never changes."""
    price = world.get("price", ids[0])
    _take_lookup_key(world, params)
    with world.changing(price, "price.updated"):
        for name in PRICE_FIELDS:
            if name in params:
                price[name] = None if params[name] == "" else params[name]
        price["metadata"] = merge_metadata(price["metadata"], params.get("metadata"))
    return price


def get_price(world: World, _: Json, ids: tuple[str, ...]) -> Json:
    """Answer GET /v1/prices/{id}."""
    return world.get("price", ids[0])


def use_price(world: World, item: Json, path: str) -> Json:
    """Return the price that a line names or describes; one it describes is made for it and not for sale.

    raises  MissingParameter, ResourceMissing, InvalidRequest
    """
    if "price" in item:
        price = world.get("price", item["price"], param=f"{path}[price]")
        if not price["active"]:
            raise InvalidRequest(
                "The price specified is inactive. This field only accepts active prices.",
                param=f"{path}[price]",
                code="price_inactive",
            )
        return price
    if "price_data" not in item:
        raise MissingParameter(f"{path}[price]")
    price = create_price(world, item["price_data"])
    price["active"] = False
    return price


def check_currency(currency: str, param: str) -> None:
    """Refuse what is no currency.

    raises  InvalidRequest
    """
    if currency.lower() not in CURRENCIES:
        raise InvalidRequest(
            f"Invalid currency: {currency.lower()}. Stripe currently supports these currencies:"
            f" {', '.join(CURRENCIES)}",
            param=param,
        )


def check_charge_amount(amount: int, currency: str, param: str) -> None:
    """Refuse what no card can be charged with.

    raises  InvalidRequest
    """
    least = MIN_CHARGE[currency]
    if amount < least:
        shown = f"{Decimal(least) / 100:.2f} {currency}"
        raise InvalidRequest(f"Amount must be at least {shown}", code="amount_too_small", param=param)
    if amount > MAX_CHARGE:
        raise InvalidRequest("Amount must be no more than 999,999.99", code="amount_too_large", param=param)


def _unit_amount(params: Json) -> int:
    if "unit_amount" not in params:
        amount = params.get("unit_amount_decimal")
        if amount is None or Decimal(amount) % 1:
            raise MissingParameter("unit_amount")
        return int(Decimal(amount))
    amount = params["unit_amount"]
    if amount < 0:
        raise InvalidRequest("Invalid non-negative integer", param="unit_amount", code="parameter_invalid_integer")
    return int(amount)


def _recurring(given: Json | None) -> Json | None:
    if given is None:
        return None
    count = given.get("interval_count", 1)
    if not 1 <= count <= MAX_INTERVALS[given["interval"]]:
        raise InvalidRequest("Prices can have an interval of at most three years.", param="recurring[interval_count]")
    return build(stripe.Price.Recurring, interval=given["interval"], interval_count=count, usage_type="licensed")


def _product_of(world: World, params: Json) -> Json:
    if "product" in params:
        product = world.get("product", params["product"], param="product")
        if not product["active"]:
            raise InvalidRequest("The product specified is inactive.", param="product")
        return product
    if "product_data" not in params:
        raise MissingParameter("product")
    return create_product(world, params["product_data"])


def _take_lookup_key(world: World, params: Json) -> None:
    key = params.get("lookup_key")
    for price in world.rows("price"):
        if key and price["lookup_key"] == key:
            if not params.get("transfer_lookup_key"):
                raise InvalidRequest(f"A price (`{price['id']}`) already uses that lookup key.", param="lookup_key")
            price["lookup_key"] = None
