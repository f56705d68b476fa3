"""Of the shared set of requests those about what is sold and given, and about what Stripe and Resend tell."""

import functools
import json
import secrets
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from infra.local.environment import STRIPE_WEBHOOK_SECRET
from infra.local.stripe_double.signatures import Signature, signature_header
from shared.core.ids import AccountId
from shared.notifications.links import Subscription, unsubscribe_url
from tests.deploy.same_answers import (
    ANY,
    CHECKOUT,
    JSON,
    OWN_PLAN,
    PORTAL,
    REDEMPTION,
    REFERRAL,
    TEST_MAIL,
    TRIAL,
    Question,
)
from tests.harness.mail import resend_event, signed

Headers = Mapping[str, str]

CHECKOUT_PATH = "/billing/checkout"
CREDITS = {"kind": "credits", "amount": "25.00"}
DEV_PLAN = {"kind": "plan", "plan_id": "dev"}
STRIPE, OTHER_STRIPE, RESEND = "/webhooks/stripe", "/api/stripe/webhook", "/webhooks/resend"
UNSUBSCRIBE = "/unsubscribe"
# Just over what an event may have, and under the limits of the platforms.
TOO_LARGE = 1024 * 1024 + 1
# What comes of the questions that change something, and of those that must change nothing.
STATUSES = {
    "a trial is started": 200,
    "the same trial is asked for again": 200,
    "a second trial": 409,
    "a coupon": 200,
    "a coupon again": 409,
    "an order": 200,
    "the same order again": 200,
    "another order under the same Idempotency-Key": 409,
    "an order at the other path": 200,
    "an order of a plan": 200,
    "the portal": 200,
    "a test e-mail": 202,
    "the same test e-mail": 202,
    "a bounce": 200,
    "a bounce of long ago": 400,
    "a bounce that somebody has changed": 400,
    "GET a link that unsubscribes": 200,
    "GET a link that is not ours": 400,
    "an event of no interest": 200,
    **{
        f"an event at {path}, its signature {kind}": 200 if kind is Signature.GOOD else 400
        for path in (STRIPE, OTHER_STRIPE)
        for kind in Signature
    },
}
# Nobody's, so that one link is every place's.
NO_ACCOUNT = AccountId(999_999_999_999)


@dataclass(frozen=True, slots=True)
class Buyer:
    """Somebody whose key may do everything, whose address is known, and who has a coupon.

    gateway_secret: what the gateway signs its links with
    """

    headers: Headers
    coupon: str
    gateway_secret: str = field(repr=False)


NO_BUYER = Buyer({}, "none", "none")


def selling_questions(rich: Headers, buyer: Buyer) -> Iterator[Question]:
    """Return the questions; rich has a key that may only infer."""
    yield from _refused_questions(rich)
    yield from _offer_questions(buyer.headers)
    yield from _trial_questions(buyer.headers)
    yield from _code_questions(buyer)
    yield from _order_questions(buyer.headers)
    yield from _payment_questions(buyer.headers)
    yield from _stripe_questions()
    yield from _mail_questions(buyer)


def _refused_questions(rich: Headers) -> Iterator[Question]:
    for method, path in (
        ("GET", "/user/plan"),
        ("POST", CHECKOUT_PATH),
        ("POST", "/billing/portal"),
        ("GET", "/billing/payments"),
        ("POST", "/trials/start"),
        ("POST", "/coupons/redeem"),
        ("GET", "/referral"),
    ):
        body: dict[str, Any] | None = {} if method == "POST" else None
        yield Question(f"{method} {path} without a key", method, path, JSON, body)
        yield Question(f"{method} {path} with a key that may not", method, path, {**JSON, **rich}, body)
    for path in (CHECKOUT_PATH, STRIPE, RESEND):
        yield Question(f"{path} by GET", "GET", path)
    for path in ("/billing", "/billing/nothing", "/trials", "/coupons", "/webhooks", "/api/stripe", "/referral/no"):
        yield Question(f"the unknown path {path}", "GET", path, rich)
    origin = {"Origin": "https://app.example", "Access-Control-Request-Headers": "authorization, idempotency-key"}
    preflight = {**origin, "Access-Control-Request-Method": "POST"}
    yield Question("preflight of a checkout", "OPTIONS", CHECKOUT_PATH, preflight)


def _offer_questions(buyer: Headers) -> Iterator[Question]:
    yield Question("the plans", "GET", "/plans")
    yield Question("one plan", "GET", "/plans/dev")
    yield Question("no such plan", "GET", "/plans/s%C3%BCch")
    yield Question("the account's plan", "GET", "/user/plan", buyer, varying=OWN_PLAN)


def _trial_questions(buyer: Headers) -> Iterator[Question]:
    sent = {**JSON, **buyer}
    once = {**sent, "Idempotency-Key": "one-trial", "Origin": "https://app.example"}
    yield Question("the trial before it", "GET", "/trials/status", buyer)
    yield Question("a trial with a field too many", "POST", "/trials/start", sent, {"days": 30})
    yield Question("a trial is started", "POST", "/trials/start", once, {}, varying=TRIAL)
    yield Question("the same trial is asked for again", "POST", "/trials/start", once, {}, varying=TRIAL)
    yield Question("a second trial", "POST", "/trials/start", sent)
    for path in ("/trials/status", "/trial/status"):
        yield Question(f"the trial at {path}", "GET", path, buyer, varying=TRIAL)


def _code_questions(buyer: Buyer) -> Iterator[Question]:
    sent, redeem = {**JSON, **buyer.headers}, "/coupons/redeem"
    yield Question("a coupon that is none", "POST", redeem, sent, {"code": "Grüß-Gott"})
    yield Question("a coupon without a code", "POST", redeem, sent, {})
    yield Question("a coupon", "POST", redeem, sent, {"code": buyer.coupon}, varying=REDEMPTION)
    yield Question("a coupon again", "POST", redeem, sent, {"code": buyer.coupon})
    yield Question("the coupons", "GET", "/coupons/history?limit=1", buyer.headers, varying=REDEMPTION)
    yield Question("the referral", "GET", "/referral", buyer.headers, varying=REFERRAL)
    for path in ("/referral/apply", "/referral/code"):
        yield Question(f"nobody's code at {path}", "POST", path, sent, {"code": "nobody-s"})


def _order_questions(buyer: Headers) -> Iterator[Question]:
    sent = {**JSON, **buyer}
    once = {**sent, "Idempotency-Key": "one-order", "Origin": "https://app.example"}
    order = functools.partial(Question, method="POST", path=CHECKOUT_PATH, headers=sent, varying=CHECKOUT)
    yield order("an order", headers=once, body=CREDITS)
    yield order("the same order again", headers=once, body=CREDITS)
    yield order("another order under the same Idempotency-Key", headers=once, body={**CREDITS, "amount": 30})
    yield order("an order at the other path", path="/api/stripe/checkout", body={**CREDITS, "amount": 100})
    yield order("an order of a plan", body=DEV_PLAN)
    yield order("an order of a plan by the year", body={**DEV_PLAN, "interval": "year"})
    for amount in ("4.99", "5000.01", "25.001", "1e3", 25.5, -25, None):
        yield order(f"an order of {amount!r}", body={**CREDITS, "amount": amount})
    for plan_id in ("none", "free"):
        yield order(f"an order of the plan {plan_id}", body={**DEV_PLAN, "plan_id": plan_id})
    yield order("an order of nothing", body={})
    yield order("an order with a field too many", body={**CREDITS, "bonus": "100.00"})
    yield order("an order that is no JSON", body=b"{not json")
    yield order("the portal", path="/billing/portal", body={}, varying=PORTAL)


def _payment_questions(buyer: Headers) -> Iterator[Question]:
    for path in ("/billing/payments", "/api/stripe/payments"):
        yield Question(f"{path} of who has paid nothing", "GET", path, buyer)
        yield Question(f"{path}, a wrong query", "GET", f"{path}?limit=0", buyer)
        yield Question(f"{path}, a payment that is none", "GET", f"{path}/pi_none", buyer)


def _stripe_questions() -> Iterator[Question]:
    for path in (STRIPE, OTHER_STRIPE):
        event = _event("payment_intent.succeeded", f"pi_{secrets.token_hex(12)}")
        for kind in Signature:
            yield Question(f"an event at {path}, its signature {kind}", "POST", path, _sign(event, kind), event)
        yield Question(f"an event at {path} again", "POST", path, _sign(event), event)
    of_no_interest = _event("coupon.created", "coupon")
    yield Question("an event of no interest", "POST", STRIPE, _sign(of_no_interest), of_no_interest)
    for body in (b"", b"{}", b"\xff\xfe", b" " * TOO_LARGE):
        yield Question(f"{len(body)} bytes that are no event: {body[:3]!r}", "POST", STRIPE, _sign(body), body)


def _mail_questions(buyer: Buyer) -> Iterator[Question]:
    sent, send = {**JSON, **buyer.headers}, "/user/notifications/test"
    yield Question("a test e-mail", "POST", send, {**sent, "Idempotency-Key": "one-mail"}, {}, varying=TEST_MAIL)
    yield Question("the same test e-mail", "POST", send, {**sent, "Idempotency-Key": "one-mail"}, {}, varying=TEST_MAIL)
    bounce = resend_event("email.bounced", "nobody@example.com", bounce={"type": "Permanent"})
    yield Question("a bounce", "POST", RESEND, signed(bounce), bounce)
    yield Question("a bounce of long ago", "POST", RESEND, signed(bounce, at=int(time.time()) - 3600), bounce)
    yield Question("a bounce that somebody has changed", "POST", RESEND, signed(bounce), bounce + b" ")
    yield Question("a bounce without a signature", "POST", RESEND, JSON, bounce)
    link = unsubscribe_url("", Subscription(NO_ACCOUNT, "payments"), buyer.gateway_secret)
    for method in ("GET", "POST"):
        yield Question(f"{method} a link that unsubscribes", method, link, varying=ANY)
        yield Question(f"{method} a link that is not ours", method, f"{link}0")
        yield Question(f"{method} {UNSUBSCRIBE} without a link", method, UNSUBSCRIBE)


def _event(kind: str, object_id: str) -> bytes:
    """Return an event about something that Stripe does not have."""
    row = {"object": kind.partition(".")[0], "id": object_id}
    event = {"id": f"evt_{secrets.token_hex(12)}", "type": kind, "created": int(time.time()), "data": {"object": row}}
    return json.dumps(event).encode()


def _sign(body: bytes, kind: Signature = Signature.GOOD) -> dict[str, str]:
    return {**JSON, **signature_header(kind, body, STRIPE_WEBHOOK_SECRET, int(time.time()))}
