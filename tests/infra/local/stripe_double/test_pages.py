"""The pages are used as a browser without scripts uses them: a form is read and posted."""

import re
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
import stripe

from tests.infra.local.stripe_double.conftest import CANCEL_URL, Double


class Page(HTMLParser):
    """What a page shows: its forms with their fields, its links, its texts by id."""

    def __init__(self, response: httpx.Response) -> None:
        super().__init__()
        self.status = response.status_code
        self.text = response.text
        self.forms: list[dict[str, Any]] = []
        self.links: dict[str, str] = {}
        self.feed(response.text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "form":
            self.forms.append({"to": given["action"], "fields": {}, "buttons": []})
        elif tag == "input":
            self.forms[-1]["fields"][given["name"]] = given.get("value") or ""
        elif tag == "button":
            self.forms[-1]["buttons"].append(given["value"])
        elif tag == "a":
            self.links[str(given["id"])] = str(given["href"])

    def press(self, double: Double, button: str, **fields: str) -> httpx.Response:
        """Post the form that has the button."""
        form = next(form for form in self.forms if button in form["buttons"])
        return double.http.post(form["to"], data={**form["fields"], **fields, "action": button})


def open_page(double: Double, url: str | None) -> Page:
    return Page(double.http.get(urlsplit(str(url)).path))


def test_a_good_card_leads_to_the_shop_with_the_sessions_id(double: Double) -> None:
    session = double.session()
    page = open_page(double, session.url)
    assert "25.00 USD" in page.text
    response = page.press(double, "pay", email="ada@example.com", card="visa")

    assert response.status_code == 303
    assert response.headers["Location"] == f"https://shop.example/done?session={session.id}"
    assert double.api.checkout.sessions.retrieve(session.id).payment_status == "paid"
    assert "already completed" in open_page(double, session.url).text


def test_a_declined_card_shows_the_form_again(double: Double) -> None:
    session = double.session()
    response = open_page(double, session.url).press(double, "pay", email="a@example.com", card="chargeDeclined")
    assert response.status_code == 402
    page = Page(response)
    assert "Your card was declined." in page.text
    assert page.forms[0]["fields"]["email"] == "a@example.com"

    assert page.press(double, "pay", card="visa").status_code == 303


@pytest.mark.parametrize("fields", [{"number": "4242424242424241"}, {"number": "abc"}, {"email": "nobody"}])
def test_what_was_typed_wrong_is_said(double: Double, fields: dict[str, str]) -> None:
    page = open_page(double, double.session().url)
    response = page.press(double, "pay", **{"email": "a@example.com", "card": "visa", **fields})

    assert response.status_code == 402
    assert 'class="error"' in response.text


def test_any_number_that_adds_up_is_a_good_card(double: Double) -> None:
    page = open_page(double, double.session().url)

    assert page.press(double, "pay", email="a@example.com", number="4012 8888 8888 1881").status_code == 303


@pytest.mark.parametrize(("button", "status"), [("confirm", 303), ("refuse", 402)])
def test_a_card_whose_owner_must_confirm(double: Double, button: str, status: int) -> None:
    session = double.session()
    first = open_page(double, session.url).press(double, "pay", email="a@example.com", card="authenticationRequired")
    assert first.status_code == 200
    second = Page(first).press(double, button)

    assert second.status_code == status
    paid = double.api.checkout.sessions.retrieve(session.id).payment_status == "paid"
    assert paid is (button == "confirm")


def test_leaving_leads_back_to_the_shop(double: Double) -> None:
    session = double.session()
    page = open_page(double, session.url)

    assert page.links["cancel"] == CANCEL_URL
    posted = double.http.post(f"/c/pay/{session.id}", data={"action": "cancel"})
    assert (posted.status_code, posted.headers["Location"]) == (303, CANCEL_URL)
    assert double.api.checkout.sessions.retrieve(session.id).status == "open"


def test_a_bank_debit_is_paid_later(double: Double) -> None:
    session = double.session()
    response = open_page(double, session.url).press(double, "pay", email="a@example.com", card="bank")

    assert response.status_code == 303
    assert double.api.checkout.sessions.retrieve(session.id).payment_status == "unpaid"


def test_a_plan_is_bought_on_the_page(double: Double) -> None:
    session = double.plan_session(double.price(2900, "month", name="Dev"))
    page = open_page(double, session.url)
    assert "every month" in page.text
    assert "Subscribe" in page.text

    assert page.press(double, "pay", email="a@example.com", card="visa").status_code == 303
    assert double.api.checkout.sessions.retrieve(session.id).subscription is not None


def test_what_a_shop_says_is_shown_as_text(double: Double) -> None:
    name = "<script>alert(1)</script>"
    line = {"currency": "usd", "unit_amount": 1000, "product_data": {"name": name}}
    page = open_page(double, double.session(line_items=[{"price_data": line, "quantity": 1}]).url)

    assert "<script" not in page.text
    assert "&lt;script&gt;" in page.text


def test_pages_need_no_script_and_unknown_ones_are_not_found(double: Double) -> None:
    assert not re.search(r"<script|onclick|javascript:", open_page(double, double.session().url).text)
    assert double.http.get("/c/pay/cs_test_nothing").status_code == 404
    assert double.http.post("/p/session/bps_nothing").status_code == 404


def portal(double: Double, subscription: stripe.Subscription, **more: Any) -> Page:
    params: Any = {"customer": subscription.customer, "return_url": "https://shop.example/account", **more}
    return open_page(double, double.api.billing_portal.sessions.create(params).url)


def test_a_plan_is_cancelled_and_kept_in_the_portal(double: Double) -> None:
    subscription = double.subscribed()
    page = portal(double, subscription)
    assert page.links["return"] == "https://shop.example/account"
    cancelled = page.press(double, "cancel")
    assert cancelled.status_code == 303
    assert double.subscription(subscription.id).cancel_at_period_end

    page = Page(double.http.get(cancelled.headers["Location"]))
    assert "ends on 15 February 2026" in page.text
    page.press(double, "resume")
    kept = double.subscription(subscription.id)
    assert (kept.cancel_at_period_end, kept.cancel_at, kept.canceled_at) == (False, None, None)


def test_a_plan_is_switched_in_the_portal(double: Double) -> None:
    subscription = double.subscribed()
    team = double.price(9900, "month", name="Team")
    response = portal(double, subscription).press(double, "switch", price=team.id)

    assert response.status_code == 303
    assert double.subscription(subscription.id)["items"].data[0].price.id == team.id
    assert double.invoices(subscription)[-1].billing_reason == "subscription_update"


def test_a_switch_that_cannot_be_paid_changes_nothing(double: Double) -> None:
    subscription = double.subscribed()
    team = double.price(9900, "month", name="Team")
    double.control(f"/customers/{subscription.customer}/card", card="chargeCustomerFail")
    response = portal(double, subscription).press(double, "switch", price=team.id)

    assert "declined" in response.text
    assert double.subscription(subscription.id)["items"].data[0].price.unit_amount == 2900


def test_a_new_card_is_given_in_the_portal(double: Double) -> None:
    subscription = double.subscribed()
    response = portal(double, subscription).press(double, "card", number="5555555555554444")
    assert response.status_code == 303
    method = double.api.payment_methods.retrieve(str(double.subscription(subscription.id).default_payment_method))

    assert method.card is not None
    assert method.card.last4 == "4444"
    assert "incorrect" in portal(double, subscription).press(double, "card", number="1").text


def test_the_portal_does_what_its_configuration_allows(double: Double) -> None:
    subscription = double.subscribed()
    configuration = double.api.billing_portal.configurations.create(
        {"features": {"subscription_cancel": {"enabled": True, "mode": "immediately"},
                      "subscription_update": {"enabled": False}}}
    )  # fmt: skip
    page = portal(double, subscription, configuration=configuration.id)
    assert all("switch" not in form["buttons"] for form in page.forms)
    page.press(double, "cancel")

    assert double.subscription(subscription.id).status == "canceled"


def test_a_portal_of_nobody_is_refused(double: Double) -> None:
    with pytest.raises(stripe.InvalidRequestError) as caught:
        double.api.billing_portal.sessions.create({"customer": "cus_x"})

    assert caught.value.param == "customer"


def test_an_open_invoice_is_paid_on_its_page(double: Double) -> None:
    subscription = double.subscribed()
    assert "29.00 USD" in open_page(double, double.invoices(subscription)[0].hosted_invoice_url).text
    double.control(f"/customers/{subscription.customer}/card", card="chargeCustomerFail")
    double.move_to("2026-02-15 13:00")
    page = open_page(double, double.invoices(subscription)[-1].hosted_invoice_url)
    assert page.press(double, "pay", number="4000000000000002").status_code == 402
    assert page.press(double, "pay", number="1").status_code == 402
    assert double.subscription(subscription.id).status == "past_due"

    assert page.press(double, "pay").status_code == 303
    assert double.subscription(subscription.id).status == "active"
    assert open_page(double, double.invoices(subscription)[-1].hosted_invoice_url).forms == []


def test_a_receipt_shows_what_was_paid_and_given_back(double: Double) -> None:
    charge = double.paid(2500)
    double.api.refunds.create({"charge": charge.id, "amount": 500})
    page = open_page(double, charge.receipt_url)

    assert "Paid 25.00 USD" in page.text
    assert "Refunded 5.00 USD" in page.text
