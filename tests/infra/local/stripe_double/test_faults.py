"""What a test can let go wrong."""

import httpx
import pytest
import stripe

from tests.infra.local.stripe_double.conftest import API_KEY, Double, client


@pytest.mark.parametrize(
    ("status", "error"), [(500, stripe.APIError), (503, stripe.APIError), (429, stripe.RateLimitError)]
)
def test_the_next_calls_fail_and_the_one_after_does_not(
    double: Double, status: int, error: type[stripe.StripeError]
) -> None:
    double.control("/faults", status=status, times=2)
    for _ in range(2):
        with pytest.raises(error):
            double.api.customers.create()

    assert double.api.customers.create().id
    assert len(double.api.customers.list().data) == 1


def test_a_fault_strikes_only_the_calls_it_is_meant_for(double: Double) -> None:
    double.control("/faults", status=500, method="POST", path="/v1/products")
    double.api.customers.create()
    double.api.products.list()

    with pytest.raises(stripe.APIError):
        double.product()
    assert double.http.delete("/_control/faults").status_code == 200


def test_a_lost_answer_is_a_connection_error_and_the_work_is_done(double: Double) -> None:
    double.control("/faults", kind="lost")
    with pytest.raises(stripe.APIConnectionError):
        double.api.customers.create({"email": "a@example.com"})

    assert [row.email for row in double.api.customers.list().data] == ["a@example.com"]


def test_a_late_error_is_kept_under_its_key(double: Double) -> None:
    double.control("/faults", kind="late_error", status=500)
    for _ in range(2):
        with pytest.raises(stripe.APIError):
            double.api.customers.create({}, {"idempotency_key": "k"})

    assert len(double.api.customers.list().data) == 1


def test_silence_ends_when_the_client_leaves_and_nothing_was_done(double: Double) -> None:
    double.control("/faults", kind="timeout", wait_s=20)
    headers = {"Authorization": f"Bearer {API_KEY}", "Idempotency-Key": "k"}
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(f"{double.url}/v1/customers", headers=headers, timeout=0.2, trust_env=False)

    assert double.api.customers.list().data == []
    assert double.api.customers.create({}, {"idempotency_key": "k"}).id


def test_the_package_retries_by_itself(double: Double) -> None:
    double.control("/faults", status=500, times=1)

    assert client(double.url, max_network_retries=1).v1.customers.create().id
    assert [call["status"] for call in double.look("/calls")["data"]] == [500, 200]


@pytest.mark.parametrize("order", [{"status": 99}, {"times": 0}, {"kind": "flood"}, {"wait_s": -1}, {"colour": "red"}])
def test_an_order_that_makes_no_sense_is_refused(double: Double, order: dict[str, object]) -> None:
    assert double.http.post("/_control/faults", json=order).status_code == 400
