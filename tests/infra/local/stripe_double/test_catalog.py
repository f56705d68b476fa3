"""Products and prices."""

from typing import Any

import pytest
import stripe

from tests.infra.local.stripe_double.conftest import Double


def test_a_recurring_price_keeps_its_interval(double: Double) -> None:
    price = double.price(29900, "year", name="Dev")

    assert price.recurring is not None
    assert (price.type, price.recurring.interval, price.unit_amount) == ("recurring", "year", 29900)
    assert str(price.unit_amount_decimal) == "29900"


def test_prices_are_found_by_lookup_key(double: Double) -> None:
    product = double.product("Dev")
    params: Any = {"product": product.id, "currency": "usd", "unit_amount": 1, "lookup_key": "dev_monthly"}
    first = double.api.prices.create(params)
    with pytest.raises(stripe.InvalidRequestError, match="already uses that lookup key"):
        double.api.prices.create(params)
    params["transfer_lookup_key"] = True
    second = double.api.prices.create(params)

    (found,) = double.api.prices.list({"lookup_keys": ["dev_monthly"]}).data
    assert found.id == second.id
    assert double.api.prices.retrieve(first.id).lookup_key is None


def test_what_a_price_costs_cannot_be_changed(double: Double) -> None:
    dearer: Any = {"unit_amount": 200}
    with pytest.raises(stripe.InvalidRequestError, match="unknown parameter: unit_amount"):
        double.api.prices.update(double.price(100).id, dearer)


@pytest.mark.parametrize(
    ("params", "param"),
    [
        ({"currency": "xyz", "unit_amount": 1, "product_data": {"name": "a"}}, "currency"),
        ({"currency": "usd", "unit_amount": -1, "product_data": {"name": "a"}}, "unit_amount"),
        ({"currency": "usd", "product_data": {"name": "a"}}, "unit_amount"),
        ({"currency": "usd", "unit_amount": 1}, "product"),
        ({"currency": "usd", "unit_amount": 1, "product": "prod_x"}, "product"),
        ({"currency": "usd", "unit_amount": 1, "product_data": {"unit_label": "x"}}, "product_data[name]"),
    ],
)
def test_a_price_that_cannot_be_is_refused(double: Double, params: Any, param: str) -> None:
    with pytest.raises(stripe.InvalidRequestError) as caught:
        double.api.prices.create(params)

    assert caught.value.param == param


def test_an_inactive_price_is_not_sold(double: Double) -> None:
    price = double.price(1000)
    double.api.prices.update(price.id, {"active": False})

    with pytest.raises(stripe.InvalidRequestError, match="inactive"):
        double.session(line_items=[{"price": price.id, "quantity": 1}])


def test_a_product_is_renamed_and_listed_by_activity(double: Double) -> None:
    product = double.product("Dev")
    double.api.products.update(product.id, {"name": "Developer", "active": False})

    assert double.api.products.retrieve(product.id).name == "Developer"
    assert double.api.products.list({"active": True}).data == []
    with pytest.raises(stripe.InvalidRequestError, match="already exists"):
        double.api.products.create({"id": product.id, "name": "Again"})
