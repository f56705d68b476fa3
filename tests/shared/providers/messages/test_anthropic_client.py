"""Anthropic's own client reads what we write: its strict types, its stream, its exceptions; over no network."""

import json
from typing import Any

import pytest
from pydantic import TypeAdapter

from shared.core.errors import GatewayError, InvalidRequest
from shared.providers.failures import ProviderOverloaded, ProviderRateLimited
from shared.providers.messages.errors import error_body
from tests.shared.providers.messages import recorded
from tests.shared.providers.messages.asking import COST, USAGE, call, content, delta, open_stream, streamed, whole

anthropic: Any = pytest.importorskip("anthropic")
httpx: Any = pytest.importorskip("httpx2")


def client_of(status: int, body: bytes, content_type: str = "application/json") -> Any:
    """Return a client whose every request gets this answer."""

    def answer(request: Any) -> Any:
        return httpx.Response(status, content=body, headers={"content-type": content_type, "request-id": "req_1"})

    http_client = anthropic.DefaultHttpxClient(transport=httpx.MockTransport(answer))
    return anthropic.Anthropic(api_key="k", max_retries=0, http_client=http_client)


ASKED: dict[str, Any] = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}


def stream_bytes(chunks: recorded.Chunks) -> bytes:
    stream = open_stream()
    return b"".join([*(stream.take(chunk) for chunk in chunks), stream.ping(), stream.complete(USAGE).with_cost(COST)])


@pytest.mark.parametrize("name", sorted(recorded.ALL))
def test_client_puts_every_recorded_stream_together_as_it_is(name: str) -> None:
    client = client_of(200, stream_bytes(recorded.ALL[name]), "text/event-stream")
    with client.messages.stream(**ASKED) as stream:
        events = list(stream)
        final = stream.get_final_message()
    expected = streamed(recorded.ALL[name])
    read = [block.model_dump(exclude_none=True, exclude_unset=True) for block in final.content]
    assert read == content(expected)
    assert final.stop_reason == expected["stop_reason"]
    assert final.usage.input_tokens == 30 and final.usage.cache_read_input_tokens == 20
    assert final.usage.output_tokens_details.thinking_tokens == 3
    assert events[0].type == "message_start" and events[-1].type == "message_stop"


@pytest.mark.parametrize("name", sorted(recorded.ALL))
def test_every_event_is_strictly_of_the_clients_types(name: str) -> None:
    types: TypeAdapter[Any] = TypeAdapter(anthropic.types.RawMessageStreamEvent)
    for event in stream_bytes(recorded.ALL[name]).split(b"\n\n")[:-1]:
        fields = json.loads(event.partition(b"\ndata: ")[2])
        if fields["type"] != "ping":
            types.validate_python(fields, strict=True)


def test_whole_message_is_strictly_of_the_clients_type() -> None:
    message = whole(
        {"content": "x", "reasoning": "hm", "tool_calls": [call(0, "a", "f", '{"x":1}')]}, finish_reason="tool_calls"
    )
    anthropic.types.Message.model_validate(message, strict=True)
    refused = whole({"refusal": "no"}, finish_reason="stop")
    assert anthropic.types.Message.model_validate(refused, strict=True).stop_details.type == "refusal"
    read = client_of(200, json.dumps(message).encode()).messages.create(**ASKED)
    assert [block.type for block in read.content] == ["thinking", "text", "tool_use"]
    assert read.content[2].input == {"x": 1}


class Refusal(GatewayError):
    def __init__(self, status: int) -> None:
        super().__init__("no", param="model")
        self.status = status


@pytest.mark.parametrize(
    ("status", "name"),
    [
        (400, "BadRequestError"),
        (401, "AuthenticationError"),
        (403, "PermissionDeniedError"),
        (404, "NotFoundError"),
        (409, "ConflictError"),
        (422, "UnprocessableEntityError"),
        (429, "RateLimitError"),
        (500, "InternalServerError"),
        (502, "InternalServerError"),
        (503, "InternalServerError"),
        (504, "InternalServerError"),
    ],
)
def test_refusal_becomes_the_clients_exception(status: int, name: str) -> None:
    error = Refusal(status)
    client = client_of(status, json.dumps(error_body(error, "req_1")).encode())
    with pytest.raises(getattr(anthropic, name)) as raised:
        client.messages.create(**ASKED)
    assert raised.value.status_code == status and raised.value.request_id == "req_1"
    assert raised.value.body["error"]["message"] == "no"
    assert raised.value.body["error"]["details"]["param"] == "model"


@pytest.mark.parametrize("error", [ProviderOverloaded("x"), ProviderRateLimited("x"), InvalidRequest("x")])
def test_error_in_a_stream_becomes_the_clients_exception(error: GatewayError) -> None:
    stream = open_stream()
    body = stream.take(delta(content="x")) + stream.fail(error, "req_1", USAGE).with_cost(COST)
    client = client_of(200, body, "text/event-stream")
    with pytest.raises(anthropic.APIStatusError) as raised, client.messages.stream(**ASKED) as events:
        for _ in events:
            pass
    assert raised.value.body["error"]["type"] == error_body(error, None)["error"]["type"]
    assert raised.value.body["usage"]["cost"] == 0.0000015


def test_token_count_is_read() -> None:
    client = client_of(200, b'{"input_tokens":12,"is_estimate":true}')
    counted = client.messages.count_tokens(model="m", messages=ASKED["messages"])
    assert counted.input_tokens == 12 and counted.is_estimate is True
