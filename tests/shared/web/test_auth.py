import pytest
from starlette.requests import Request

from shared.core.ids import new_request_id
from shared.core.settings import AddressSource, Platform
from shared.keys.fingerprint import fingerprint
from shared.keys.format import InvalidApiKey, MissingApiKey, generate_secret
from shared.web.auth import authenticate, client_address
from shared.web.context import AnswerContext, put_context

SECRETS = ("new" * 12, "old" * 12)
FORGED = {
    "x-forwarded-for": "198.51.100.9",
    "forwarded": "for=198.51.100.9",
    "x-real-ip": "198.51.100.9",
    "true-client-ip": "198.51.100.9",
    "cf-connecting-ip": "198.51.100.9",
}


def request_with(headers: dict[str, str], peer: tuple[str, int] | None = ("203.0.113.7", 5)) -> Request:
    raw = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
    scope = {"type": "http", "method": "POST", "path": "/", "headers": raw, "client": peer, "query_string": b""}
    put_context(scope, AnswerContext(request_id=new_request_id()))
    return Request(scope)


@pytest.mark.parametrize(
    ("source", "vouched", "address"),
    [
        ("direct", {}, "203.0.113.7"),
        ("vercel", {"x-vercel-forwarded-for": "192.0.2.44"}, "192.0.2.44"),
        ("vercel", {"x-vercel-forwarded-for": " 2001:db8::1 , 192.0.2.44"}, "2001:db8::1"),
        ("lambda", {"x-amzn-request-context": '{"http":{"sourceIp":"192.0.2.44"}}'}, "192.0.2.44"),
        ("lambda", {"x-amzn-request-context": '{"identity":{"sourceIp":"2001:db8::1"}}'}, "2001:db8::1"),
    ],
)
def test_only_what_the_platform_vouches_for_is_the_address(
    source: Platform, vouched: dict[str, str], address: str
) -> None:
    assert client_address(request_with({**FORGED, **vouched}), AddressSource(source)) == address


@pytest.mark.parametrize(
    ("trusted_proxies", "forwarded", "address"),
    [
        (1, "203.0.113.7", "203.0.113.7"),
        (1, "198.51.100.9, 203.0.113.7", "203.0.113.7"),
        (2, "198.51.100.9, 203.0.113.7, 10.0.0.1", "203.0.113.7"),
        (2, "203.0.113.7", None),
        (1, "", None),
        (1, "198.51.100.9,", None),
    ],
)
def test_behind_proxies_the_address_is_what_the_outermost_of_ours_wrote(
    trusted_proxies: int, forwarded: str, address: str | None
) -> None:
    request = request_with({**FORGED, "x-forwarded-for": forwarded}, ("10.0.0.2", 5))
    assert client_address(request, AddressSource("proxy", trusted_proxies)) == address


def test_entries_that_proxies_add_as_headers_of_their_own_are_one_list() -> None:
    request = request_with({})
    request.scope["headers"].extend([(b"x-forwarded-for", b"198.51.100.9"), (b"x-forwarded-for", b"203.0.113.7")])
    assert client_address(request, AddressSource("proxy")) == "203.0.113.7"


@pytest.mark.parametrize("context", [{"identity": {"sourceIp": "192.0.2.44"}}, {"http": {"sourceIp": "192.0.2.44"}}])
def test_a_function_called_with_an_event_believes_the_event_and_not_the_header(context: dict[str, object]) -> None:
    request = request_with({**FORGED, "x-amzn-request-context": '{"http":{"sourceIp":"198.51.100.9"}}'})
    request.scope["aws.event"] = {"requestContext": context}
    assert client_address(request, AddressSource("lambda")) == "192.0.2.44"


@pytest.mark.parametrize("other", ["x-vercel-forwarded-for", "x-amzn-request-context"])
def test_another_platform_s_header_may_be_forged_and_is_not_read(other: str) -> None:
    forged = request_with({other: '{"http":{"sourceIp":"198.51.100.9"}}' if "amzn" in other else "198.51.100.9"})
    assert client_address(forged, AddressSource("direct")) == "203.0.113.7"
    assert client_address(forged, AddressSource("lambda" if "vercel" in other else "vercel")) is None


@pytest.mark.parametrize(
    "context", ["", "null", "[]", "7", "{", '{"http":7}', '{"http":null}', '{"identity":[]}', '{"http":{"sourceIp":7}}',
                '{"http":{"sourceIp":"nonsense"}}', "[" * 100_000],
)  # fmt: skip
def test_a_context_that_cannot_be_read_names_nobody(context: str) -> None:
    assert client_address(request_with({"x-amzn-request-context": context}), AddressSource("lambda")) is None


@pytest.mark.parametrize("text", ["", "nonsense", "1.2.3", "1.2.3.4:80", "' or 1", "1.2.3.4/0", "\xff"])
def test_what_is_no_address_is_none(text: str) -> None:
    assert client_address(request_with({"x-vercel-forwarded-for": text}), AddressSource("vercel")) is None


def test_an_ipv4_address_that_a_dual_stack_socket_wrote_as_ipv6_is_the_same_address() -> None:
    assert client_address(request_with({}, ("::ffff:203.0.113.7", 5)), AddressSource("direct")) == "203.0.113.7"


def test_a_zone_is_not_part_of_an_address_and_a_socket_has_none() -> None:
    assert client_address(request_with({}, ("fe80::1%eth0", 5)), AddressSource("direct")) == "fe80::1"
    assert client_address(request_with({}, None), AddressSource("direct")) is None
    assert client_address(request_with({}, ("/run/gateway.sock", 0)), AddressSource("direct")) is None


@pytest.mark.parametrize(
    ("headers", "host"),
    [
        ({}, None),
        ({"origin": "https://App.Example.com:8443"}, "app.example.com"),
        ({"referer": "https://app.example.com/page?x=1"}, "app.example.com"),
        ({"origin": "https://a.example", "referer": "https://b.example/"}, "a.example"),
        ({"origin": "null"}, None),
        ({"origin": "http://[::1"}, None),
        ({"origin": "https://user:pass@evil.example@app.example.com"}, "app.example.com"),
    ],
)
def test_the_origin_is_a_host_or_nothing(headers: dict[str, str], host: str | None) -> None:
    secret = generate_secret("live")
    caller = authenticate(request_with({"x-api-key": secret, **headers}), SECRETS, AddressSource("direct"))
    assert caller.origin_host == host


def test_a_key_is_known_by_its_fingerprints_newest_secret_first() -> None:
    secret = generate_secret("staging")
    caller = authenticate(request_with({"authorization": f"bearer  {secret} "}), SECRETS, AddressSource("direct"))
    assert caller.fingerprints == tuple(fingerprint(secret, each) for each in SECRETS)
    assert caller.environment == "staging"
    assert secret not in repr(caller)


def test_bearer_goes_before_x_api_key() -> None:
    secret = generate_secret("live")
    with pytest.raises(InvalidApiKey):
        authenticate(
            request_with({"authorization": "Bearer wrong", "x-api-key": secret}), SECRETS, AddressSource("direct")
        )


@pytest.mark.parametrize("headers", [{}, {"authorization": ""}, {"authorization": "Bearer"}, {"x-api-key": "  "}])
def test_no_key_is_missing_not_wrong(headers: dict[str, str]) -> None:
    with pytest.raises(MissingApiKey):
        authenticate(request_with(headers), SECRETS, AddressSource("direct"))
