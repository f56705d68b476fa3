"""The same asked in three dialects: byte for byte the same upstream request, the same hold, the same cost."""

from collections.abc import Mapping
from typing import Any

import pytest

from functions.chat.schemas import read_chat_request
from shared.core.money import NANOS_PER_DOLLAR
from shared.providers.messages.request import to_chat as from_messages
from shared.providers.openai_chat import build_request
from shared.providers.record import Provider
from shared.providers.registry import PROVIDERS
from shared.providers.request_counts import count_request
from shared.providers.responses.request import to_chat as from_responses
from tests.functions.chat.books import assert_settled, usage_line
from tests.functions.chat.client import post
from tests.functions.chat.raw_provider import STREAM_HEAD, RawProvider, chunk
from tests.functions.chat.same_asked import FEATURES, Feature
from tests.functions.chat.speakers import STREAMED
from tests.harness.gateways import RunningGateway
from tests.harness.tenants import Models, Tenants

START = 10 * NANOS_PER_DOLLAR
USAGE = b'"usage":{"prompt_tokens":10,"completion_tokens":3,"total_tokens":13}'
WHOLE_BODY = (
    b'{"id":"raw","object":"chat.completion","created":1,"model":"raw","choices":[{"index":0,"message":'
    b'{"role":"assistant","content":"tok0"},"finish_reason":"stop"}],' + USAGE + b"}"
)
WHOLE = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%b" % (
    len(WHOLE_BODY),
    WHOLE_BODY,
)
STREAM = (STREAM_HEAD, chunk("tok0"), chunk("", "stop"), b'data: {"choices":[],' + USAGE + b"}\n\ndata: [DONE]\n\n")

EACH_FEATURE = pytest.mark.parametrize("feature", FEATURES, ids=lambda feature: feature.name)
EACH_PROVIDER = pytest.mark.parametrize("provider", PROVIDERS.values(), ids=list(PROVIDERS))


@EACH_FEATURE
@STREAMED
async def test_the_same_is_asked_held_and_charged_whoever_asks(
    odd_gateway: RunningGateway,
    raw_provider: RawProvider,
    tenant: Tenants,
    make_model: Models,
    *,
    feature: Feature,
    is_stream: bool,
) -> None:
    model = make_model(providers=("portkey",), image_input_tokens=500)
    raw_provider.answers(model.upstream_model, *(STREAM if is_stream else (WHOLE,)))
    costs, holds, weighed = [], [], []
    for path, body in feature.bodies(model.id, is_stream=is_stream).items():
        customer = tenant()
        answer = await post(odd_gateway.url, body, customer.headers, path)
        assert answer.status == 200, answer.raw
        costs.append(assert_settled(customer, START))
        holds += [hold.amount_nanos for hold in customer.books.holds()]
        weighed.append(usage_line(customer, answer.generation_id)["request"])
    asked = [request.partition(b"\r\n\r\n")[2] for request in raw_provider.requests(model.upstream_model)]
    assert asked == [asked[0]] * 3
    assert costs == [10 * 1_000 + 3 * 2_000] * 3
    assert holds == [holds[0]] * 3
    assert weighed == [weighed[0]] * 3


@EACH_FEATURE
@EACH_PROVIDER
def test_every_provider_is_asked_the_same(feature: Feature, provider: Provider) -> None:
    for is_stream in (False, True):
        bodies = [_translated(*asked) for asked in feature.bodies("maker/model", is_stream=is_stream).items()]
        read = [read_chat_request(dict(body), None) for body in bodies]
        sent = [
            build_request(
                request.body,
                provider=provider,
                upstream_model="upstream",
                is_stream=is_stream,
                max_output_tokens=60,
            )
            for request in read
        ]
        assert sent == [sent[0]] * 3
        assert [count_request(request.body) for request in read] == [count_request(read[0].body)] * 3
        assert b"upstream" in sent[0] and b"maker" not in sent[0]


def _translated(path: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
    if path == "/v1/responses":
        return from_responses(body).chat_body
    return from_messages(body).chat_body if path == "/v1/messages" else body
