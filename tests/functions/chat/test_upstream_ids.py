"""What a provider calls its answer is its own to choose, and must not cost us the bill."""

import asyncio
import json

import pytest

from shared.core.money import NANOS_PER_DOLLAR
from tests.functions.chat.books import assert_settled, wait_until_settled
from tests.functions.chat.client import ask
from tests.functions.chat.raw_provider import STREAM_HEAD, Piece, RawProvider, chunk
from tests.harness.gateways import Gateways, RunningGateway
from tests.harness.tenants import Models, Tenants

START = 10 * NANOS_PER_DOLLAR
WHOLE_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n"
ODD_IDS = pytest.mark.parametrize(
    "upstream_id", ["a\\u0000b", "x" * 100_000, "\\ud800", "with space", "schl\\u00fcssel"]
)


@ODD_IDS
@pytest.mark.parametrize("is_stream", [False, True])
async def test_an_answer_with_an_odd_id_is_charged_like_any_other(
    *,
    odd_gateway: RunningGateway,
    raw_provider: RawProvider,
    tenant: Tenants,
    make_model: Models,
    upstream_id: str,
    is_stream: bool,
) -> None:
    customer, model = tenant(), make_model(providers=("portkey",))
    if is_stream:
        events = [chunk("hello ").replace(b'"id":"raw"', f'"id":"{upstream_id}"'.encode()), chunk("you", "stop")]
        raw_provider.answers(model.upstream_model, STREAM_HEAD, *events, b"data: [DONE]\n\n")
    else:
        body = (
            f'{{"id":"{upstream_id}","choices":[{{"index":0,"message":{{"content":"hello"}},"finish_reason":"stop"}}]}}'
        )
        raw_provider.answers(model.upstream_model, WHOLE_HEAD, body.encode())
    answer = await ask(odd_gateway, customer, model, stream=is_stream)
    assert answer.status == 200
    line = await asyncio.to_thread(wait_until_settled, customer, 2)
    # Of a stream the first chunk that has an id names it.
    assert line["upstream_id"] in (None, "raw")
    assert assert_settled(customer, START) == line["cost_nanos"] > 0


@pytest.mark.parametrize("is_cut", [False, True])
async def test_an_odd_id_in_the_headers_loses_neither_the_bill_nor_the_end_of_the_answer(
    start_gateway: Gateways, raw_provider: RawProvider, tenant: Tenants, make_model: Models, is_cut: bool
) -> None:
    gateway = start_gateway(OPENROUTER_BASE_URL=raw_provider.url)
    customer, model = tenant(), make_model()
    head = STREAM_HEAD[:-2] + b"X-Generation-Id: gen-\xff\r\n\r\n"
    # Long enough for a crash note.
    events: list[Piece | bytes] = [
        chunk("hello "),
        (1.3, chunk("you")),
        *([] if is_cut else [chunk("", "stop"), b"data: [DONE]\n\n"]),
    ]
    raw_provider.answers(model.upstream_model, head, *events)
    answer = await ask(gateway, customer, model, stream=True)
    ending = answer.payloads[-1]
    assert ending == "[DONE]" if not is_cut else json.loads(ending)["error"]["code"] == "stream_interrupted"
    line = await asyncio.to_thread(wait_until_settled, customer, 2)
    assert line["usage_source"] == "counted"
    assert assert_settled(customer, START) == line["cost_nanos"] > 0
