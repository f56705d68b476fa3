"""One well-made request for each route of every function; a route without one fails test_refusals.py."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from tests.functions.chat.client import HELLO, TIMEOUT, Answer
from tests.functions.test_access import DeclaredRoute, declared_routes
from tests.harness.gateways import RunningGateway

Body = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Belongings:
    """What somebody has that a route may name; token is a Privy access token of someone who may sign in with it."""

    key_id: str
    generation_id: str
    response_id: str
    model_id: str
    payment_id: str
    session_id: str
    user_id: str
    token: str = field(repr=False)

    @property
    def path_values(self) -> dict[str, str]:
        """What stands for the parameters of a path."""
        return {
            "key_id": self.key_id,
            "generation_id": self.generation_id,
            "model_id": self.model_id,
            "payment_id": self.payment_id,
            "response_id": self.response_id,
            "session_id": self.session_id,
            "user_id": self.user_id,
            "slug": "openrouter",
            "code": "nobody-s",
            "letter_id": "999999999999",
            "plan_id": "dev",
            # One that erases nothing of what the intruders have.
            "name": "key_rotation",
        }


@dataclass(frozen=True, slots=True)
class WellMade:
    """What a route is sent, and what it answers to whoever may call it; query begins with its question mark."""

    status: int = 200
    query: str = ""
    body: Callable[[Belongings], Body] | None = None


def _sent(**body: Any) -> Callable[[Belongings], Body]:
    return lambda _: body


def _of_user(**body: Any) -> Callable[[Belongings], Body]:
    return lambda belongings: {"user_id": belongings.user_id, **body}


def _said(belongings: Belongings) -> Body:
    return {"model": belongings.model_id, "messages": HELLO}


_CHAT = WellMade(body=_said)
_EMBED = WellMade(body=_sent(model="simulated/echo", input="A cat."))
_DRAW = WellMade(body=_sent(model="simulated/echo", prompt="A cat."))
_SIGN_IN = WellMade(body=lambda belongings: {"token": belongings.token})
_CHANGE_KEY = WellMade(body=_sent(max_requests=7))
_BUY = WellMade(body=_sent(kind="credits", amount="25.00"))
# Nothing is given to somebody whose address is not known.
_CODE = WellMade(status=403, body=_sent(code="nobody-s"))
# Stripe has not signed it.
_UNSIGNED = WellMade(status=400, body=_sent(type="payment_intent.succeeded"))
_SEARCH = WellMade(body=_sent(query="hello"))
_CHANGE_SESSION = WellMade(body=_sent(title="another"))
_NEW_SESSION = WellMade(status=201, body=_sent(title="one more", model="some/model"))
_PROVISION = WellMade(status=201, body=_sent(external_id="a customer of a reseller"))
_CHANGE_PROFILE = WellMade(body=_sent(name="Somebody Else", preferences={"theme": "dark"}))

REQUESTS: dict[str, WellMade] = {
    "DELETE /user/account": WellMade(status=204, body=_sent(confirmation="DELETE_ACCOUNT")),
    "DELETE /user/api-keys/{key_id}": WellMade(status=204),
    "DELETE /v1/chat/sessions/{session_id}": WellMade(status=204),
    "DELETE /v1/generations/{generation_id}/answer": WellMade(status=204),
    "GET /admin/audit": WellMade(query="?limit=1"),
    "GET /admin/coupons": WellMade(),
    "GET /admin/dead-letters": WellMade(),
    "GET /admin/ledger/check": WellMade(),
    "GET /admin/models": WellMade(query="?limit=1"),
    "GET /admin/monitor": WellMade(query="?window=5m"),
    "GET /admin/providers": WellMade(),
    "GET /admin/switches": WellMade(),
    "GET /admin/users": WellMade(query="?limit=1"),
    "GET /admin/users/{user_id}": WellMade(),
    "PATCH /admin/coupons/{code}": WellMade(status=404, body=_sent(is_active=False)),
    "PATCH /admin/models/{model_id:path}": WellMade(body=_sent(name="another name")),
    "PATCH /admin/providers/{slug}": WellMade(body=_sent(may_shrink=False)),
    "PATCH /admin/users/{user_id}": WellMade(body=_sent(name="Somebody")),
    "POST /admin/add_credits": WellMade(body=_of_user(amount="1.00", reason="a gift")),
    "POST /admin/assign-plan": WellMade(body=_of_user(plan_id="dev")),
    "POST /admin/coupons": WellMade(status=201, body=_sent(code="a-new-one", amount="1.00", max_redemptions=1)),
    "POST /admin/create": _PROVISION,
    "POST /admin/dead-letters/{letter_id}/retry": WellMade(status=404),
    "POST /admin/users": _PROVISION,
    "POST /admin/users/{user_id}/credits": WellMade(body=_sent(amount="1.00", reason="a gift")),
    "POST /admin/users/{user_id}/plan": WellMade(body=_sent(plan_id="dev")),
    "PUT /admin/switches": WellMade(body=_sent(stop_trials=False)),
    "GET /api/stripe/payments": WellMade(),
    "GET /api/stripe/payments/{payment_id}": WellMade(),
    "GET /billing/payments": WellMade(),
    "GET /billing/payments/{payment_id}": WellMade(),
    "GET /chat/sessions": WellMade(),
    "GET /coupons/history": WellMade(),
    "GET /docs": WellMade(),
    "GET /health": WellMade(),
    "GET /healthz": WellMade(),
    "GET /internal/jobs/{name}": WellMade(),
    "GET /models": WellMade(),
    "GET /models/providers": WellMade(),
    "GET /models/{model_id:path}": WellMade(),
    "GET /openapi.json": WellMade(),
    "GET /ping": WellMade(),
    "GET /plans": WellMade(),
    "GET /plans/{plan_id}": WellMade(),
    "GET /ranking/apps": WellMade(),
    "GET /ranking/models": WellMade(),
    "GET /referral": WellMade(),
    "GET /trial/status": WellMade(),
    "GET /trials/status": WellMade(),
    # Links in e-mails and events of Resend's are let in by their signature, which these have not.
    "GET /unsubscribe": WellMade(status=400),
    "POST /unsubscribe": WellMade(status=400),
    "POST /webhooks/resend": WellMade(status=400),
    "GET /user/activity": WellMade(),
    "GET /user/activity/log": WellMade(),
    "GET /user/activity/stats": WellMade(),
    "GET /user/api-keys": WellMade(),
    "GET /user/api-keys/audit-logs": WellMade(),
    "GET /user/api-keys/usage": WellMade(),
    "GET /user/api-keys/{key_id}": WellMade(),
    "GET /user/balance": WellMade(),
    "GET /user/credit-transactions": WellMade(),
    "GET /user/limit": WellMade(),
    "GET /user/limits": WellMade(),
    "GET /user/plan": WellMade(),
    "GET /user/notifications/preferences": WellMade(),
    "GET /user/profile": WellMade(),
    "GET /user/transactions": WellMade(),
    "GET /v1/chat/search": WellMade(query="?q=hello"),
    "GET /v1/chat/sessions": WellMade(),
    "GET /v1/chat/sessions/{session_id}": WellMade(),
    "GET /v1/chat/stats": WellMade(),
    "GET /v1/generations/{generation_id}": WellMade(),
    "GET /v1/key": WellMade(),
    "GET /v1/models": WellMade(),
    "GET /v1/models/{model_id:path}": WellMade(),
    "GET /v1/providers": WellMade(),
    "DELETE /v1/responses/{response_id}": WellMade(),
    "GET /v1/responses/{response_id}": WellMade(),
    "HEAD /healthz": WellMade(),
    "PATCH /user/api-keys/{key_id}": _CHANGE_KEY,
    "PATCH /user/profile": _CHANGE_PROFILE,
    "PATCH /v1/chat/sessions/{session_id}": _CHANGE_SESSION,
    "POST /api/stripe/checkout": _BUY,
    "POST /api/stripe/webhook": _UNSIGNED,
    "POST /auth": _SIGN_IN,
    "POST /auth/privy": _SIGN_IN,
    "POST /billing/checkout": _BUY,
    "POST /billing/portal": WellMade(body=_sent()),
    "POST /chat/sessions": _NEW_SESSION,
    "POST /coupons/redeem": _CODE,
    "POST /images/generate": _DRAW,
    "POST /internal/jobs/{name}": WellMade(),
    "POST /referral/apply": _CODE,
    "POST /referral/code": _CODE,
    "POST /trials/start": WellMade(status=403, body=_sent()),
    "POST /user/api-keys": WellMade(status=201, body=_sent(name="one more", scopes=["inference"])),
    "POST /user/api-keys/{key_id}/collect": WellMade(),
    "POST /user/api-keys/{key_id}/rotate": WellMade(body=_sent(overlap_hours=1)),
    # He has signed in without an address.
    "POST /user/notifications/test": WellMade(status=409),
    "POST /v1/chat/completions": _CHAT,
    "POST /v1/chat/search": _SEARCH,
    "POST /v1/chat/sessions": _NEW_SESSION,
    "POST /v1/chat/sessions/{session_id}/messages": WellMade(status=201, body=_sent(role="user", content="hello")),
    "POST /v1/embeddings": _EMBED,
    "POST /v1/images/generations": _DRAW,
    "POST /v1/messages": WellMade(body=lambda belongings: {**_said(belongings), "max_tokens": 20}),
    "POST /v1/messages/count_tokens": _CHAT,
    "POST /v1/responses": WellMade(body=lambda belongings: {"model": belongings.model_id, "input": HELLO}),
    "POST /webhooks/stripe": _UNSIGNED,
    "PUT /user/api-keys/{key_id}": _CHANGE_KEY,
    "PUT /user/notifications/preferences": WellMade(body=_sent(emails={"news": True}, low_balance_threshold="3.00")),
    "PUT /user/profile": _CHANGE_PROFILE,
    "PUT /v1/chat/sessions/{session_id}": _CHANGE_SESSION,
}


def name_of(route: DeclaredRoute) -> str:
    """Return what a route is found by in REQUESTS."""
    return f"{route.method} {route.path}"


# /healthz is every function's own, and reached as one path.
ROUTES: dict[str, DeclaredRoute] = {name_of(route): route for route in declared_routes()}


def routes_for(admits: str) -> list[DeclaredRoute]:
    """Return the routes that are declared to let these callers in."""
    return [route for route in ROUTES.values() if route.access.admits == admits]


def path_of(route: DeclaredRoute, belongings: Belongings) -> str:
    """Put somebody's ids into a path, and after it what the route has to be asked."""
    values = belongings.path_values
    path = re.sub(r"\{(\w+)(?::path)?\}", lambda found: values[found[1]], route.path)
    return path + REQUESTS[name_of(route)].query


async def send(
    session: aiohttp.ClientSession, route: DeclaredRoute, belongings: Belongings, headers: dict[str, str]
) -> Answer:
    """Send a route its well-made request, with somebody's ids in it, and read the whole answer."""
    make = REQUESTS[name_of(route)].body
    body = make(belongings) if make else None
    return await call(session, route.method, path_of(route, belongings), headers, body)


async def call(
    session: aiohttp.ClientSession, method: str, path: str, headers: dict[str, str], body: object = None
) -> Answer:
    """Send any request; the session says to which gateway. Whatever it is, no answer has to do with cookies."""
    async with session.request(method, path, json=body, headers=headers) as response:
        assert not {"Access-Control-Allow-Credentials", "Set-Cookie"} & set(response.headers)
        return Answer(response.status, response.headers.copy(), await response.read())


def bearer(secret: str) -> dict[str, str]:
    """Return the header that carries a key or a token."""
    return {"Authorization": f"Bearer {secret}"}


def open_session(gateway: RunningGateway) -> aiohttp.ClientSession:
    """Open a session whose paths are a gateway's; what it is given as a cookie it does not send again."""
    return aiohttp.ClientSession(gateway.url, timeout=TIMEOUT, cookie_jar=aiohttp.DummyCookieJar())
