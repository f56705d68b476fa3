"""OpenAI's own client reads what this dialect writes: its objects, its stream helper, its exception classes."""

import json
from collections.abc import Callable

import httpx2
import openai
import pytest

from shared.core.errors import InvalidRequest
from shared.providers.failures import ContextLengthExceeded, ProviderOverloaded, ProviderRateLimited
from shared.providers.request_fields import UnpricedField
from shared.providers.responses.answer import to_response
from shared.providers.responses.errors import error_body, param_in_dialect
from shared.providers.responses.stream import ResponseStream
from tests.shared.providers.responses import recorded
from tests.shared.providers.responses.support import (
    COST,
    ECHO,
    NOW,
    OPENING,
    USAGE,
    chunk,
    chunks_of,
    stream_of,
)

STREAM = {"content-type": "text/event-stream"}


def client_of(status: int, content: bytes, headers: dict[str, str]) -> openai.OpenAI:
    """Return a client whose every request gets this answer."""
    transport = httpx2.MockTransport(lambda _: httpx2.Response(status, content=content, headers=headers))
    return openai.OpenAI(
        api_key="gw", base_url="http://gateway.test/v1", max_retries=0, http_client=httpx2.Client(transport=transport)
    )


def test_a_whole_response_has_its_output_text() -> None:
    completion = {"choices": [{"message": {"content": "Hello"}, "finish_reason": "stop"}]}
    body, _ = to_response(completion, OPENING, ECHO, USAGE, now=NOW)
    client = client_of(200, body.with_cost(COST), {"content-type": "application/json"})
    assert client.responses.create(model="m", input="hi").output_text == "Hello"


@pytest.mark.parametrize(
    "chunks",
    [
        recorded.OPENROUTER_REASONING,
        recorded.OPENROUTER_SUMMARY_AND_ENCRYPTED,
        recorded.OPENROUTER_SIGNED_THOUGHTS,
        recorded.OPENAI_PARALLEL_CALLS,
        recorded.VLLM_ALL_CALLS_ZERO,
        recorded.VLLM_REPEATED_NAME,
    ],
)
def test_the_clients_stream_helper_follows_every_recorded_stream(chunks: bytes) -> None:
    stream = stream_of(chunks_of(chunks))
    with client_of(200, stream, STREAM).responses.stream(model="m", input="hi") as events:
        texts = [event.delta for event in events if event.type == "response.output_text.delta"]
        final = events.get_final_response()
    assert "".join(texts) == final.output_text
    assert final.usage is not None
    assert final.usage.total_tokens == 35


@pytest.mark.parametrize(
    ("error", "status", "exception"),
    [
        (lambda: InvalidRequest("input: must be a text.", param="input"), 400, openai.BadRequestError),
        (lambda: UnpricedField("No.", param="tools[0].type"), 400, openai.BadRequestError),
        (lambda: ProviderRateLimited("Retry later."), 429, openai.RateLimitError),
        (lambda: ProviderOverloaded("Retry shortly."), 503, openai.InternalServerError),
    ],
)
def test_a_refusal_is_the_clients_own_exception(
    error: Callable[[], InvalidRequest], status: int, exception: type[openai.APIStatusError]
) -> None:
    refusal = error()
    content = json.dumps(error_body(refusal, "req_1")).encode()
    client = client_of(status, content, {"content-type": "application/json"})
    with pytest.raises(exception) as raised:
        client.responses.create(model="m", input="hi")
    assert (raised.value.code, raised.value.param) == (refusal.code, refusal.param)


def test_a_failure_in_a_stream_is_raised_with_its_code() -> None:
    stream = ResponseStream(OPENING, ECHO)
    sent = stream.begin() + stream.take(chunk(content="Hel"))
    sent += stream.fail(ProviderOverloaded("Retry shortly."), USAGE, request_id="req_1").with_cost(COST)
    texts = []
    with pytest.raises(openai.APIError) as raised:
        for event in client_of(200, sent, STREAM).responses.create(model="m", input="hi", stream=True):
            if event.type == "response.output_text.delta":
                texts.append(event.delta)
    assert texts == ["Hel"]
    assert (raised.value.code, raised.value.message) == ("provider_overloaded", "Retry shortly.")


@pytest.mark.parametrize(
    ("param", "expected"),
    [
        (None, None),
        ("messages", "input"),
        ("messages[3].content[0]", "input"),
        ("max_tokens", "max_output_tokens"),
        ("response_format", "text.format"),
        ("reasoning_effort", "reasoning.effort"),
        ("model", "model"),
        ("models[1]", "models[1]"),
    ],
)
def test_what_the_engine_names_in_chats_words_is_named_in_the_clients(param: str | None, expected: str | None) -> None:
    assert param_in_dialect(param) == expected
    body = error_body(ContextLengthExceeded("Too long.", param=param), "req_1")
    assert body["error"] == {
        "message": "Too long.",
        "type": "invalid_request_error",
        "code": "context_length_exceeded",
        "param": expected,
        "request_id": "req_1",
        "retryable": False,
    }
