"""The provider simulator as a test sees it: what it served, and its gates."""

import http.client
import json
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from infra.local.ports import LOOPBACK

POLL_S = 0.01


@dataclass(frozen=True, slots=True)
class Simulator:
    """A client of the simulator's control routes."""

    port: int

    def requests(self, model: str | None = None, after: int = 0) -> list[dict[str, Any]]:
        """Return what was served, oldest first; model is the name that the provider was asked for."""
        query = f"?after={after}" + (f"&model={quote(model, safe='')}" if model else "")
        served = self._call("GET", f"/_sim/requests{query}")["data"]
        return list(served)

    def last_seq(self) -> int:
        """Return the number of the latest request, for `after`."""
        return int(self._call("GET", "/_sim/count")["last_seq"])

    def open_gate(self, name: str) -> None:
        """Let the answers go that wait at the gate, and all that come."""
        self._call("POST", f"/_sim/gates/{name}", {"open": True})

    def close_gate(self, name: str) -> None:
        """Hold answers back again."""
        self._call("POST", f"/_sim/gates/{name}", {"open": False})

    def waiting_at(self, name: str) -> int:
        """Return how many answers the gate holds back."""
        return int(self._call("GET", f"/_sim/gates/{name}")["waiting"])

    def bill_nanos(self, model: str, *, input_nanos: int = 1_000, output_nanos: int = 2_000) -> int:
        """Return what its own records come to at these prices per token; the defaults are a test model's."""
        served = self.requests(model)
        return sum(
            record["prompt_tokens"] * input_nanos + record["completion_tokens"] * output_nanos for record in served
        )

    def wait_for(self, count: int, model: str, within_s: float = 10.0) -> list[dict[str, Any]]:
        """Wait until that many requests for the model have come.

        raises  TimeoutError
        """
        deadline_s = time.monotonic() + within_s
        while len(served := self.requests(model)) < count:
            if time.monotonic() > deadline_s:
                raise TimeoutError(f"{len(served)} of {count} requests reached {model}")
            time.sleep(POLL_S)
        return served

    def _call(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        connection = http.client.HTTPConnection(LOOPBACK, self.port, timeout=10)
        try:
            connection.request(method, path, json.dumps(body) if body is not None else None)
            response = connection.getresponse()
            answer = json.loads(response.read())
        finally:
            connection.close()
        assert response.status == 200, answer
        return answer
