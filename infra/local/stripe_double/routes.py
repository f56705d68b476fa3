"""The endpoints: method, path, the stripe package's type of their parameters, and who answers."""

import re
from dataclasses import dataclass

from stripe import params as p
from stripe.params import billing_portal as portal_params
from stripe.params import checkout as checkout_params

from infra.local.stripe_double import (
    catalog,
    checkout,
    collection,
    customers,
    disputes,
    intents,
    lists,
    not_modelled,
    pending_updates,
    portal,
    previews,
    refunds,
    schedules,
    subscriptions,
)
from infra.local.stripe_double.listing import field_is
from infra.local.stripe_double.lists import Answer
from infra.local.stripe_double.refusals import UnknownUrl


@dataclass(frozen=True, slots=True)
class Route:
    """not_modelled: parameters that Stripe takes and that would change what happens here."""

    method: str
    pattern: str
    shape: type
    answer: Answer
    not_modelled: frozenset[str] = frozenset()


def find_route(method: str, path: str) -> tuple[Route, tuple[str, ...]]:
    """Return the route of a request and the ids in its path.

    raises  UnknownUrl
    """
    for route, expression in _COMPILED:
        matched = expression.fullmatch(path)
        if matched is not None and route.method == method:
            return route, matched.groups()
    raise UnknownUrl(method, path)


ROUTES = (
    Route("POST", "/v1/customers", p.CustomerCreateParams, customers.create_customer,
          frozenset({"source", "test_clock"})),
    Route("GET", "/v1/customers", p.CustomerListParams,
          lists.lister("customer", "/v1/customers", email=field_is("email"))),
    Route("GET", "/v1/customers/{}", p.CustomerRetrieveParams, customers.get_customer),
    Route("POST", "/v1/customers/{}", p.CustomerUpdateParams, customers.update_customer, frozenset({"source"})),
    Route("DELETE", "/v1/customers/{}", p.CustomerDeleteParams, subscriptions.end_customer),
    Route("GET", "/v1/customers/{}/payment_methods", p.CustomerPaymentMethodListParams, lists.list_customer_methods),
    Route("GET", "/v1/customers/{}/payment_methods/{}", p.CustomerPaymentMethodRetrieveParams, customers.get_method),
    Route("GET", "/v1/payment_methods", p.PaymentMethodListParams,
          lists.lister("payment_method", "/v1/payment_methods", **lists.METHOD_FILTERS)),
    Route("GET", "/v1/payment_methods/{}", p.PaymentMethodRetrieveParams, customers.get_method),
    Route("POST", "/v1/payment_methods/{}/attach", p.PaymentMethodAttachParams, customers.attach_method),
    Route("POST", "/v1/payment_methods/{}/detach", p.PaymentMethodDetachParams, customers.detach_method),
    Route("POST", "/v1/products", p.ProductCreateParams, catalog.create_product),
    Route("GET", "/v1/products", p.ProductListParams,
          lists.lister("product", "/v1/products", active=field_is("active"), ids=lists.is_in("id"),
          url=field_is("url"))),
    Route("GET", "/v1/products/{}", p.ProductRetrieveParams, catalog.get_product),
    Route("POST", "/v1/products/{}", p.ProductUpdateParams, catalog.update_product),
    Route("POST", "/v1/prices", p.PriceCreateParams, catalog.create_price, not_modelled.PRICE),
    Route("GET", "/v1/prices", p.PriceListParams,
          lists.lister("price", "/v1/prices", active=field_is("active"), product=field_is("product"),
          type=field_is("type"),
                  currency=field_is("currency"), lookup_keys=lists.is_in("lookup_key"), recurring=lists.is_recurring)),
    Route("GET", "/v1/prices/{}", p.PriceRetrieveParams, catalog.get_price),
    Route("POST", "/v1/prices/{}", p.PriceUpdateParams, catalog.update_price, not_modelled.PRICE),
    Route("POST", "/v1/checkout/sessions", checkout_params.SessionCreateParams, checkout.create_session,
          not_modelled.SESSION),
    Route("GET", "/v1/checkout/sessions", checkout_params.SessionListParams,
          lists.lister("checkout.session", "/v1/checkout/sessions", **lists.CUSTOMER, status=field_is("status"),
                  payment_intent=field_is("payment_intent"), subscription=field_is("subscription"),
                  customer_details=lists.is_payer)),
    Route("GET", "/v1/checkout/sessions/{}", checkout_params.SessionRetrieveParams, checkout.get_session),
    Route("POST", "/v1/checkout/sessions/{}", checkout_params.SessionUpdateParams, checkout.update_session,
          frozenset({"shipping_options", "line_items", "collected_information"})),
    Route("POST", "/v1/checkout/sessions/{}/expire", checkout_params.SessionExpireParams, checkout.expire_session),
    Route("GET", "/v1/checkout/sessions/{}/line_items", checkout_params.SessionLineItemListParams,
          lists.list_session_lines),
    Route("POST", "/v1/payment_intents", p.PaymentIntentCreateParams, intents.create_intent, not_modelled.INTENT),
    Route("GET", "/v1/payment_intents", p.PaymentIntentListParams,
          lists.lister("payment_intent", "/v1/payment_intents", **lists.CUSTOMER)),
    Route("GET", "/v1/payment_intents/{}", p.PaymentIntentRetrieveParams, intents.get_intent),
    Route("POST", "/v1/payment_intents/{}", p.PaymentIntentUpdateParams, intents.update_intent,
          not_modelled.INTENT | {"currency", "customer"}),
    Route("POST", "/v1/payment_intents/{}/confirm", p.PaymentIntentConfirmParams, intents.confirm_intent,
          not_modelled.INTENT),
    Route("POST", "/v1/payment_intents/{}/cancel", p.PaymentIntentCancelParams, intents.cancel_intent),
    Route("GET", "/v1/charges", p.ChargeListParams,
          lists.lister("charge", "/v1/charges", **lists.CUSTOMER, payment_intent=field_is("payment_intent"))),
    Route("GET", "/v1/charges/{}", p.ChargeRetrieveParams, intents.get_charge),
    Route("POST", "/v1/charges/{}", p.ChargeUpdateParams, intents.update_charge),
    Route("GET", "/v1/balance_transactions", p.BalanceTransactionListParams,
          lists.lister("balance_transaction", "/v1/balance_transactions", type=field_is("type"),
          source=field_is("source"),
                  currency=field_is("currency"))),
    Route("GET", "/v1/balance_transactions/{}", p.BalanceTransactionRetrieveParams,
          lists.getter("balance_transaction")),
    Route("POST", "/v1/refunds", p.RefundCreateParams, refunds.create_refund,
          frozenset({"origin", "reverse_transfer", "refund_application_fee", "instructions_email"})),
    Route("GET", "/v1/refunds", p.RefundListParams, lists.lister("refund", "/v1/refunds", **lists.PAYMENT)),
    Route("GET", "/v1/refunds/{}", p.RefundRetrieveParams, refunds.get_refund),
    Route("POST", "/v1/refunds/{}", p.RefundUpdateParams, refunds.update_refund),
    Route("POST", "/v1/refunds/{}/cancel", p.RefundCancelParams, refunds.cancel_refund),
    Route("GET", "/v1/disputes", p.DisputeListParams, lists.lister("dispute", "/v1/disputes", **lists.PAYMENT)),
    Route("GET", "/v1/disputes/{}", p.DisputeRetrieveParams, disputes.get_dispute),
    Route("POST", "/v1/disputes/{}", p.DisputeUpdateParams, disputes.update_dispute),
    Route("POST", "/v1/disputes/{}/close", p.DisputeCloseParams, disputes.accept_dispute),
    Route("GET", "/v1/subscriptions", p.SubscriptionListParams, lists.list_subscriptions),
    Route("GET", "/v1/subscriptions/{}", p.SubscriptionRetrieveParams, subscriptions.get_subscription),
    Route("POST", "/v1/subscriptions/{}", p.SubscriptionUpdateParams, pending_updates.change_subscription,
          not_modelled.SUBSCRIPTION_UPDATE),
    Route("DELETE", "/v1/subscriptions/{}", p.SubscriptionCancelParams, subscriptions.cancel_subscription,
          frozenset({"prorate", "invoice_now"})),
    Route("POST", "/v1/subscription_schedules", p.SubscriptionScheduleCreateParams, schedules.create_schedule),
    Route("GET", "/v1/subscription_schedules", p.SubscriptionScheduleListParams,
          lists.lister("subscription_schedule", "/v1/subscription_schedules", **lists.CUSTOMER)),
    Route("GET", "/v1/subscription_schedules/{}", p.SubscriptionScheduleRetrieveParams, schedules.get_schedule),
    Route("POST", "/v1/subscription_schedules/{}", p.SubscriptionScheduleUpdateParams, schedules.update_schedule,
          frozenset({"default_settings", "pause_schedules"})),
    Route("POST", "/v1/subscription_schedules/{}/release", p.SubscriptionScheduleReleaseParams,
          schedules.release_schedule),
    Route("POST", "/v1/subscription_schedules/{}/cancel", p.SubscriptionScheduleCancelParams,
          schedules.cancel_schedule, frozenset({"invoice_now", "prorate"})),
    Route("GET", "/v1/subscription_items", p.SubscriptionItemListParams, lists.list_items),
    Route("GET", "/v1/subscription_items/{}", p.SubscriptionItemRetrieveParams, lists.getter("subscription_item")),
    Route("GET", "/v1/invoices", p.InvoiceListParams,
          lists.lister("invoice", "/v1/invoices", **lists.CUSTOMER, status=field_is("status"),
          subscription=lists.belongs_to_subscription,
                  collection_method=field_is("collection_method"))),
    Route("POST", "/v1/invoices/create_preview", p.InvoiceCreatePreviewParams, previews.preview_invoice,
          not_modelled.PREVIEW),
    Route("GET", "/v1/invoices/{}", p.InvoiceRetrieveParams, collection.get_invoice),
    Route("GET", "/v1/invoices/{}/lines", p.InvoiceLineItemListParams, lists.list_invoice_lines),
    Route("POST", "/v1/invoices/{}/pay", p.InvoicePayParams, collection.pay_invoice, frozenset({"source", "mandate"})),
    Route("POST", "/v1/invoices/{}/finalize", p.InvoiceFinalizeInvoiceParams, collection.finalize_now),
    Route("POST", "/v1/invoices/{}/void", p.InvoiceVoidInvoiceParams, collection.void_now),
    Route("POST", "/v1/invoices/{}/mark_uncollectible", p.InvoiceMarkUncollectibleParams, collection.write_off_now),
    Route("GET", "/v1/invoice_payments", p.InvoicePaymentListParams,
          lists.lister("invoice_payment", "/v1/invoice_payments", invoice=field_is("invoice"),
          status=field_is("status"),
                  payment=lists.pays_with)),
    Route("GET", "/v1/invoice_payments/{}", p.InvoicePaymentRetrieveParams, lists.getter("invoice_payment")),
    Route("POST", "/v1/billing_portal/configurations", portal_params.ConfigurationCreateParams,
          portal.create_configuration),
    Route("GET", "/v1/billing_portal/configurations", portal_params.ConfigurationListParams,
          lists.lister("billing_portal.configuration", "/v1/billing_portal/configurations", active=field_is("active"),
                  is_default=field_is("is_default"))),
    Route("GET", "/v1/billing_portal/configurations/{}", portal_params.ConfigurationRetrieveParams,
          portal.get_configuration),
    Route("POST", "/v1/billing_portal/configurations/{}", portal_params.ConfigurationUpdateParams,
          portal.update_configuration),
    Route("POST", "/v1/billing_portal/sessions", portal_params.SessionCreateParams, portal.create_portal_session),
    Route("GET", "/v1/events", p.EventListParams,
          lists.lister("event", "/v1/events", type=field_is("type"), types=lists.is_in("type"),
                  delivery_success=lambda row, wanted: (row["pending_webhooks"] == 0) == wanted)),
    Route("GET", "/v1/events/{}", p.EventRetrieveParams, lists.getter("event")),
)  # fmt: skip
_COMPILED = tuple((route, re.compile(re.escape(route.pattern).replace(r"\{\}", "([^/]+)"))) for route in ROUTES)
