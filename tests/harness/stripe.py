"""What a test asks of the stack's Stripe double: payments, refunds, disputes, deliveries, faults, its clock."""

from typing import Any, Protocol

import httpx

from infra.local.environment import STRIPE_WEBHOOK_SECRET

TIMEOUT_S = 120.0
# Faster than Stripe's, whose attempts a test would wait for.
RETRY_AFTER_S = [0.05, 0.1, 0.2, 0.4, 0.8, 1.6]


class Place(Protocol):
    """Wherever a gateway runs."""

    @property
    def url(self) -> str:
        """Where it answers."""
        ...


class StripeDouble:
    """The double's `/_control`, and its API as the gateway sees it."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._http = httpx.Client(base_url=url, timeout=TIMEOUT_S, trust_env=False)

    def control(self, path: str, /, **body: Any) -> Any:
        """POST an order and return the answer."""
        response = self._http.post(f"/_control{path}", json=body)
        assert response.status_code == 200, response.text
        return response.json()

    def look(self, path: str) -> Any:
        """Return what the double tells."""
        return self._http.get(f"/_control{path}").json()

    def read(self, path: str, **query: Any) -> Any:
        """GET a path of Stripe's API, as the account's owner."""
        response = self._http.get(f"/v1{path}", params=query, headers={"Authorization": "Bearer sk_test_local"})
        assert response.status_code == 200, response.text
        return response.json()

    def write(self, path: str, /, **form: Any) -> Any:
        """POST a form to a path of Stripe's API, as its dashboard does."""
        return self._ask("POST", path, form)

    def delete(self, path: str) -> Any:
        """DELETE what is at a path of Stripe's API."""
        return self._ask("DELETE", path, None)

    def _ask(self, method: str, path: str, form: dict[str, Any] | None) -> Any:
        headers = {"Authorization": "Bearer sk_test_local"}
        response = self._http.request(method, f"/v1{path}", data=form, headers=headers)
        assert response.status_code == 200, response.text
        return response.json()

    def reset(self, *, now: int | None = None) -> None:
        """Forget everything, the endpoints and the faults too."""
        self.control("/reset", now=now, keeps_endpoints=False)
        self.control("/settings", delivery_retry_after_s=RETRY_AFTER_S)
        self.mend()

    def mend(self) -> None:
        """Let every call go well again."""
        self._http.delete("/_control/faults")

    def tell(self, gateway: Place) -> None:
        """Have the events sent to a gateway, and to no other."""
        self._http.delete("/_control/endpoints")
        self.control("/endpoints", url=f"{gateway.url}/webhooks/stripe", secret=STRIPE_WEBHOOK_SECRET)

    def pay(self, session_id: str, card: str = "visa", **more: Any) -> Any:
        """Pay a Checkout session as its page does; return the session."""
        return self.control(f"/sessions/{session_id}/pay", card=card, **more)["session"]

    def settle_down(self) -> None:
        """Wait until every event is delivered or given up."""
        assert self.control("/deliveries/idle")["idle"]

    def close(self) -> None:
        """Close the connections."""
        self._http.close()
