"""POST /webhooks/stripe: Stripe tells that something has happened."""

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from functions.stripe_webhook.resources import resources_of
from shared.clients.stripe.events import read_event
from shared.clients.stripe.signature import check_signature
from shared.core.errors import GatewayError, NotConfigured
from shared.flows.handle_stripe_event import handle_stripe_event
from shared.flows.send_email import send_at_once
from shared.web.access import public
from shared.web.answers import json_answer
from shared.web.json_body import read_body
from shared.web.refused import refuses

# Stripe's largest events, invoices of many lines, stay far below.
MAX_EVENT_BYTES = 1024 * 1024
OPENAPI = {
    "parameters": [{"name": "Stripe-Signature", "in": "header", "required": True, "schema": {"type": "string"}}],
    "requestBody": {"required": True, "content": {"application/json": {"schema": {"type": "object"}}}},
    "responses": {"200": {"description": "What the event hints at has been read at Stripe and posted."}},
}

router = APIRouter()


class EventTooLarge(GatewayError):
    """No event of Stripe's is so large."""

    status = 413
    code = "request_too_large"


@router.post("/webhooks/stripe", openapi_extra=OPENAPI, response_class=Response)
@router.post("/api/stripe/webhook", openapi_extra=OPENAPI, response_class=Response)
@public
@refuses(501)
async def take_event(request: Request) -> Response:
    """Take an event, signed by Stripe; 200 says that what it is about is posted."""
    resources = resources_of(request)
    if resources.means is None:
        raise NotConfigured("Nothing is sold here: the operator has set no STRIPE_SECRET_KEY.")
    body = await _read_event_body(request)
    check_signature(body, request.headers.get("stripe-signature"), resources.webhook_secrets)
    for account_id in await handle_stripe_event(resources.means, read_event(body)):
        await send_at_once(resources.mails, account_id)
    return json_answer({"received": True})


async def _read_event_body(request: Request) -> bytes:
    """Read the body; what announces itself as too large is not read.

    raises  EventTooLarge, and as read_body
    """
    announced = request.headers.get("content-length", "0")
    if announced.isdigit() and int(announced[:13]) > MAX_EVENT_BYTES:
        raise EventTooLarge(f"An event has {MAX_EVENT_BYTES} bytes at most.")
    body = await read_body(request)
    if len(body) > MAX_EVENT_BYTES:
        raise EventTooLarge(f"An event has {MAX_EVENT_BYTES} bytes at most.")
    return body
