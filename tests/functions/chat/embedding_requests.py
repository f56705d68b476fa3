import base64
import json
import struct
from typing import Any

from shared.core.money import NANOS_PER_DOLLAR
from tests.functions.chat.client import Answer, post
from tests.harness.gateways import RunningGateway
from tests.harness.tenants import Tenant, TestModel

PATH = "/v1/embeddings"
START = 10 * NANOS_PER_DOLLAR
THREE = ["one", "another", "the third"]
# A model name that no gateway would take for one: a wrong body is refused before anything is looked up.
NOWHERE = "nowhere/nothing"


async def embed(
    gateway: RunningGateway,
    tenant: Tenant,
    model: TestModel | str,
    /,
    given: Any = "Say something.",
    headers: dict[str, str] | None = None,
    **fields: Any,
) -> Answer:
    name = model if isinstance(model, str) else model.id
    body = {"model": name, "input": given, **fields}
    return await post(gateway.url, body, {**tenant.headers, **(headers or {})}, PATH)


def vectors(answer: Answer) -> list[list[float]]:
    """Return the vectors of an answer, checked to be numbered in order."""
    assert answer.status == 200, answer.raw
    assert [item["index"] for item in answer.json["data"]] == list(range(len(answer.json["data"])))
    return [unpacked(item["embedding"]) for item in answer.json["data"]]


def unpacked(embedding: str | list[float]) -> list[float]:
    if isinstance(embedding, list):
        return embedding
    packed = base64.b64decode(embedding, validate=True)
    return list(struct.unpack(f"<{len(packed) // 4}f", packed))


def answer_of(body: object) -> bytes:
    return whole_answer(json.dumps(body).encode())


def whole_answer(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n" + body
