"""Every object has the fields that the package's generated classes know: none made up, none that is needed left out."""

from decimal import Decimal
from typing import Any, ForwardRef, Literal, Union, get_args, get_origin

import stripe
from stripe import StripeObject

from tests.infra.local.stripe_double.conftest import DAY_S, Double

CLASSES: dict[str, type[StripeObject]] = {
    "balance_transaction": stripe.BalanceTransaction,
    "billing_portal.configuration": stripe.billing_portal.Configuration,
    "billing_portal.session": stripe.billing_portal.Session,
    "charge": stripe.Charge,
    "checkout.session": stripe.checkout.Session,
    "customer": stripe.Customer,
    "dispute": stripe.Dispute,
    "event": stripe.Event,
    "invoice": stripe.Invoice,
    "invoice_payment": stripe.InvoicePayment,
    "invoiceitem": stripe.InvoiceItem,
    "item": stripe.LineItem,
    "line_item": stripe.InvoiceLineItem,
    "payment_intent": stripe.PaymentIntent,
    "payment_method": stripe.PaymentMethod,
    "plan": stripe.Plan,
    "price": stripe.Price,
    "product": stripe.Product,
    "refund": stripe.Refund,
    "subscription": stripe.Subscription,
    "subscription_item": stripe.SubscriptionItem,
    "subscription_schedule": stripe.SubscriptionSchedule,
}
# Said of every error, and passed on as the API has it.
FREE_FORM = frozenset(
    {"metadata", "previous_attributes", "last_payment_error", "evidence", "flow", "enhanced_evidence"}
)


def faults_of(row: dict[str, Any], shape: type[StripeObject], path: str) -> list[str]:
    """Return where a JSON object differs from its class, at any depth."""
    kinds = {name: kind for name, kind in shape.__annotations__.items() if name != "OBJECT_NAME"}
    found = [f"{path}.{name} is made up" for name in row.keys() - kinds.keys()]
    for name, kind in kinds.items():
        is_optional = type(None) in get_args(kind)
        if not is_optional and row.get(name) is None:
            found.append(f"{path}.{name} is missing")
    for name, value in row.items():
        if name in kinds and name not in FREE_FORM:
            found += nested_faults(value, kinds[name], f"{path}.{name}")
    return found


def nested_faults(value: Any, kind: Any, path: str) -> list[str]:
    if isinstance(value, list):
        return [fault for item in value for fault in nested_faults(item, (get_args(kind) or (kind,))[0], path)]
    if not isinstance(value, dict):
        return [] if fits(value, kind) else [f"{path} is {value!r}, no {kind}"]
    if value.get("object") == "list":
        return [fault for item in value["data"] for fault in faults_of(item, CLASSES[item["object"]], path)]
    if isinstance(value.get("object"), str):
        return faults_of(value, CLASSES[value["object"]], path)
    members = [member for member in (kind, *get_args(kind)) if isinstance(member, type) and member is not type(None)]
    shapes = [member for member in members if issubclass(member, StripeObject)]
    return faults_of(value, shapes[0], path) if shapes else []


def fits(value: Any, kind: Any) -> bool:
    """Tell whether a scalar is of an annotated type, and one of its values; decimals travel as strings."""
    union = get_args(kind) if get_origin(kind) is Union else (kind,)
    choices = [choice for member in union if get_origin(member) is Literal for choice in get_args(member)]
    if value is None or any(isinstance(member, ForwardRef) for member in union):
        return True
    if choices:
        return value in choices
    types = [str if member is Decimal else member for member in union if isinstance(member, type)]
    return not types or type(value) in types or (type(value) is int and float in types)


def make_everything(double: Double) -> None:
    api = double.api
    charge = double.paid(invoice_creation={"enabled": True})
    api.refunds.create({"charge": charge.id, "amount": 100})
    double.paid(card="createDispute")
    double.paid(card="refundFail")
    double.pay(double.session(), delayed=True)
    subscription = double.subscribed()
    item = subscription["items"].data[0].id
    api.subscriptions.update(subscription.id, {"items": [{"id": item, "price": double.price(9900, "month").id}]})
    api.subscription_schedules.create({"from_subscription": subscription.id})
    api.billing_portal.sessions.create({"customer": str(subscription.customer)})
    declined = double.session()
    double.refused(f"/sessions/{declined.id}/pay", card="chargeDeclined")
    double.control(f"/customers/{subscription.customer}/card", card="chargeCustomerFail")
    double.control("/settings", tax_basis_points=1900)
    double.session(automatic_tax={"enabled": True})
    double.control("/clock", ahead_s=40 * DAY_S)


def test_every_object_is_as_the_package_knows_it(double: Double) -> None:
    make_everything(double)
    api: Any = double.api
    seen: set[str] = set()
    found: list[str] = []
    kinds = ("customers", "products", "prices", "payment_intents", "charges", "balance_transactions", "refunds",
             "disputes", "subscriptions", "invoices", "invoice_payments", "events", "checkout.sessions",
             "billing_portal.configurations", "payment_methods", "subscription_schedules")  # fmt: skip
    for kind in kinds:
        service = api
        for part in kind.split("."):
            service = getattr(service, part)
        for row in service.list({"limit": 100}).auto_paging_iter():
            data = row.to_dict(for_json=True)
            seen.add(data["object"])
            found += faults_of(data, CLASSES[data["object"]], data["object"])
            if data["object"] == "event":
                subject = data["data"]["object"]
                seen.add(subject["object"])
                found += faults_of(subject, CLASSES[subject["object"]], f"{data['type']}: {subject['object']}")

    assert not found, "\n".join(sorted(set(found)))
    assert seen >= CLASSES.keys() - {"item", "line_item", "plan", "subscription_item"}
