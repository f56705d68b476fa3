"""Who may call, in which version, and what is not there."""

import httpx
import pytest
import stripe

from infra.local.stripe_double.app import start_double
from tests.infra.local.stripe_double.conftest import API_KEY, NOW, Double, Loop, client

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def ask(double: Double, **headers: str) -> httpx.Response:
    return double.http.get("/v1/customers", headers=headers)


@pytest.mark.parametrize(
    "authorization", ["", "Basic abc", "Bearer sk_test_", "Bearer sk_live_real", "Bearer pk_test_x"]
)
def test_a_call_without_a_secret_test_key_is_refused(double: Double, authorization: str) -> None:
    response = ask(double, Authorization=authorization)

    assert response.status_code == 401
    assert response.json()["error"]["type"] == "invalid_request_error"
    assert "real" not in response.text


def test_the_package_raises_an_authentication_error(server: str) -> None:
    wrong = stripe.StripeClient(
        "sk_live_x", base_addresses={"api": server}, http_client=stripe.RequestsClient(), max_network_retries=0
    )
    with pytest.raises(stripe.AuthenticationError):
        wrong.v1.customers.list()


def test_another_version_than_the_packages_is_refused(double: Double) -> None:
    response = ask(double, Authorization=f"Bearer {API_KEY}", **{"Stripe-Version": "2020-08-27"})

    assert response.status_code == 400
    assert stripe.api_version in response.json()["error"]["message"]


def test_every_answer_names_its_request_and_the_version(double: Double) -> None:
    response = ask(double, Authorization=f"Bearer {API_KEY}")

    assert response.headers["Request-Id"].startswith("req_")
    assert response.headers["Stripe-Version"] == stripe.api_version


def test_json_is_not_taken_for_a_form(double: Double) -> None:
    headers = {"Authorization": f"Bearer {API_KEY}"}
    response = double.http.post("/v1/customers", json={"email": "a@example.com"}, headers=headers)

    assert response.status_code == 400


def test_an_unknown_url_is_said_to_be_one(double: Double) -> None:
    with pytest.raises(stripe.InvalidRequestError, match="Unrecognized request URL") as caught:
        double.api.coupons.list()

    assert caught.value.http_status == 404


@pytest.mark.parametrize("kind", ["customers", "prices", "products", "subscriptions", "invoices", "charges", "refunds",
                                  "disputes", "events", "payment_intents", "balance_transactions"])  # fmt: skip
def test_what_does_not_exist_is_missing(double: Double, kind: str) -> None:
    with pytest.raises(stripe.InvalidRequestError, match="No such") as caught:
        getattr(double.api, kind).retrieve("nothing")

    assert (caught.value.http_status, caught.value.code) == (404, "resource_missing")


def test_an_id_of_another_kind_is_missing(double: Double) -> None:
    customer = double.api.customers.create()
    with pytest.raises(stripe.InvalidRequestError, match="No such"):
        double.api.subscriptions.retrieve(customer.id)


def test_two_doubles_share_nothing(loop: Loop, double: Double) -> None:
    customer = double.api.customers.create({"email": "a@example.com"})
    runner, url = loop.run(start_double(now=NOW))
    try:
        with pytest.raises(stripe.InvalidRequestError):
            client(url).v1.customers.retrieve(customer.id)
        assert client(url).v1.events.list().data == []
    finally:
        loop.run(runner.cleanup())


def test_one_seed_makes_the_same_ids(double: Double) -> None:
    ids = []
    for _ in range(2):
        double.control("/reset", now=NOW, seed=7)
        ids.append(double.api.customers.create({}, {"idempotency_key": "k"}).id)

    assert ids[0] == ids[1]


async def test_the_async_client_of_the_package_works_as_well(server: str, double: Double) -> None:
    http_client = stripe.AIOHTTPClient()
    asynchronous = stripe.StripeClient(API_KEY, base_addresses={"api": server}, http_client=http_client)
    customer = await asynchronous.v1.customers.create_async({"email": "a@example.com"})
    found = await asynchronous.v1.customers.retrieve_async(customer.id)
    await http_client.close_async()  # type: ignore[no-untyped-call]

    assert found.email == "a@example.com"
