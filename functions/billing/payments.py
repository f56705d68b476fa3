"""POST /billing/checkout and /billing/portal, and the payments that were made."""

import re

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from functions.billing import descriptions
from functions.billing.payment_views import PortalView, checkout_view, payment_view
from functions.billing.resources import ask, enter, resources_of
from functions.billing.schemas import read_order, refuse_fields
from shared.billing.refusals import PaymentNotFound
from shared.core.caller import Caller
from shared.core.errors import NotConfigured
from shared.flows.open_portal import open_portal
from shared.flows.start_checkout import Purchase, start_checkout
from shared.flows.till import Till
from shared.web.access import requires
from shared.web.answers import json_answer
from shared.web.context import context_of
from shared.web.json_body import read_json_object
from shared.web.pagination import list_answer, read_page, write_cursor
from shared.web.receipts import read_idempotency_key, read_receipt
from shared.web.refused import refuses

router = APIRouter()
_PAYMENT_ID = re.compile(r"[!-~]{1,255}")


@router.post("/billing/checkout", openapi_extra=descriptions.CHECKOUT, response_class=Response)
@router.post("/api/stripe/checkout", openapi_extra=descriptions.CHECKOUT, response_class=Response)
@requires("billing:write")
@refuses(404, 501)
async def check_out(request: Request) -> Response:
    """Buy credits or a plan, or change the plan."""
    caller = await enter(request)
    till = await _till(request, caller)
    purchase = Purchase(
        caller=caller,
        chosen=read_order(await read_json_object(request)),
        receipt=await read_receipt(request, till.means.secret_keys),
        answer_headers=context_of(request.scope).answer_headers,
    )
    return json_answer(checkout_view(await start_checkout(till, purchase)))


@router.post("/billing/portal", openapi_extra=descriptions.PORTAL, response_class=Response)
@requires("billing:write")
@refuses(501)
async def visit_portal(request: Request) -> Response:
    """Open Stripe's portal for the account."""
    caller = await enter(request)
    till = await _till(request, caller)
    refuse_fields(await read_json_object(request, may_be_empty=True))
    # Whoever asks again gets another page to the same invoices.
    read_idempotency_key(request)
    url = await open_portal(till, caller, context_of(request.scope).answer_headers)
    return json_answer(PortalView(url=url))


@router.get("/billing/payments", openapi_extra=descriptions.PAYMENTS, response_class=Response)
@router.get("/api/stripe/payments", openapi_extra=descriptions.PAYMENTS, response_class=Response)
@requires("billing:read")
async def list_payments(request: Request) -> Response:
    """List the account's own payments, newest first."""
    caller, page, payments = await enter(request), read_page(request), resources_of(request).payments
    told = await ask(request, caller, lambda caller: payments.list_payments(caller, limit=page.limit, after=page.after))
    next_cursor = write_cursor(told.payments[-1].id) if told.has_more else None
    return json_answer(list_answer([payment_view(payment) for payment in told.payments], next_cursor))


@router.get("/billing/payments/{payment_id}", openapi_extra=descriptions.PAYMENT, response_class=Response)
@router.get("/api/stripe/payments/{payment_id}", openapi_extra=descriptions.PAYMENT, response_class=Response)
@requires("billing:read")
async def show_payment(request: Request) -> Response:
    """Tell of one payment of the account's own."""
    caller, payments, payment_id = await enter(request), resources_of(request).payments, _payment_id(request)
    told = await ask(request, caller, lambda caller: payments.read_payment(caller, payment_id))
    return json_answer(payment_view(told.payment))


async def _till(request: Request, caller: Caller) -> Till:
    """Return what orders are taken with.

    raises  NotConfigured where nothing is sold; who may not buy is told that first
    """
    resources = resources_of(request)
    if resources.till is None:
        await ask(request, caller, resources.changes.read_payer)
        raise NotConfigured("Nothing is sold here: the operator has set no STRIPE_SECRET_KEY.")
    return resources.till


def _payment_id(request: Request) -> str:
    """Return the id of a payment.

    raises  PaymentNotFound for what names none
    """
    payment_id = str(request.path_params["payment_id"])
    if not _PAYMENT_ID.fullmatch(payment_id):
        raise PaymentNotFound("No payment of yours has this id. GET /billing/payments lists them.")
    return payment_id
