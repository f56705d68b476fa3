"""How the routes of plans and payments are described: parameters, bodies and answers, made when somebody reads them."""

from typing import Any

from functions.billing.payment_views import CheckoutView, PaymentView, PortalView
from functions.billing.plan_views import OnePlanView, OwnPlanView, PlansView
from functions.billing.schemas import CHECKOUT_BODIES, NoFields
from shared.web.openapi import OnDemand, answer_of, body_of, inline_schema, list_of

_IDEMPOTENCY_KEY = {"name": "Idempotency-Key", "in": "header", "schema": {"type": "string", "maxLength": 255}}
_KEYED: dict[str, Any] = {"parameters": [_IDEMPOTENCY_KEY]}


def _in_path(name: str) -> dict[str, Any]:
    return {"parameters": [{"name": name, "in": "path", "required": True, "schema": {"type": "string"}}]}


def _order_body() -> dict[str, Any]:
    """Describe a body that is one of several, told apart by its kind."""
    schema = {"oneOf": [inline_schema(body) for body in CHECKOUT_BODIES.values()]}
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


PLANS = OnDemand(lambda: answer_of(PlansView))
PLAN = OnDemand(lambda: _in_path("plan_id") | answer_of(OnePlanView))
OWN_PLAN = OnDemand(lambda: answer_of(OwnPlanView))
CHECKOUT = OnDemand(lambda: _KEYED | _order_body() | answer_of(CheckoutView))
PORTAL = OnDemand(lambda: body_of(NoFields, is_required=False) | answer_of(PortalView))
PAYMENTS = OnDemand(lambda: list_of(PaymentView))
PAYMENT = OnDemand(lambda: _in_path("payment_id") | answer_of(PaymentView))
