"""Someone new, with nothing but `make dev`: signs in, tries, buys, subscribes, reads his mail, and sees what he has."""

import re
import subprocess
import time
from collections.abc import Callable
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
from playwright.sync_api import Page

from tests.harness.browser import browser_path, open_page
from tests.harness.dev import Dev, running_dev

ARRIVES_WITHIN_S = 20.0
HELLO = {"model": "openai/gpt-5-mini", "messages": [{"role": "user", "content": "Hello"}]}


class Person:
    """Someone with a key of the gateway's."""

    def __init__(self, dev: Dev) -> None:
        (command,) = re.findall(r"^curl \S+/auth/privy .*$", dev.output, re.MULTILINE)
        told = subprocess.run(("sh", "-c", command), capture_output=True, text=True, timeout=30, check=True).stdout
        key = httpx.Response(200, text=told).json()["api_key"]
        self._http = httpx.Client(
            base_url=dev.variables["GATEWAY_URL"],
            headers={"Authorization": f"Bearer {key}"},
            timeout=30,
            trust_env=False,
        )

    def close(self) -> None:
        self._http.close()

    def get(self, path: str) -> Any:
        return self._http.get(path).raise_for_status().json()

    def post(self, path: str, body: Any = None) -> Any:
        return self._http.post(path, json=body).raise_for_status().json()

    @property
    def available(self) -> Decimal:
        return Decimal(self.get("/user/balance")["available"])

    @property
    def plan(self) -> str:
        return str(self.get("/user/plan")["plan"]["id"])


def test_sign_in_try_buy_subscribe_and_see_it_all(tmp_path: Path) -> None:
    browser_path()
    with running_dev(tmp_path / "data") as dev, open_page() as page, closing(Person(dev)) as person:
        assert (person.available, person.plan) == (Decimal(0), "free")

        person.post("/trials/start")
        assert person.available == Decimal(10)

        _buy_25_dollars(page, person)
        _wait_until(lambda: person.available == Decimal(35))
        assert person.plan == "pay_as_you_go"

        _subscribe_to_dev(page, person)
        _wait_until(lambda: person.available == Decimal(60))
        assert person.plan == "dev"

        cost = Decimal(str(person.post("/v1/chat/completions", HELLO)["usage"]["cost"]))
        assert cost > 0
        # The credit that expires first is spent first.
        assert {grant["kind"]: Decimal(grant["remaining"]) for grant in person.get("/user/balance")["grants"]} == {
            "trial": Decimal(10) - cost,
            "plan": Decimal(25),
            "purchase": Decimal(25),
        }
        _read_mail(page, dev)
        assert [payment["status"] for payment in person.get("/billing/payments")["data"]] == ["succeeded", "succeeded"]


def _buy_25_dollars(page: Page, person: Person) -> None:
    checkout = person.post("/billing/checkout", {"kind": "credits", "amount": "25"})
    page.goto(checkout["url"])
    assert "25.00" in page.inner_text("body")
    page.fill("[name=email]", "ada@example.com")
    page.select_option("[name=card]", "chargeDeclined")
    page.click("#pay")
    assert "declined" in page.inner_text("#error")
    assert person.available == Decimal(10)
    page.select_option("[name=card]", "visa")
    with page.expect_navigation(url=re.compile("checkout=success")):
        page.click("#pay")


def _subscribe_to_dev(page: Page, person: Person) -> None:
    checkout = person.post("/billing/checkout", {"kind": "plan", "plan_id": "dev", "interval": "month"})
    page.goto(checkout["url"])
    assert "29.00" in page.inner_text("body")
    page.fill("[name=email]", "ada@example.com")
    # Her bank asks whether it is she.
    page.select_option("[name=card]", "authenticationRequired")
    page.click("#pay")
    with page.expect_navigation(url=re.compile("checkout=success")):
        page.click("#confirm")


def _read_mail(page: Page, dev: Dev) -> None:
    expected = ("Welcome", "Your trial has begun", "received $25.00", "received $29.00", "Your plan: Dev")

    def arrived() -> bool:
        page.goto(dev.variables["MAIL_URL"])
        shown = page.inner_text("body")
        return all(subject in shown for subject in expected)

    _wait_until(arrived)
    page.click("text=Your trial has begun")
    assert "$10.00" in page.content()


def _wait_until(is_so: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + ARRIVES_WITHIN_S
    while not is_so():
        assert time.monotonic() < deadline_s
        time.sleep(0.1)
