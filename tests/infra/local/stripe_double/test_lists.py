"""Lists in pages, with their filters, and expanded fields."""

from typing import Any

import pytest
import stripe

from tests.infra.local.stripe_double.conftest import NOW, Double


def make(double: Double, count: int) -> list[str]:
    return [double.api.customers.create({"email": f"{n}@example.com"}).id for n in range(count)]


def test_pages_follow_each_other_newest_first(double: Double) -> None:
    made = make(double, 5)
    customers = double.api.customers
    first = customers.list({"limit": 2})
    second = customers.list({"limit": 2, "starting_after": first.data[-1].id})
    third = customers.list({"limit": 2, "starting_after": second.data[-1].id})

    assert [row.id for page in (first, second, third) for row in page.data] == made[::-1]
    assert [page.has_more for page in (first, second, third)] == [True, True, False]


def test_the_package_walks_all_pages(double: Double) -> None:
    made = make(double, 25)

    assert [row.id for row in double.api.customers.list({"limit": 10}).auto_paging_iter()] == made[::-1]


def test_a_page_before_another(double: Double) -> None:
    made = make(double, 5)[::-1]
    page = double.api.customers.list({"limit": 2, "ending_before": made[3]})

    assert [row.id for row in page.data] == made[1:3]
    assert page.has_more


@pytest.mark.parametrize(
    ("params", "param"),
    [({"limit": 0}, "limit"), ({"limit": 101}, "limit"), ({"starting_after": "cus_x"}, "starting_after"),
     ({"colour": "red"}, "colour"), ({"created": {"after": 1}}, "created[after]")],
)  # fmt: skip
def test_a_page_that_cannot_be_is_refused(double: Double, params: Any, param: str) -> None:
    with pytest.raises(stripe.InvalidRequestError) as caught:
        double.api.customers.list(params)

    assert caught.value.param == param


def test_lists_are_bounded_by_creation(double: Double) -> None:
    make(double, 1)
    double.control("/clock", ahead_s=100)
    (late,) = make(double, 1)
    customers = double.api.customers

    assert [row.id for row in customers.list({"created": {"gt": NOW}}).data] == [late]
    assert [row.id for row in customers.list({"created": NOW + 100}).data] == [late]
    assert len(customers.list({"created": {"gte": NOW, "lte": NOW + 99}}).data) == 1


def test_lists_are_filtered_as_each_kind_allows(double: Double) -> None:
    subscription = double.subscribed()
    double.paid()
    api = double.api
    customer = str(subscription.customer)

    assert len(api.charges.list({"customer": customer}).data) == 1
    assert len(api.charges.list().data) == 2
    assert len(api.invoices.list({"subscription": subscription.id, "status": "paid"}).data) == 1
    assert len(api.balance_transactions.list({"type": "charge"}).data) == 2
    assert len(api.prices.list({"type": "recurring", "recurring": {"interval": "month"}}).data) == 1
    assert len(api.subscription_items.list({"subscription": subscription.id}).data) == 1
    assert len(api.customers.list({"email": "payer@example.com"}).data) == 1
    types = ["invoice.paid", "charge.succeeded"]
    assert {row.type for row in api.events.list({"types": types}).data} == set(types)


def test_expanded_fields_hold_objects(double: Double) -> None:
    session = double.pay(double.plan_session(double.price(2900, "month")))
    paths = ["customer", "subscription.latest_invoice", "invoice.payments", "line_items"]
    found = double.api.checkout.sessions.retrieve(session.id, {"expand": paths})

    assert isinstance(found.customer, stripe.Customer)
    assert isinstance(found.subscription, stripe.Subscription)
    assert isinstance(found.subscription.latest_invoice, stripe.Invoice)
    assert isinstance(found.invoice, stripe.Invoice)
    assert found.invoice.payments is not None
    assert found.invoice.payments.data[0].status == "paid"
    assert found.line_items is not None
    assert found.line_items.data[0].amount_total == 2900
    plain = double.api.checkout.sessions.retrieve(session.id)
    assert isinstance(plain.customer, str)


def test_lists_are_expanded_below_their_data(double: Double) -> None:
    double.paid()
    intents = double.api.payment_intents.list({"expand": ["data.latest_charge.balance_transaction"]}).data
    charge = intents[0].latest_charge

    assert isinstance(charge, stripe.Charge)
    assert isinstance(charge.balance_transaction, stripe.BalanceTransaction)


def test_the_product_of_a_plan_is_expanded(double: Double) -> None:
    subscription = double.subscribed()
    paths = ["items.data.price.product"]
    found = double.api.subscriptions.retrieve(subscription.id, {"expand": paths})

    assert isinstance(found["items"].data[0].price.product, stripe.Product)
    with pytest.raises(stripe.InvalidRequestError, match="4 levels"):
        double.api.subscriptions.list({"expand": ["data.items.data.price.product"]})


@pytest.mark.parametrize(
    "path", ["amount", "nothing", "latest_charge.nothing", "status.a", "data.x", "latest_charge.a.b.c.d"]
)
def test_what_cannot_be_expanded_is_refused(double: Double, path: str) -> None:
    charge = double.paid()
    with pytest.raises(stripe.InvalidRequestError, match="expand") as caught:
        double.api.payment_intents.retrieve(str(charge.payment_intent), {"expand": [path]})

    assert caught.value.param == "expand"


def test_a_filter_that_would_be_ignored_is_refused(double: Double) -> None:
    with pytest.raises(stripe.InvalidRequestError, match="not model transfer_group"):
        double.api.charges.list({"transfer_group": "g"})
