"""Deliveries: signed, repeated, shuffled, late, held back, forged."""

import time
from typing import Any

import pytest
import stripe

from tests.infra.local.stripe_double.conftest import SECRET, Double, Receiver


def idle(double: Double) -> None:
    assert double.control("/deliveries/idle")["idle"]


def test_every_event_is_delivered_signed(double: Double, receiver: Receiver) -> None:
    double.paid()
    idle(double)

    assert sorted(event.type for event in receiver.events()) == sorted(double.event_types())
    for event in receiver.events():
        assert event.api_version == stripe.api_version
        assert double.api.events.retrieve(event.id).pending_webhooks == 0


def test_an_event_shows_its_object_as_it_was_then(double: Double, receiver: Receiver) -> None:
    charge = double.paid()
    double.api.refunds.create({"charge": charge.id})
    idle(double)
    (succeeded,) = [event for event in receiver.events() if event.type == "charge.succeeded"]

    assert succeeded.data.object["amount_refunded"] == 0
    assert succeeded.data.object["balance_transaction"] is None


def test_a_delivery_that_fails_is_tried_again(double: Double, receiver: Receiver) -> None:
    receiver.answers = [500, 503]
    double.product()
    idle(double)

    assert len({event.id for event in receiver.events()}) == 1
    assert [row["status"] for row in double.look("/deliveries")["data"]] == [500, 503, 200]


def test_a_delivery_is_given_up_in_the_end(double: Double, receiver: Receiver) -> None:
    receiver.answers = [500] * 10
    double.product()
    idle(double)
    (event,) = double.api.events.list({"delivery_success": False}).data

    assert len(receiver.got) == 3
    assert event.pending_webhooks == 1


def test_an_event_is_delivered_as_often_as_asked(double: Double, receiver: Receiver) -> None:
    double.paid()
    idle(double)
    receiver.got.clear()
    event = double.api.events.list({"type": "checkout.session.completed"}).data[0]

    assert double.control("/deliveries", events=[event.id], times=20)["started"] == 20
    idle(double)
    assert {got.id for got in receiver.events()} == {event.id}
    assert len(receiver.got) == 20


def test_all_events_are_delivered_again_shuffled(double: Double, receiver: Receiver) -> None:
    double.paid()
    idle(double)
    receiver.got.clear()
    types = ["charge.succeeded", "payment_intent.succeeded", "checkout.session.completed"]
    double.control("/deliveries", types=types, times=20, shuffle=True, seed=3)
    idle(double)

    got = [event.type for event in receiver.events()]
    assert sorted(got) == sorted(types * 20)
    assert got[:20] != ["charge.succeeded"] * 20


def test_events_are_held_back_and_released(double: Double, receiver: Receiver) -> None:
    double.control("/deliveries/hold")
    double.paid()
    idle(double)
    assert receiver.got == []
    held = double.look("/deliveries")["held"]
    double.control("/deliveries/release", times=2, shuffle=True)
    idle(double)

    assert len(receiver.got) == 2 * len(held)
    assert double.look("/deliveries")["held"] == []


def test_a_late_delivery_comes_late(double: Double, receiver: Receiver) -> None:
    double.product()
    idle(double)
    receiver.got.clear()
    began_s = time.monotonic()
    double.control("/deliveries", delay_s=0.3)
    idle(double)

    assert time.monotonic() - began_s >= 0.3
    assert len(receiver.got) == 1


@pytest.mark.parametrize("signature", ["old", "wrong", "tampered", "missing"])
def test_a_forged_or_old_signature_does_not_verify(double: Double, receiver: Receiver, signature: str) -> None:
    double.product()
    idle(double)
    receiver.got.clear()
    double.control("/deliveries", signature=signature)
    idle(double)

    with pytest.raises(stripe.SignatureVerificationError):
        receiver.events()


def test_an_old_signature_is_right_but_for_its_age(double: Double, receiver: Receiver) -> None:
    double.product()
    idle(double)
    receiver.got.clear()
    double.control("/deliveries", signature="old")
    idle(double)
    ((body, header),) = receiver.got

    assert stripe.Webhook.construct_event(body, header or "", SECRET, tolerance=10_000).id


def test_an_endpoint_gets_the_events_that_it_wants(double: Double, receiver: Receiver) -> None:
    double.control("/endpoints", url=receiver.url, secret=SECRET, enabled_events=["charge.succeeded"])
    double.paid()
    idle(double)

    assert [event.type for event in receiver.events()] == ["charge.succeeded"]


def test_renewals_are_delivered_when_the_clock_moves(double: Double, receiver: Receiver) -> None:
    double.subscribed()
    idle(double)
    receiver.got.clear()
    double.move_to("2026-02-15 13:00")
    idle(double)

    assert {"customer.subscription.updated", "invoice.created", "invoice.paid"} <= {
        got.type for got in receiver.events()
    }


def test_an_endpoint_that_is_not_there_stops_nothing(double: Double) -> None:
    double.control("/endpoints", url="http://127.0.0.1:9/hook", secret=SECRET)

    assert double.product().id
    idle(double)
    assert double.look("/deliveries")["data"][0]["status"] is None


@pytest.mark.parametrize(
    ("path", "order"),
    [("/deliveries", {"times": 0}), ("/deliveries", {"times": 10_000}), ("/deliveries", {"events": ["evt_x"]}),
     ("/deliveries", {"signature": "nice"}), ("/endpoints", {"url": "http://127.0.0.1:9"}),
     ("/endpoints", {"url": "http://127.0.0.1:9", "secret": ""}), ("/sessions/cs_x/pay", {}),
     ("/customers/cus_x/card", {}), ("/disputes", {}),
     ("/settings", {"after_retries": "pray"}), ("/clock", {"to": "now"})],
)  # fmt: skip
def test_an_order_that_makes_no_sense_is_refused(double: Double, path: str, order: Any) -> None:
    assert double.http.post(f"/_control{path}", json=order).status_code in {400, 404}
