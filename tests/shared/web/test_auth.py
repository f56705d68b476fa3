from collections.abc import Callable

import pytest
from starlette.requests import Request

from infra.local.privy_tokens import SigningKey
from shared.clients.privy import InvalidToken, Privy
from shared.core.caller import Caller
from shared.core.ids import new_request_id
from shared.core.platform import AddressSource, Platform
from shared.core.scopes import USER_SCOPES, Scope
from shared.keys.fingerprint import fingerprint
from shared.keys.format import InvalidApiKey, MissingApiKey, generate_secret
from shared.web.access import UndeclaredAccess, public, requires, requires_any_key, requires_cron_secret
from shared.web.auth import Authenticator, client_address
from shared.web.context import AnswerContext, context_of, put_context
from tests.harness.privy import PrivyTokens, hmac_signed_token, new_privy_id, unsigned_token

SECRETS = ("new" * 12, "old" * 12)
FORGED = {
    "x-forwarded-for": "198.51.100.9",
    "forwarded": "for=198.51.100.9",
    "x-real-ip": "198.51.100.9",
    "true-client-ip": "198.51.100.9",
    "cf-connecting-ip": "198.51.100.9",
}


@requires("account:read")
async def balance() -> None:
    """Stand for a route that asks for a scope."""


def request_with(headers: dict[str, str], peer: tuple[str, int] | None = ("203.0.113.7", 5)) -> Request:
    raw = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
    scope = {"type": "http", "method": "POST", "path": "/", "headers": raw, "client": peer, "query_string": b""}
    put_context(scope, AnswerContext(request_id=new_request_id()))
    return Request(scope)


def trusting(tokens: PrivyTokens) -> Privy:
    return Privy(tokens.app_id, tokens.key.public_pem)


async def caller_of(headers: dict[str, str], privy: Privy | None = None) -> Caller:
    request = request_with(headers)
    request.scope["endpoint"] = balance
    return await Authenticator(SECRETS, AddressSource("direct"), privy).caller_of(request)


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
        ({"origin": "null", "referer": "https://app.example.com/"}, None),
        ({"origin": "https://user:pass@evil.example@app.example.com"}, None),
        ({"origin": "https://evil.example@app.example.com"}, None),
        ({"referer": "https://evil.example\\@app.example.com/"}, None),
        ({"referer": "https://app.example.com\\.evil.example/"}, None),
        ({"referer": "https://app.example.com/page?by=a@evil.example#\\"}, "app.example.com"),
        ({"origin": "https://app.example.com."}, "app.example.com"),
        ({"origin": "https://app.example.com.:8443"}, "app.example.com"),
        ({"origin": "https://app.example.com.."}, "app.example.com."),
        ({"origin": "http://app.example.com:80"}, "app.example.com"),
        ({"origin": "HTTPS://app.example.com"}, "app.example.com"),
        ({"origin": "//app.example.com"}, None),
        ({"origin": "app.example.com"}, None),
        ({"origin": "ftp://app.example.com"}, None),
        ({"origin": "chrome-extension://app.example.com"}, None),
        ({"origin": "https://"}, None),
        ({"origin": "https://."}, None),
        ({"origin": "http://[2001:DB8::1]:8080"}, "2001:db8::1"),
    ],
)
async def test_the_origin_is_a_host_or_nothing(headers: dict[str, str], host: str | None) -> None:
    caller = await caller_of({"x-api-key": generate_secret("live"), **headers})
    assert caller.origin_host == host


async def test_a_key_is_known_by_its_fingerprints_newest_secret_first() -> None:
    secret = generate_secret("staging")
    caller = await caller_of({"authorization": f"bearer  {secret} "})
    assert caller.fingerprints == tuple(fingerprint(secret, each) for each in SECRETS)
    assert (caller.environment, caller.is_session) == ("staging", False)
    assert secret not in repr(caller)


@pytest.mark.parametrize("scope", [*USER_SCOPES, None])
async def test_what_a_caller_needs_is_what_his_route_declares(scope: Scope | None) -> None:
    async def endpoint() -> None: ...

    declared = requires_any_key(endpoint) if scope is None else requires(scope)(endpoint)
    request = request_with({"x-api-key": generate_secret("live")})
    request.scope["endpoint"] = declared
    caller = await Authenticator(SECRETS, AddressSource("direct"), None).caller_of(request)
    assert caller.scope == scope
    assert caller.to_json() == {
        "key_hmacs": list(caller.fingerprints),
        "scope": scope,
        "address": "203.0.113.7",
        "origin_host": None,
        "request_id": context_of(request.scope).request_id,
    }


@pytest.mark.parametrize("declare", [public, requires_cron_secret])
async def test_a_route_that_asks_for_no_key_has_no_caller(
    declare: Callable[[Callable[..., object]], Callable[..., object]],
) -> None:
    request = request_with({"x-api-key": generate_secret("live")})
    request.scope["endpoint"] = declare(lambda: None)
    with pytest.raises(TypeError, match="has no caller"):
        await Authenticator(SECRETS, AddressSource("direct"), None).caller_of(request)


async def test_a_route_that_declares_nothing_has_no_caller() -> None:
    request = request_with({"x-api-key": generate_secret("live")})
    request.scope["endpoint"] = lambda: None
    with pytest.raises(UndeclaredAccess):
        await Authenticator(SECRETS, AddressSource("direct"), None).caller_of(request)


async def test_bearer_goes_before_x_api_key() -> None:
    with pytest.raises(InvalidApiKey):
        await caller_of({"authorization": "Bearer wrong", "x-api-key": generate_secret("live")})


@pytest.mark.parametrize("headers", [{}, {"authorization": ""}, {"authorization": "Bearer"}, {"x-api-key": "  "}])
async def test_no_key_is_missing_not_wrong(headers: dict[str, str]) -> None:
    with pytest.raises(MissingApiKey):
        await caller_of(headers)


async def test_someone_who_is_signed_in_is_known_by_his_privy_id_and_by_nothing_a_key_could_say() -> None:
    tokens = PrivyTokens(SigningKey.generate())
    privy_id = new_privy_id()
    caller = await caller_of({"authorization": f"Bearer {tokens.access(privy_id)}"}, trusting(tokens))
    assert caller.is_session
    assert caller.fingerprints == tuple(fingerprint(f"session:{privy_id}", each) for each in SECRETS)
    with pytest.raises(InvalidApiKey):
        await caller_of({"authorization": f"Bearer session:{privy_id}"}, trusting(tokens))


async def test_a_token_that_privy_did_not_sign_for_us_is_refused() -> None:
    tokens, forger = PrivyTokens(SigningKey.generate()), PrivyTokens(SigningKey.generate())
    claims = tokens.access_claims(new_privy_id())
    forged = [
        forger.access(new_privy_id()),
        forger.key.sign(claims, kid=tokens.key.id),
        unsigned_token(claims, {"alg": "none", "typ": "JWT"}),
        hmac_signed_token(claims, {"alg": "HS256", "kid": tokens.key.id}, tokens.key.public_pem.encode()),
        tokens.identity(new_privy_id()),
        tokens.access(new_privy_id(), aud="another-app"),
    ]
    for token in forged:
        with pytest.raises(InvalidToken):
            await caller_of({"authorization": f"Bearer {token}"}, trusting(tokens))


async def test_where_nobody_can_sign_in_a_token_is_no_key() -> None:
    tokens = PrivyTokens(SigningKey.generate())
    with pytest.raises(InvalidApiKey):
        await caller_of({"authorization": f"Bearer {tokens.access(new_privy_id())}"})


@pytest.mark.parametrize("text", ["eyJhbGciOiJFUzI1NiJ9", "eyJ.a", "eyJa..b", "eyJa.b.c.d", "a.b.c", "eyJa.b.\u00e9"])
async def test_what_has_not_the_form_of_a_token_is_read_as_a_key(text: str) -> None:
    with pytest.raises(InvalidApiKey):
        await caller_of({"authorization": f"Bearer {text}"}, trusting(PrivyTokens(SigningKey.generate())))
