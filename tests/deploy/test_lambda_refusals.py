"""What API Gateway answers by itself, and answers of functions that it cannot pass on."""

import json
from collections.abc import AsyncIterator

import pytest

from tests.deploy.aws.client_requests import after_gateway
from tests.deploy.aws.deployed import GatewayResponse
from tests.deploy.aws.gateway_responses import FUNCTION_FAILED, NO_ROUTE, TOO_LATE, render
from tests.deploy.aws.proxy_answers import HttpAnswer, MalformedAnswer, read_buffered, read_start
from tests.deploy.aws.web_adapter import STREAM_SEPARATOR

CHANGED = {
    "DEFAULT_5XX": GatewayResponse(
        None,
        {"x-should-retry": "'false'", "x-id": "context.requestId"},
        {"application/json": '{"error": {"message": $context.error.messageString, "id": "$context.requestId."}}'},
    ),
    "MISSING_AUTHENTICATION_TOKEN": GatewayResponse(404, {}, {"text/plain": "$context.error.responseType"}),
}


async def pieces(*chunks: bytes) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


def test_without_a_gateway_response_aws_answers_in_its_own_words() -> None:
    answer = render(NO_ROUTE, {}, "id")
    assert (answer.status, json.loads(answer.body)) == (403, {"message": "Missing Authentication Token"})
    assert render(FUNCTION_FAILED, {}, "id").status == 502


def test_the_response_of_the_type_comes_before_the_default_of_its_status() -> None:
    answer = render(NO_ROUTE, CHANGED, "id")
    assert (answer.status, answer.body) == (404, b"MISSING_AUTHENTICATION_TOKEN")
    assert dict(answer.headers)["Content-Type"] == "text/plain"


@pytest.mark.parametrize(("refusal", "status"), [(FUNCTION_FAILED, 502), (TOO_LATE, 504)])
def test_a_default_without_a_status_keeps_each_one_s_own(refusal: object, status: int) -> None:
    answer = render(refusal, CHANGED, "id")  # type: ignore[arg-type]
    assert answer.status == status
    assert json.loads(answer.body)["error"]["id"] == "id."
    assert {"x-should-retry": "false", "x-id": "id"}.items() <= dict(answer.headers).items()


@pytest.mark.parametrize(
    "payload",
    [b"", b"null", b'"text"', b"[1]", b"{}", b'{"statusCode": "x"}', b'{"statusCode": 200, "other": 1}',
     b'{"errorMessage": "no", "errorType": "E"}', b'{"statusCode": 200, "headers": 3}'],
)  # fmt: skip
def test_what_is_no_proxy_answer_is_malformed(payload: bytes) -> None:
    with pytest.raises(MalformedAnswer):
        read_buffered(payload, takes_bytes=True)


def test_bytes_reach_only_a_client_that_takes_them() -> None:
    payload = json.dumps({"statusCode": 200, "body": "AP8=", "isBase64Encoded": True}).encode()
    assert read_buffered(payload, takes_bytes=True).body == b"\x00\xff"
    assert read_buffered(payload, takes_bytes=False).body == b"AP8="


async def test_the_start_of_a_stream_is_read_however_it_is_cut() -> None:
    start = json.dumps({"statusCode": 201, "headers": {"a": ["1", "2"]}, "cookies": ["c=1"]}).encode()
    for chunks in (
        (start + STREAM_SEPARATOR + b"rest",),
        (start[:5], start[5:] + STREAM_SEPARATOR[:3], STREAM_SEPARATOR[3:] + b"re", b"st"),
    ):
        answer, body = await read_start(pieces(*chunks))
        assert answer == HttpAnswer(201, (("a", "1"), ("a", "2"), ("set-cookie", "c=1")))
        assert b"".join([chunk async for chunk in body]) == b"rest"


@pytest.mark.parametrize("chunks", [(), (b'{"statusCode": 200}',), (b"text" + STREAM_SEPARATOR,), (b"x" * 20_000,)])
async def test_a_stream_without_its_start_is_malformed(chunks: tuple[bytes, ...]) -> None:
    with pytest.raises(MalformedAnswer):
        await read_start(pieces(*chunks))


def test_some_headers_leave_under_another_name() -> None:
    answer = after_gateway(HttpAnswer(401, (("WWW-Authenticate", "Bearer"), ("date", "now"), ("x", "y"))), "id")
    assert answer.headers == (
        ("x-amzn-Remapped-WWW-Authenticate", "Bearer"),
        ("x-amzn-Remapped-date", "now"),
        ("x", "y"),
        ("x-amzn-RequestId", "id"),
    )
