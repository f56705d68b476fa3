"""Idempotency keys: one effect, one answer."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
import stripe

from tests.infra.local.stripe_double.conftest import API_KEY, DAY_S, Double, client

KEY: Any = {"idempotency_key": "order-7"}


def test_the_second_request_gets_the_first_answer(double: Double) -> None:
    customers = double.api.customers
    first = customers.create({"email": "a@example.com"}, KEY)
    second = customers.create({"email": "a@example.com"}, KEY)

    assert first.id == second.id
    assert len(customers.list().data) == 1
    (event,) = double.api.events.list().data
    assert event.request is not None
    assert event.request.idempotency_key == "order-7"


def test_other_parameters_under_a_used_key_are_refused(double: Double) -> None:
    double.api.customers.create({"email": "a@example.com"}, KEY)

    with pytest.raises(stripe.IdempotencyError, match="same parameters") as caught:
        double.api.customers.create({"email": "b@example.com"}, KEY)
    assert caught.value.http_status == 400
    with pytest.raises(stripe.IdempotencyError, match="same endpoint"):
        double.api.products.create({"name": "a"}, KEY)


def test_a_refusal_of_the_endpoint_is_kept_and_one_of_the_parameters_is_not(double: Double) -> None:
    params: Any = {"amount": 2000, "currency": "usd", "payment_method": "pm_card_chargeDeclined", "confirm": True}
    for _ in range(2):
        with pytest.raises(stripe.CardError):
            double.api.payment_intents.create(params, KEY)
    assert len(double.api.payment_intents.list().data) == 1

    other: Any = {"idempotency_key": "order-8"}
    wrong: Any = {"colour": "red"}
    with pytest.raises(stripe.InvalidRequestError):
        double.api.customers.create(wrong, other)
    assert double.api.customers.create({"email": "a@example.com"}, other).email == "a@example.com"


def test_a_key_is_free_again_after_a_day(double: Double) -> None:
    first = double.api.customers.create({}, KEY)
    double.control("/clock", ahead_s=DAY_S + 1)

    assert double.api.customers.create({}, KEY).id != first.id


def test_a_key_that_is_too_long_is_refused(double: Double) -> None:
    with pytest.raises(stripe.InvalidRequestError, match="255"):
        double.api.customers.create({}, {"idempotency_key": "k" * 256})


def test_a_replay_says_that_it_is_one(double: Double) -> None:
    headers = {"Authorization": f"Bearer {API_KEY}", "Idempotency-Key": "k"}
    first, second = (double.http.post("/v1/customers", headers=headers) for _ in range(2))

    assert "Idempotent-Replayed" not in first.headers
    assert second.headers["Idempotent-Replayed"] == "true"
    assert second.headers["Original-Request"] == first.headers["Request-Id"]
    assert first.content == second.content


def test_a_request_meanwhile_is_told_to_wait(double: Double) -> None:
    double.control("/faults", kind="slow", wait_s=0.5, method="POST")
    headers = {"Authorization": f"Bearer {API_KEY}", "Idempotency-Key": "k"}

    def ask(_: int) -> httpx.Response:
        return httpx.post(f"{double.url}/v1/customers", headers=headers, trust_env=False, timeout=10)

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(ask, range(4)))
    assert sorted(answer.status_code for answer in answers) == [200, 409, 409, 409]
    refused = next(answer.json()["error"] for answer in answers if answer.status_code == 409)
    assert refused["code"] == "idempotency_key_in_use"
    assert len(double.api.customers.list().data) == 1


def test_the_packages_own_retries_pay_once_when_the_answer_is_lost(double: Double) -> None:
    charge = double.paid()
    double.control("/faults", kind="lost", path="/v1/refunds", times=1)
    patient = client(double.url, max_network_retries=2)
    refund = patient.v1.refunds.create({"charge": charge.id, "amount": 1000})

    assert refund.amount == 1000
    assert double.api.charges.retrieve(charge.id).amount_refunded == 1000
