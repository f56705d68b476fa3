"""What is called from within an e-mail, and by who delivers them: unsubscribing, and bounces."""

from collections.abc import Mapping
from types import MappingProxyType
from urllib.parse import urlencode

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from functions.account import descriptions
from functions.account.resources import resources_of
from shared.core.errors import NotConfigured
from shared.flows.record_bounce import record_bounce
from shared.flows.unsubscribe import unsubscribe
from shared.notifications.links import read_unsubscribe_token
from shared.notifications.types import Category
from shared.web.access import public
from shared.web.answers import json_answer
from shared.web.json_body import read_body
from shared.web.refused import refuses

# The address has a token in it: nobody is told where the reader came from, and nothing on the page asks anybody else.
PAGE_HEADERS = MappingProxyType(
    {
        "Cache-Control": "no-store",
        "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; "
        "base-uri 'none'; frame-ancestors 'none'",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
        "X-Robots-Tag": "noindex",
    }
)
SAID: Mapping[Category, str] = MappingProxyType(
    {
        "low_balance": "a low balance",
        "trial": "your trial",
        "payments": "payments and plans",
        "keys": "API keys",
        "usage_report": "your usage in a month",
        "news": "news",
    }
)

router = APIRouter()


@router.post("/webhooks/resend", openapi_extra=descriptions.RESEND_EVENT, response_class=Response)
@public
@refuses(501)
async def take_event(request: Request) -> Response:
    """Take an event, signed by Resend: what has bounced for good is written to no more."""
    resources = resources_of(request)
    mail = resources.settings.mail
    if mail is None or mail.webhook_secret is None:
        raise NotConfigured("Bounces are not listened to here: the operator has set no RESEND_WEBHOOK_SECRET.")
    body = await read_body(request)
    await record_bounce(resources.mails.outbox, body, request.headers, mail.webhook_secret)
    return json_answer({"received": True})


@router.get("/unsubscribe", openapi_extra=descriptions.UNSUBSCRIBE, response_class=Response)
@public
async def ask_whether(request: Request) -> Response:
    """Show the page that asks; it changes nothing, because programs follow every link of a mail."""
    token = request.query_params.get("token", "")
    subscription = read_unsubscribe_token(token, resources_of(request).settings.secret_keys)
    if subscription is None:
        return _page(request, "unknown_link", status=400)
    return _page(request, "unsubscribe", said=SAID[subscription.category], action=f"?{urlencode({'token': token})}")


@router.post("/unsubscribe", openapi_extra=descriptions.UNSUBSCRIBE, response_class=Response)
@public
async def end_subscription(request: Request) -> Response:
    """Switch one kind of e-mail off, for the button of that page and for that of a mail program.

    source  https://www.rfc-editor.org/rfc/rfc8058#section-3.2
    """
    resources = resources_of(request)
    token = request.query_params.get("token", "")
    subscription = await unsubscribe(resources.mails.outbox, token, resources.settings.secret_keys)
    if subscription is None:
        return _page(request, "unknown_link", status=400)
    return _page(request, "unsubscribed", said=SAID[subscription.category])


def _page(request: Request, name: str, *, status: int = 200, **said: str) -> Response:
    page = resources_of(request).mails.renderer.page(name, **said)
    return HTMLResponse(page, status, headers=dict(PAGE_HEADERS))
