"""Only Stripe may tell, and only what it tells now."""

import json
import time
from typing import Any

import pytest

from infra.local.environment import STRIPE_WEBHOOK_SECRET
from infra.local.stripe_double.signatures import HEADER, sign
from tests.harness.gateways import Gateways, RunningGateway
from tests.payments.shop import PATH, Shop, deliver, post, some_id

SECOND_SECRET = "whsec_that_is_being_rolled"
FUTURE_S = 3_600


def event_of(payment_id: str) -> dict[str, Any]:
    row = {"id": payment_id, "object": "payment_intent"}
    return {
        "id": some_id("evt"),
        "type": "payment_intent.succeeded",
        "created": int(time.time()),
        "data": {"object": row},
    }


def code_of(answer: tuple[int, dict[str, Any]]) -> tuple[int, str]:
    status, body = answer
    return status, body["error"]["code"]


@pytest.mark.parametrize("signature", ["old", "wrong", "tampered", "missing"])
async def test_what_stripe_has_not_signed_lately_does_nothing(shop: Shop, signature: str) -> None:
    buyer = await shop.buyer()
    shop.double.control("/deliveries/hold")
    await shop.buy(buyer, 2_500)
    shop.double.control("/deliveries", signature=signature)
    shop.double.settle_down()

    told = [each for each in shop.double.look("/deliveries")["data"] if each["signature"] == signature]
    assert len(told) >= 5
    assert {delivery["status"] for delivery in told} == {400}
    assert shop.handled(shop.events()) == {}
    assert buyer.cents == 0


async def test_a_delivery_that_somebody_has_kept_is_refused_when_it_is_sent_again(shop: Shop) -> None:
    buyer = await shop.buyer()
    shop.double.control("/deliveries/hold")
    event = event_of(await shop.buy(buyer, 2_500))
    body, kept_for_s = json.dumps(event).encode(), 301
    header = {HEADER: sign(body, STRIPE_WEBHOOK_SECRET, int(time.time()) - kept_for_s)}

    assert code_of(await post(shop.gateway, body, header)) == (400, "invalid_signature")
    assert buyer.cents == 0
    assert (await deliver(shop.gateway, body, at=int(time.time()) - 290))[0] == 200
    assert buyer.cents == 2_500


@pytest.mark.parametrize(
    "header",
    [
        "",
        "t=,v1=",
        "t=abc,v1=abc",
        "v1=abc",
        "t=1",
        "t={now}",
        "t={now},v1=",
        "t={now},v0={good}",
        "t={now},v1=\xe9",
        "t={now}\xb2,v1={good}",
        "t=9" + "9" * 5_000 + ",v1={good}",
        "t={later},v1={good}",
    ],
)
async def test_a_header_that_is_no_signature_is_refused(seller: RunningGateway, header: str) -> None:
    now = int(time.time())
    body = json.dumps(event_of(some_id("pi"))).encode()
    good = sign(body, STRIPE_WEBHOOK_SECRET, now).partition("v1=")[2]
    text = header.format(now=now, later=now + FUTURE_S, good=good)

    assert code_of(await post(seller, body, {HEADER: text})) == (400, "invalid_signature")


async def test_while_a_secret_is_rolled_either_signs(shop: Shop, start_gateway: Gateways) -> None:
    rolled = start_gateway(STRIPE_WEBHOOK_SECRET=f"{SECOND_SECRET},{STRIPE_WEBHOOK_SECRET}")
    buyer = await shop.buyer()
    shop.double.control("/deliveries/hold")
    payments = [await shop.buy(buyer, cents) for cents in (500, 700)]
    for payment_id, secret in zip(payments, (SECOND_SECRET, STRIPE_WEBHOOK_SECRET), strict=True):
        assert (await deliver(rolled, event_of(payment_id), secret=secret, at=int(time.time())))[0] == 200
    assert buyer.cents == 1_200
    wrong = await deliver(rolled, event_of(payments[0]), secret="whsec_of_another", at=int(time.time()))
    assert code_of(wrong) == (400, "invalid_signature")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"[]",
        b"{}",
        b'{"id": 5, "type": "a", "created": 1, "data": {"object": {}}}',
        b'{"id": "evt 1", "type": "a", "created": 1, "data": {"object": {}}}',
        b'{"id": "evt_1", "type": "a", "created": 1, "data": {"object": []}}',
        b"[" * 100_000,
    ],
    ids=lambda body: repr(body[:20]),
)
async def test_a_signed_body_that_is_no_event_is_refused(seller: RunningGateway, body: bytes) -> None:
    status, answer = await deliver(seller, body, at=int(time.time()))
    assert status == 400
    assert answer["error"]["code"] in {"invalid_request", "invalid_signature"}


@pytest.mark.parametrize(
    "row",
    [
        {"object": "payment_intent", "id": "pi_1/../x"},
        {"object": "payment_intent", "id": {"a": 1}},
        {"object": "payment_intent"},
        {"object": "charge", "payment_intent": None},
        {"object": "invoice", "parent": "none"},
        {"object": "invoice_payment", "payment": []},
        {"object": ["charge"]},
    ],
    ids=str,
)
async def test_an_object_without_a_name_of_ours_gives_no_hint(seller: RunningGateway, row: dict[str, Any]) -> None:
    event = {**event_of("pi_1"), "data": {"object": row}}
    assert await deliver(seller, event, at=int(time.time())) == (200, {"received": True})


async def test_a_body_beyond_a_megabyte_is_refused_before_it_is_looked_at(seller: RunningGateway) -> None:
    event = {**event_of(some_id("pi")), "filler": "x" * 1024 * 1024}
    assert code_of(await deliver(seller, event, at=int(time.time()))) == (413, "request_too_large")


@pytest.mark.parametrize("path", [PATH, "/api/stripe/webhook"])
async def test_both_addresses_take_events(shop: Shop, path: str) -> None:
    buyer = await shop.buyer()
    shop.double.control("/deliveries/hold")
    event = event_of(await shop.buy(buyer, 500))
    assert await deliver(shop.gateway, event, at=int(time.time()), path=path) == (200, {"received": True})
    assert buyer.cents == 500


async def test_where_nothing_is_sold_the_webhook_says_so(start_gateway: Gateways) -> None:
    silent = start_gateway(STRIPE_SECRET_KEY=None, STRIPE_WEBHOOK_SECRET=None, STRIPE_URL=None)
    answer = await deliver(silent, event_of("pi_1"), at=int(time.time()))
    assert code_of(answer) == (501, "not_configured")


async def test_an_event_about_a_payment_that_stripe_does_not_have_is_taken_and_grants_nothing(shop: Shop) -> None:
    event = event_of(some_id("pi"))
    assert (await deliver(shop.gateway, event, at=int(time.time())))[0] == 200
    assert shop.handled([event]) == {event["id"]: True}
