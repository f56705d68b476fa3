"""A client of the chat function that keeps every byte, so that tests can look at what really came."""

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp

from tests.harness.gateways import RunningGateway
from tests.harness.tenants import Tenant, TestModel
from tests.shared.providers.chat_grammar import read_payloads

PATH = "/v1/chat/completions"
HELLO = [{"role": "user", "content": "Say something."}]
TIMEOUT = aiohttp.ClientTimeout(total=60)


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer as it came."""

    status: int
    headers: Mapping[str, str]
    raw: bytes

    @property
    def json(self) -> dict[str, Any]:
        """The body of an answer that is no stream."""
        body = json.loads(self.raw)
        assert isinstance(body, dict)
        return body

    @property
    def error(self) -> dict[str, Any]:
        """The error of a refusal, which is always in the contract's shape."""
        return read_error(self)

    @property
    def generation_id(self) -> str:
        """The id of the admitted request."""
        return self.headers["X-Generation-Id"]

    @property
    def payloads(self) -> list[str]:
        """The data of each event of a stream, in order; everything between is checked to be a ping."""
        return read_payloads(self.raw)

    @property
    def chunks(self) -> list[dict[str, Any]]:
        """The events of a stream that are JSON."""
        return [json.loads(payload) for payload in self.payloads if payload != "[DONE]"]

    @property
    def text(self) -> str:
        """What the first choice says."""
        return content_of(self.chunks)


async def ask(gateway: RunningGateway, tenant: Tenant, model: TestModel | str, /, **fields: Any) -> Answer:
    """Send one chat request, `fields` put into its body, and read the whole answer."""
    name = model if isinstance(model, str) else model.id
    return await post(gateway.url, {"model": name, "messages": HELLO, **fields}, tenant.headers)


async def post(url: str, body: object, headers: Mapping[str, str], path: str = PATH) -> Answer:
    """Send a body, bytes as they are, anything else as JSON."""
    data = io.BytesIO(body if isinstance(body, bytes) else json.dumps(body).encode())
    headers = {"Content-Type": "application/json", **headers}
    async with (
        aiohttp.ClientSession(timeout=TIMEOUT) as session,
        session.post(url + path, data=data, headers=headers) as response,
    ):
        return Answer(response.status, response.headers.copy(), await response.read())


def read_error(answer: Answer) -> dict[str, Any]:
    """Check an error answer against the contract and return the error."""
    body = answer.json
    error: dict[str, Any] = _read_anthropic_s(answer) if "type" in body else body["error"]
    assert "type" in body or set(body) == {"error"}
    assert set(error) == {"message", "type", "code", "param", "request_id", "retryable"}
    assert error["request_id"] == answer.headers["X-Request-Id"]
    assert answer.headers["x-should-retry"] == ("true" if error["retryable"] else "false")
    assert answer.headers["Content-Type"] == "application/json"
    assert error["message"]
    assert "secret-provider-detail" not in answer.raw.decode()
    assert "Traceback" not in answer.raw.decode()
    return error


def _read_anthropic_s(answer: Answer) -> dict[str, Any]:
    """Return an error in Anthropic's shape in the contract's."""
    body = answer.json
    assert set(body) == {"type", "error", "request_id"}
    assert body["type"] == "error"
    assert body["request_id"] == answer.headers["request-id"]
    error = body["error"]
    assert set(error) == {"type", "message", "details"}
    details = error["details"]
    return {
        "message": error["message"],
        "type": error["type"],
        "code": details["error_code"],
        "param": details["param"],
        "request_id": body["request_id"],
        "retryable": details["retryable"],
    }


def content_of(chunks: list[dict[str, Any]], choice: int = 0) -> str:
    """Join what one choice says."""
    deltas = [each["delta"] for chunk in chunks for each in chunk.get("choices", ()) if each.get("index") == choice]
    return "".join(delta.get("content") or "" for delta in deltas)


def words(count: int) -> str:
    """Return what the simulator says in so many tokens."""
    return " ".join(f"tok{index}" for index in range(count))
