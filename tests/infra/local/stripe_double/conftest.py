"""A double in a thread of its own, the real stripe package speaking to it over HTTP, and a receiver of webhooks."""

import asyncio
import threading
from collections.abc import Awaitable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
import stripe
from aiohttp import web
from stripe import StripeClient

from infra.local.ports import LOOPBACK
from infra.local.stripe_double.app import start_double

API_KEY = "sk_test_of_a_double"
SECRET = "whsec_of_the_tests"
DAY_S = 86_400
SUCCESS_URL = "https://shop.example/done?session={CHECKOUT_SESSION_ID}"
CANCEL_URL = "https://shop.example/cart"


def at(text: str) -> int:
    """Read a UTC time: `2026-01-31 10:00`."""
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


NOW = at("2026-01-15 12:00")


class Loop:
    """An event loop in a thread, for what is served while a test waits."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def run[Result](self, awaitable: Awaitable[Result]) -> Result:
        async def wait() -> Result:
            return await awaitable

        return asyncio.run_coroutine_threadsafe(wait(), self._loop).result(30)

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


@dataclass(slots=True)
class Double:
    """The double as its users see it."""

    url: str
    http: httpx.Client
    api: stripe.V1Services

    def control(self, path: str, /, **body: Any) -> Any:
        response = self.http.post(f"/_control{path}", json=body)
        assert response.status_code == 200, response.text
        return response.json()

    def refused(self, path: str, /, **body: Any) -> Any:
        response = self.http.post(f"/_control{path}", json=body)
        assert response.status_code >= 400, response.text
        return response.json()["error"]

    def look(self, path: str) -> Any:
        return self.http.get(f"/_control{path}").json()

    def move_to(self, text: str) -> None:
        self.control("/clock", to=at(text))

    def product(self, name: str = "Credits") -> stripe.Product:
        return self.api.products.create({"name": name})

    def price(self, amount: int, interval: str | None = None, *, name: str = "Credits") -> stripe.Price:
        params: Any = {"currency": "usd", "unit_amount": amount, "product_data": {"name": name}}
        if interval:
            params["recurring"] = {"interval": interval}
        return self.api.prices.create(params)

    def session(self, amount: int = 2500, **more: Any) -> stripe.checkout.Session:
        line = {"currency": "usd", "unit_amount": amount, "product_data": {"name": "Credits"}}
        params: Any = {
            "mode": "payment",
            "line_items": [{"price_data": line, "quantity": 1}],
            "success_url": SUCCESS_URL,
            "cancel_url": CANCEL_URL,
            **more,
        }
        return self.api.checkout.sessions.create(params)

    def plan_session(self, price: stripe.Price, **more: Any) -> stripe.checkout.Session:
        return self.session(mode="subscription", line_items=[{"price": price.id, "quantity": 1}], **more)

    def pay(self, session: stripe.checkout.Session, card: str = "visa", **more: Any) -> stripe.checkout.Session:
        self.control(f"/sessions/{session.id}/pay", card=card, **more)
        return self.api.checkout.sessions.retrieve(session.id)

    def paid(self, amount: int = 2500, card: str = "visa", **more: Any) -> stripe.Charge:
        """Sell something and return the charge."""
        session = self.pay(self.session(amount, **more), card)
        intent = self.api.payment_intents.retrieve(str(session.payment_intent), {"expand": ["latest_charge"]})
        assert isinstance(intent.latest_charge, stripe.Charge)
        return intent.latest_charge

    def subscribed(self, amount: int = 2900, interval: str = "month", **more: Any) -> stripe.Subscription:
        """Sell a plan and return the subscription."""
        session = self.pay(self.plan_session(self.price(amount, interval, name="Dev"), **more))
        return self.subscription(str(session.subscription))

    def subscription(self, subscription_id: str) -> stripe.Subscription:
        return self.api.subscriptions.retrieve(subscription_id)

    def invoices(self, subscription: stripe.Subscription) -> list[stripe.Invoice]:
        """Return the subscription's invoices, oldest first."""
        rows = self.api.invoices.list({"subscription": subscription.id, "limit": 100}).data
        return list(reversed(rows))

    def event_types(self) -> list[str]:
        """Return the types of all events, oldest first."""
        return [event.type for event in reversed(list(self.api.events.list({"limit": 100}).auto_paging_iter()))]

    def balance(self) -> int:
        """Return what all balance transactions leave."""
        return sum(row.net for row in self.api.balance_transactions.list({"limit": 100}).auto_paging_iter())


@dataclass(slots=True)
class Receiver:
    """What an endpoint got; answers: statuses of the next answers, then 200."""

    url: str = ""
    got: list[tuple[bytes, str | None]] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)

    def events(self) -> list[stripe.Event]:
        """Verify every delivery as the package does and return the events."""
        return [stripe.Webhook.construct_event(body, header or "", SECRET) for body, header in self.got]

    async def handle(self, request: web.BaseRequest) -> web.Response:
        self.got.append((await request.read(), request.headers.get("Stripe-Signature")))
        return web.Response(status=self.answers.pop(0) if self.answers else 200)


@pytest.fixture(scope="session")
def loop() -> Iterator[Loop]:
    running = Loop()
    yield running
    running.close()


@pytest.fixture(scope="session")
def server(loop: Loop) -> Iterator[str]:
    runner, url = loop.run(start_double(now=NOW))
    yield url
    loop.run(runner.cleanup())


@pytest.fixture
def double(server: str) -> Iterator[Double]:
    """A double with an empty memory, whose clock stands still."""
    with httpx.Client(base_url=server, trust_env=False, timeout=30) as http:
        double = Double(server, http, client(server).v1)
        double.control("/reset", now=NOW, keeps_endpoints=False)
        double.control("/settings", delivery_retry_after_s=[0.01, 0.02])
        yield double


@pytest.fixture
def receiver(loop: Loop, double: Double) -> Iterator[Receiver]:
    """An endpoint that is told everything."""
    receiver = Receiver()

    async def start() -> web.ServerRunner:
        runner = web.ServerRunner(web.Server(receiver.handle))
        await runner.setup()
        await web.TCPSite(runner, LOOPBACK, 0).start()
        return runner

    runner = loop.run(start())
    receiver.url = f"http://{LOOPBACK}:{runner.addresses[0][1]}/hook"
    double.control("/endpoints", url=receiver.url, secret=SECRET)
    yield receiver
    loop.run(runner.cleanup())


def client(url: str, **more: Any) -> StripeClient:
    """Return the package's client as a gateway would build it, pointed at the double."""
    options = {"base_addresses": {"api": url}, "max_network_retries": 0, **more}
    return StripeClient(API_KEY, http_client=stripe.RequestsClient(), **options)
