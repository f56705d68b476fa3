"""The events that stand for HTTP requests: API Gateway's first format, and the second, of function URLs.

source  https://docs.aws.amazon.com/apigateway/latest/developerguide/set-up-lambda-proxy-integrations.html
        https://docs.aws.amazon.com/lambda/latest/dg/urls-invocation.html
"""

import base64
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote

from tests.deploy.aws.account import ACCOUNT_ID, REGION
from tests.deploy.aws.deployed import RestApi, Route

# What a client may send and a function behind a REST API never sees; measured against AWS by the LocalStack project.
NOT_IN_REST_EVENTS = frozenset({
    "connection", "content-length", "content-md5", "expect", "max-forwards", "proxy-authenticate", "server", "te",
    "trailer", "transfer-encoding", "upgrade", "www-authenticate",
})  # fmt: skip
# Written as CloudFront writes them, whatever the client wrote.
CAPITALISED = frozenset({"authorization", "user-agent"})
TEXT_TYPES = ("text/", "application/json", "application/javascript", "application/xml")


@dataclass(frozen=True, slots=True)
class ClientRequest:
    """A request as it came: raw path and query, headers in order, and the address it came from."""

    method: str
    path: str
    query: str
    headers: tuple[tuple[str, str], ...]
    body: bytes = field(repr=False)
    peer: str
    request_id: str = field(default_factory=lambda: str(uuid.uuid4()))

    def header(self, name: str) -> str:
        """Return a header's last value, or nothing."""
        return next((value for given, value in reversed(self.headers) if given.lower() == name.lower()), "")


def rest_event(
    request: ClientRequest, api: RestApi, route: Route, path_parameters: Mapping[str, str]
) -> dict[str, Any]:
    """Return the event of a REST API's proxy integration."""
    host = f"{api.id}.execute-api.{REGION}.amazonaws.com"
    headers: dict[str, list[str]] = {}
    for name, value in _with_proxy_headers(request, host):
        if name.lower() not in NOT_IN_REST_EVENTS:
            headers.setdefault(name.title() if name.lower() in CAPITALISED else name, []).append(value)
    query: dict[str, list[str]] = {}
    for name, value in parse_qsl(request.query, keep_blank_values=True):
        query.setdefault(name, []).append(value)
    body, is_base64 = _rest_body(request, api)
    return {
        "resource": route.resource,
        "path": request.path,
        "httpMethod": request.method,
        "headers": {name: values[-1] for name, values in headers.items()},
        "multiValueHeaders": headers,
        "queryStringParameters": {name: values[-1] for name, values in query.items()} or None,
        "multiValueQueryStringParameters": query or None,
        "pathParameters": dict(path_parameters) or None,
        "stageVariables": None,
        "requestContext": _rest_context(request, api, route, host),
        "body": body,
        "isBase64Encoded": is_base64,
    }


def function_url_event(request: ClientRequest, host: str) -> dict[str, Any]:
    """Return the event of a function's own URL."""
    headers: dict[str, str] = {}
    for given, value in _with_proxy_headers(request, host):
        name = given.lower()
        headers[name] = f"{headers[name]},{value}" if name in headers else value
    cookies = headers.pop("cookie", "")
    is_text = headers.get("content-type", "").startswith(TEXT_TYPES)
    event: dict[str, Any] = {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": request.path,
        "rawQueryString": request.query,
        "headers": headers,
        "requestContext": _url_context(request, host),
        "isBase64Encoded": bool(request.body) and not is_text,
    }
    if cookies:
        event["cookies"] = [cookie.strip() for cookie in cookies.split(";")]
    if request.query:
        pairs = parse_qsl(request.query, keep_blank_values=True)
        names = dict.fromkeys(name for name, _ in pairs)
        event["queryStringParameters"] = {name: ",".join(v for n, v in pairs if n == name) for name in names}
    if request.body:
        event["body"] = request.body.decode(errors="replace") if is_text else base64.b64encode(request.body).decode()
    return event


def decode_parameters(parameters: Mapping[str, str]) -> dict[str, str]:
    """Return path parameters as the event holds them; the path itself stays as it came."""
    return {name: unquote(value) for name, value in parameters.items()}


def _with_proxy_headers(request: ClientRequest, host: str) -> list[tuple[str, str]]:
    """Add what the service says of the connection; the client's own X-Forwarded-For stands before the real address."""
    own = {"host", "x-forwarded-for", "x-forwarded-port", "x-forwarded-proto", "x-amzn-trace-id"}
    forwarded = [value for name, value in request.headers if name.lower() == "x-forwarded-for"]
    return [
        *((name, value) for name, value in request.headers if name.lower() not in own),
        ("Host", host),
        ("X-Amzn-Trace-Id", f"Root=1-{int(time.time()):08x}-{uuid.uuid4().hex[:24]}"),
        ("X-Forwarded-For", ", ".join([*forwarded, request.peer])),
        ("X-Forwarded-Port", "443"),
        ("X-Forwarded-Proto", "https"),
    ]


def _rest_body(request: ClientRequest, api: RestApi) -> tuple[str | None, bool]:
    media_type = request.header("content-type").partition(";")[0].strip().lower()
    if not request.body:
        return None, False
    if "*/*" in api.binary_media_types or media_type in api.binary_media_types:
        return base64.b64encode(request.body).decode(), True
    return request.body.decode(errors="replace"), False


def _rest_context(request: ClientRequest, api: RestApi, route: Route, host: str) -> dict[str, Any]:
    identity = dict.fromkeys(
        ("accessKey", "accountId", "caller", "cognitoAuthenticationProvider", "cognitoAuthenticationType",
         "cognitoIdentityId", "cognitoIdentityPoolId", "principalOrgId", "user", "userArn")
    )  # fmt: skip
    return {
        "accountId": ACCOUNT_ID,
        "apiId": api.id,
        "domainName": host,
        "domainPrefix": api.id,
        "extendedRequestId": request.request_id[:15],
        "httpMethod": request.method,
        "identity": {**identity, "sourceIp": request.peer, "userAgent": request.header("user-agent")},
        "path": f"/{api.stage}{request.path}",
        "protocol": "HTTP/1.1",
        "requestId": request.request_id,
        "requestTime": time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime()),
        "requestTimeEpoch": int(time.time() * 1000),
        "resourcePath": route.resource,
        "stage": api.stage,
    }


def _url_context(request: ClientRequest, host: str) -> dict[str, Any]:
    return {
        "accountId": "anonymous",
        "apiId": host.partition(".")[0],
        "domainName": host,
        "domainPrefix": host.partition(".")[0],
        "http": {
            "method": request.method,
            "path": request.path,
            "protocol": "HTTP/1.1",
            "sourceIp": request.peer,
            "userAgent": request.header("user-agent"),
        },
        "requestId": request.request_id,
        "routeKey": "$default",
        "stage": "$default",
        "time": time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime()),
        "timeEpoch": int(time.time() * 1000),
    }
