"""Tax comes on top of the price, where it was wished: what was bought is the subtotal."""

from typing import Any

from tests.infra.local.stripe_double.conftest import Double

TAXED: Any = {"automatic_tax": {"enabled": True}}


def test_tax_is_charged_besides_what_was_bought(double: Double) -> None:
    double.control("/settings", tax_basis_points=1900)
    session = double.pay(double.session(2500, **TAXED))
    assert (session.amount_subtotal, session.amount_total) == (2500, 2975)
    assert session.total_details is not None
    assert session.total_details.amount_tax == 475
    intent = double.api.payment_intents.retrieve(str(session.payment_intent))

    assert intent.amount_received == 2975


def test_a_price_that_includes_tax_costs_what_it_says(double: Double) -> None:
    double.control("/settings", tax_basis_points=1900)
    line = {"currency": "usd", "unit_amount": 1190, "product_data": {"name": "a"}, "tax_behavior": "inclusive"}
    session = double.session(line_items=[{"price_data": line, "quantity": 1}], **TAXED)

    assert (session.amount_subtotal, session.amount_total) == (1190, 1190)
    assert session.total_details is not None
    assert session.total_details.amount_tax == 190


def test_plans_are_taxed_at_every_renewal(double: Double) -> None:
    double.control("/settings", tax_basis_points=1000)
    subscription = double.subscribed(2900, **TAXED)
    double.move_to("2026-02-15 13:00")
    invoices = double.invoices(subscription)

    assert [(invoice.subtotal, invoice.total, invoice.total_excluding_tax) for invoice in invoices] == [
        (2900, 3190, 2900)
    ] * 2
    assert invoices[1].amount_paid == 3190
    assert invoices[1].total_taxes is not None
    assert [tax.amount for tax in invoices[1].total_taxes] == [290]


def test_without_the_wish_there_is_no_tax(double: Double) -> None:
    double.control("/settings", tax_basis_points=1900)

    assert double.session(2500).amount_total == 2500
