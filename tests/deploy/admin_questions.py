"""Of the shared set of requests those of whoever operates the gateway."""

import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from tests.deploy.same_answers import ANY, JSON, Question

Headers = Mapping[str, str]

ADMIN = "/admin"
NO_USER = f"{ADMIN}/users/user_999999999999"
USER = ANY | {"id", "external_id", "created_at", "masked", "api_key", "resets_at", "code"}
LISTED = USER | {"next"}
# Whose models and switches these are is the same for all places; what they lose and ask is not.
OFFER = ANY | {"id", "created_at", "next", "has_more"}
NOW = ANY | {"now", "loss_today", "trial_spend_today", "changed_at", "checked_at"}
# What comes of the questions that change something, and of those that look at all of it.
ADMIN_STATUSES = {
    "an account is provisioned": 201,
    "the same account is provisioned again": 201,
    "an account found at the other path": 201,
    "another account under the same Idempotency-Key": 409,
    "credit for nobody": 404,
    "a plan for nobody": 404,
    "a coupon is made": 201,
    "the monitor of a day long ago": 200,
    "the switches": 200,
    "a switch that says nothing": 400,
    "the providers as admins see them": 200,
    "a model as admins see it": 200,
    "a wrong question about the audit log": 400,
}


@dataclass(frozen=True, slots=True)
class Operator:
    """Whoever has ADMIN_API_KEY, and names that he has given to nothing yet."""

    headers: Headers
    name: str


NO_OPERATOR = Operator({}, "")


def admin_questions(operator: Operator, rich: Headers) -> Iterator[Question]:
    """Return the questions; nothing is changed that the other targets' questions meet."""
    yield from _refused_questions(rich)
    yield from _account_questions(operator)
    yield from _state_questions(operator.headers)


def _refused_questions(rich: Headers) -> Iterator[Question]:
    for path in ("/users", "/monitor", "/switches", "/models", "/ledger/check"):
        yield Question(f"{path} of admins without a key", "GET", f"{ADMIN}{path}")
        yield Question(f"{path} of admins with a customer's key", "GET", f"{ADMIN}{path}", rich)
    yield Question("a switch by a customer", "PUT", f"{ADMIN}/switches", {**JSON, **rich}, {"stop_inference": True})
    yield Question("an unknown path of admins", "GET", f"{ADMIN}/nothing", rich)
    asked = {"Origin": "https://app.example", "Access-Control-Request-Headers": "authorization, content-type"}
    preflight = {**asked, "Access-Control-Request-Method": "PATCH"}
    yield Question("preflight of a change by an admin", "OPTIONS", NO_USER, preflight)


def _account_questions(operator: Operator) -> Iterator[Question]:
    sent = {**JSON, **operator.headers}
    once = {**sent, "Idempotency-Key": f"once-{operator.name}"}
    provision = functools.partial(Question, method="POST", path=f"{ADMIN}/users", headers=once, varying=USER)
    new = {"external_id": operator.name, "email": "ada@example.com", "name": "Ada aus 世界"}
    yield provision("an account is provisioned", body=new)
    yield provision("the same account is provisioned again", body=new)
    yield provision("an account found at the other path", path=f"{ADMIN}/create", headers=sent, body=new)
    yield provision("another account under the same Idempotency-Key", body={**new, "name": "Bob"})
    yield provision("an account with a field too many", headers=sent, body={**new, "owner": 1})
    yield Question("the account as admins find it", "GET", f"{ADMIN}/users?q={operator.name}", sent, varying=LISTED)
    yield Question("nobody's account", "GET", NO_USER, sent)
    gift = {"amount": "2.50", "reason": "a gift"}
    yield Question("credit for nobody", "POST", f"{NO_USER}/credits", sent, gift)
    yield Question("no credit at the other path", "POST", f"{ADMIN}/add_credits", sent, gift)
    yield Question("a plan for nobody", "POST", f"{NO_USER}/plan", sent, {"plan_id": "free"})
    plan = {"user_id": "nobody", "plan_id": "free"}
    yield Question("a plan for nobody at the other path", "POST", f"{ADMIN}/assign-plan", sent, plan)
    coupon = {"code": operator.name, "amount": "1.00", "max_redemptions": 2, "expires_at": "2030-01-01T00:00:00+01:00"}
    yield Question("a coupon is made", "POST", f"{ADMIN}/coupons", sent, coupon, varying=USER)
    yield Question("a coupon that nobody made", "PATCH", f"{ADMIN}/coupons/none-such", sent, {"is_active": False})


def _state_questions(headers: Headers) -> Iterator[Question]:
    sent = {**JSON, **headers}
    day = "from=2020-01-01&to=2020-01-02T00:00:00%2B00:00"
    yield Question("the monitor of a day long ago", "GET", f"{ADMIN}/monitor?{day}", headers, varying=NOW)
    yield Question("the monitor of no window", "GET", f"{ADMIN}/monitor?window=1y", headers)
    yield Question("the switches", "GET", f"{ADMIN}/switches", headers, varying=NOW)
    yield Question("a switch that says nothing", "PUT", f"{ADMIN}/switches", sent, {})
    yield Question("the switches by a wrong method", "DELETE", f"{ADMIN}/switches", headers)
    yield Question("the providers as admins see them", "GET", f"{ADMIN}/providers", headers, varying=ANY | {"data"})
    seen = f"{ADMIN}/models?q=openai/gpt-5-mini&limit=1"
    yield Question("a model as admins see it", "GET", seen, headers, varying=OFFER)
    slashed, body = f"{ADMIN}/models/none%2Fsuch", {"is_enabled": True}
    yield Question("a model that is none, its slash escaped", "PATCH", slashed, sent, body)
    yield Question("a provider that is none", "PATCH", f"{ADMIN}/providers/nobody", sent, body)
    yield Question("no dead letter", "POST", f"{ADMIN}/dead-letters/999999999999/retry", headers)
    yield Question("a wrong question about the audit log", "GET", f"{ADMIN}/audit?actor=nobody", headers)
    yield Question("the audit log of nobody", "GET", f"{ADMIN}/audit?user=user_999999999999", headers)
