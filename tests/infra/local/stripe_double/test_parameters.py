"""Forms are read as Stripe reads them, and checked against the package's own parameter types."""

from typing import Any

import pytest
import stripe
from stripe import params as p

from infra.local.stripe_double.form import parse_form
from infra.local.stripe_double.parameters import read_parameters
from infra.local.stripe_double.refusals import MalformedRequest, StripeRefusal, UnknownParameter
from infra.local.stripe_double.routes import ROUTES
from tests.infra.local.stripe_double.conftest import Double


def test_brackets_nest_and_empty_ones_append() -> None:
    form = parse_form("a[b][0][c]=1&a[b][1][c]=2&expand[]=x&expand[]=y&d=%C3%A9+f")

    assert form == {
        "a": {"b": {"0": {"c": "1"}, "1": {"c": "2"}}},
        "expand": {"0": "x", "1": "y"},
        "d": "é f",
    }


@pytest.mark.parametrize(
    "text",
    ["a=1&a[b]=2", "a[b]=2&a=1", "a]b=1", "a[b[c]]=1", "a" + "[b]" * 9 + "=1", "a=%ff", "&".join(["a=1"] * 2001)],
)
def test_a_form_that_makes_no_sense_is_refused(text: str) -> None:
    with pytest.raises(MalformedRequest):
        parse_form(text)


def test_values_get_the_types_of_the_package() -> None:
    form = parse_form("currency=usd&unit_amount=250&recurring[interval]=month&metadata[7]=x&active=false")

    assert read_parameters(p.PriceCreateParams, form) == {
        "currency": "usd",
        "unit_amount": 250,
        "recurring": {"interval": "month"},
        "metadata": {"7": "x"},
        "active": False,
    }


@pytest.mark.parametrize(
    ("text", "param", "code", "message"),
    [
        ("currency=usd&unit_amout=1", "unit_amout", "parameter_unknown", "Received unknown parameter: unit_amout"),
        ("currency=usd&recurring[every]=1", "recurring[every]", "parameter_unknown", "recurring[every]"),
        ("unit_amount=5", "currency", "parameter_missing", "Missing required param: currency."),
        ("currency=usd&recurring[interval_count]=1", "recurring[interval]", "parameter_missing", "recurring[interval]"),
        ("currency=usd&unit_amount=2.5", "unit_amount", "parameter_invalid_integer", "Invalid integer: 2.5"),
        ("currency=usd&unit_amount=1e3", "unit_amount", "parameter_invalid_integer", "Invalid integer: 1e3"),
        ("currency=usd&active=yes", "active", None, "Invalid boolean: yes"),
        ("currency=usd&unit_amount_decimal=NaN", "unit_amount_decimal", None, "Invalid decimal: NaN"),
        (
            "currency=usd&recurring[interval]=moon",
            "recurring[interval]",
            None,
            "must be one of day, month, week, or year",
        ),
        ("currency=", "currency", "parameter_invalid_empty", "cannot be unset"),
        ("currency=usd&nickname[a]=b", "nickname", None, "Invalid string"),
        ("currency=usd&recurring=month", "recurring", None, "Invalid object"),
        ("currency=usd&tiers=5", "tiers", None, "Invalid array"),
        ("currency=usd&expand[a]=b", "expand", None, "Invalid array"),
        ("currency=usd&metadata[" + "k" * 41 + "]=v", "metadata[" + "k" * 41 + "]", None, "Metadata"),
        ("currency=usd&metadata[k]=" + "v" * 501, "metadata[k]", None, "Metadata"),
        # An option of the package's request is no parameter of Stripe's.
        ("currency=usd&idempotency_key=x", "idempotency_key", "parameter_unknown", "idempotency_key"),
    ],
)
def test_a_wrong_parameter_is_named(text: str, param: str, code: str | None, message: str) -> None:
    with pytest.raises(StripeRefusal) as caught:
        read_parameters(p.PriceCreateParams, parse_form(text))

    assert caught.value.param == param
    assert caught.value.code == code
    assert message in caught.value.message


def test_every_route_of_the_double_has_readable_parameters() -> None:
    for route in ROUTES:
        with pytest.raises(UnknownParameter, match="api_key"):
            read_parameters(route.shape, {"api_key": "x"})


@pytest.mark.parametrize(
    ("params", "param"),
    [
        ({"line_item": ["x"]}, "line_item"),
        ({"line_items": [{"prise": "x"}]}, "line_items[0][prise]"),
        ({"mode": "subscribe"}, "mode"),
        ({"payment_intent_data": {"metadata": {"a": "b"}, "colour": "red"}}, "payment_intent_data[colour]"),
        ({"expires_at": "tomorrow"}, "expires_at"),
    ],
)
def test_the_package_raises_its_own_error_for_a_wrong_parameter(
    double: Double, params: dict[str, Any], param: str
) -> None:
    with pytest.raises(stripe.InvalidRequestError) as caught:
        double.session(**params)

    assert caught.value.param == param
    assert caught.value.http_status == 400


def test_what_would_have_to_be_pretended_is_refused(double: Double) -> None:
    with pytest.raises(stripe.InvalidRequestError, match="does not model discounts") as caught:
        double.session(discounts=[{"coupon": "x"}])

    assert caught.value.code == "double_not_modelled"
