"""Customers and their cards."""

import pytest
import stripe

from tests.infra.local.stripe_double.conftest import Double


def test_a_customer_lives_from_creation_to_deletion(double: Double) -> None:
    customers = double.api.customers
    customer = customers.create({"email": "a@example.com", "metadata": {"user": "u1", "plan": "free"}})
    changed = customers.update(customer.id, {"name": "Ada", "metadata": {"plan": "", "team": "t1"}})
    deleted = customers.delete(customer.id)

    assert changed.name == "Ada"
    assert changed.metadata is not None
    assert changed.metadata.to_dict() == {"user": "u1", "team": "t1"}
    assert deleted.deleted
    assert customers.retrieve(customer.id).deleted
    assert double.event_types() == ["customer.created", "customer.updated", "customer.deleted"]
    with pytest.raises(stripe.InvalidRequestError, match="No such customer"):
        customers.update(customer.id, {"name": "Bob"})


def test_an_update_tells_what_it_changed(double: Double) -> None:
    customer = double.api.customers.create({"email": "a@example.com", "metadata": {"a": "1", "b": "2"}})
    double.api.customers.update(customer.id, {"metadata": {"a": "3"}})
    (event,) = double.api.events.list({"type": "customer.updated"}).data

    assert event.data.previous_attributes is not None
    assert event.data.previous_attributes.to_dict() == {"metadata": {"a": "1"}}


def test_an_update_that_changes_nothing_says_nothing(double: Double) -> None:
    customer = double.api.customers.create({"email": "a@example.com"})
    double.api.customers.update(customer.id, {"email": "a@example.com"})

    assert double.event_types() == ["customer.created"]


def test_a_test_card_is_attached_and_becomes_the_default(double: Double) -> None:
    customer = double.api.customers.create({"email": "a@example.com"})
    method = double.api.payment_methods.attach("pm_card_visa", {"customer": customer.id})
    double.api.customers.update(customer.id, {"invoice_settings": {"default_payment_method": method.id}})
    (listed,) = double.api.customers.payment_methods.list(customer.id).data

    assert listed.id == method.id
    assert listed.card is not None
    assert (listed.card.brand, listed.card.last4) == ("visa", "4242")
    found = double.api.customers.retrieve(customer.id)
    assert found.invoice_settings is not None
    assert found.invoice_settings.default_payment_method == method.id


def test_a_card_of_someone_else_is_refused(double: Double) -> None:
    ada, bob = (double.api.customers.create() for _ in range(2))
    method = double.api.payment_methods.attach("pm_card_visa", {"customer": ada.id})

    with pytest.raises(stripe.InvalidRequestError, match="already been attached"):
        double.api.payment_methods.attach(method.id, {"customer": bob.id})
    with pytest.raises(stripe.InvalidRequestError):
        double.api.customers.update(bob.id, {"invoice_settings": {"default_payment_method": method.id}})


def test_a_detached_card_is_nobodys_default(double: Double) -> None:
    customer = double.api.customers.create()
    method = double.api.payment_methods.attach("pm_card_visa", {"customer": customer.id})
    double.api.customers.update(customer.id, {"invoice_settings": {"default_payment_method": method.id}})
    double.api.payment_methods.detach(method.id)

    found = double.api.customers.retrieve(customer.id)
    assert found.invoice_settings is not None
    assert found.invoice_settings.default_payment_method is None
    with pytest.raises(stripe.InvalidRequestError, match="not attached"):
        double.api.payment_methods.detach(method.id)


def test_the_same_card_has_one_fingerprint_whoever_pays_with_it(double: Double) -> None:
    cards = [double.paid(card=card).payment_method_details for card in ("visa", "4242424242424242", "mastercard")]
    prints = [details.card.fingerprint for details in cards if details and details.card]

    assert prints[0] == prints[1]
    assert prints[0] != prints[2]


def test_deleting_a_customer_ends_the_subscriptions(double: Double) -> None:
    subscription = double.subscribed()
    double.api.customers.delete(str(subscription.customer))

    assert double.subscription(subscription.id).status == "canceled"
    assert "customer.subscription.deleted" in double.event_types()
