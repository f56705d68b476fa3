"""The events that API Gateway and function URLs make of requests, and what the Web Adapter makes of those."""

import json
from typing import Any

import pytest

from tests.deploy.aws.deployed import RestApi, Route
from tests.deploy.aws.proxy_events import ClientRequest, function_url_event, rest_event
from tests.deploy.aws.web_adapter import read_event

API = RestApi("abc123", "prod", (), {}, frozenset({"image/png"}))
ROUTE = Route("/v1/{proxy+}", "ANY", "chat", is_streamed=True, limit_s=900)
PEER = "198.51.100.7"
FORGED = "203.0.113.9"
FORGED_CONTEXT = json.dumps({"http": {"sourceIp": FORGED}, "identity": {"sourceIp": FORGED}})


def client_request(**given: Any) -> ClientRequest:
    fields = {"method": "POST", "path": "/v1/a%2Fb/", "query": "", "headers": (), "body": b"", "peer": PEER}
    return ClientRequest(**{**fields, **given})


def both_events(request: ClientRequest) -> list[dict[str, Any]]:
    return [rest_event(request, API, ROUTE, {"proxy": "a/b"}), function_url_event(request, "x.lambda-url.on.aws")]


@pytest.mark.parametrize("name", ["X-Amzn-Request-Context", "x-amzn-request-context", "X-AMZN-REQUEST-CONTEXT"])
def test_a_context_that_the_client_sent_does_not_pass_the_adapter(name: str) -> None:
    request = client_request(headers=((name, FORGED_CONTEXT), (name, FORGED_CONTEXT), ("x-amzn-lambda-context", "{}")))
    for event in both_events(request):
        passed = read_event(event, {"request_id": "r"})
        contexts = [value for header, value in passed.headers if header == "x-amzn-request-context"]
        assert [json.loads(context) for context in contexts] == [event["requestContext"]]
        assert PEER in contexts[0]
        assert FORGED not in contexts[0]
        assert [value for header, value in passed.headers if header == "x-amzn-lambda-context"] == [
            '{"request_id": "r"}'
        ]


def test_the_address_is_the_peer_s_and_stands_behind_what_the_client_claims() -> None:
    rest, url = both_events(client_request(headers=(("x-forwarded-for", FORGED), ("X-Forwarded-Proto", "http"))))
    assert rest["requestContext"]["identity"]["sourceIp"] == url["requestContext"]["http"]["sourceIp"] == PEER
    assert rest["multiValueHeaders"]["X-Forwarded-For"] == [f"{FORGED}, {PEER}"]
    assert url["headers"]["x-forwarded-for"] == f"{FORGED}, {PEER}"
    assert rest["headers"]["X-Forwarded-Proto"] == url["headers"]["x-forwarded-proto"] == "https"


def test_the_path_stays_encoded_and_has_no_stage_but_in_the_context() -> None:
    rest, url = both_events(client_request())
    assert rest["path"] == url["rawPath"] == "/v1/a%2Fb/"
    assert (rest["requestContext"]["path"], rest["requestContext"]["stage"]) == ("/prod/v1/a%2Fb/", "prod")
    assert (rest["resource"], rest["pathParameters"]) == ("/v1/{proxy+}", {"proxy": "a/b"})


def test_a_rest_event_keeps_every_value_and_names_the_last() -> None:
    headers = (("Accept", "a"), ("Accept", "b"), ("authorization", "Bearer x"), ("Content-Length", "5"), ("TE", "x"))
    event = rest_event(client_request(headers=headers, query="a=1&a=%C3%A9&b"), API, ROUTE, {})
    assert (event["headers"]["Accept"], event["multiValueHeaders"]["Accept"]) == ("b", ["a", "b"])
    assert event["headers"]["Authorization"] == "Bearer x"
    assert not {"Content-Length", "TE"} & set(event["headers"])
    assert event["queryStringParameters"] == {"a": "é", "b": ""}
    assert event["multiValueQueryStringParameters"] == {"a": ["1", "é"], "b": [""]}
    assert event["pathParameters"] is None


def test_a_url_event_joins_headers_and_sets_cookies_apart() -> None:
    headers = (("Accept", "a"), ("accept", "b"), ("Cookie", "x=1; y=2"))
    event = function_url_event(client_request(headers=headers, query="a=1&a=2"), "x.lambda-url.on.aws")
    assert event["headers"]["accept"] == "a,b"
    assert event["cookies"] == ["x=1", "y=2"]
    assert (event["rawQueryString"], event["queryStringParameters"]) == ("a=1&a=2", {"a": "1,2"})
    assert ("cookie", "x=1; y=2") in read_event(event, {}).headers


@pytest.mark.parametrize(
    ("content_type", "rest_is_base64", "url_is_base64"),
    [("application/json", False, False), ("image/png", True, True), ("application/octet-stream", False, True)],
)
def test_bytes_pass_where_the_service_takes_them(content_type: str, rest_is_base64: bool, url_is_base64: bool) -> None:
    body = b"\xff\x00" if rest_is_base64 else "grün".encode()
    events = both_events(client_request(headers=(("Content-Type", content_type),), body=body))
    assert [event["isBase64Encoded"] for event in events] == [rest_is_base64, url_is_base64]
    assert [read_event(event, {}).body for event in events] == [body, body]


def test_the_adapter_asks_the_server_what_the_client_asked() -> None:
    request = client_request(query="a=b%26c&d=%C3%A9", headers=(("Content-Type", "text/plain"),), body=b"hello")
    for event in both_events(request):
        passed = read_event(event, {})
        assert (passed.method, passed.path_and_query, passed.body) == ("POST", "/v1/a%2Fb/?a=b%26c&d=%C3%A9", b"hello")


def test_an_event_that_is_no_request_is_posted_as_it_is() -> None:
    passed = read_event({"job": "sweep"}, {})
    assert (passed.method, passed.path_and_query, json.loads(passed.body)) == ("POST", "/events", {"job": "sweep"})
