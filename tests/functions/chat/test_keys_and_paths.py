from collections.abc import Callable
from secrets import token_hex

import aiohttp
import pytest

from infra.local.privy_tokens import SigningKey
from infra.local.stack import LocalStack
from shared.core.integrations import PROVIDER_SLUGS
from shared.keys.format import generate_secret
from tests.functions.chat.client import HELLO, PATH, TIMEOUT, Answer, ask, post
from tests.harness.gateways import Gateways, RunningGateway
from tests.harness.privy import PrivyTokens, hmac_signed_token, new_privy_id, unsigned_token
from tests.harness.tenants import Models, Tenants
from tests.harness.wire import Wire


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({}, "missing_api_key"),
        ({"Authorization": "Bearer "}, "missing_api_key"),
        ({"Authorization": "Basic dTpw"}, "missing_api_key"),
        ({"Authorization": "Bearer nonsense"}, "invalid_api_key"),
        ({"Authorization": "Bearer " + "x" * 6_000}, "invalid_api_key"),
        ({"x-api-key": "sk-123"}, "invalid_api_key"),
    ],
)
async def test_without_a_key_nothing_is_read(gateway: RunningGateway, headers: dict[str, str], code: str) -> None:
    answer = await post(gateway.url, b"not even json", headers)
    assert answer.status == 401
    assert (answer.error["code"], answer.error["type"]) == (code, "authentication_error")
    assert answer.headers["WWW-Authenticate"] == "Bearer"


async def test_a_mistyped_key_asks_no_store_and_an_unknown_one_only_once_a_minute(
    stack: LocalStack, start_gateway: Gateways, tenant: Tenants, make_model: Models, open_wire: Callable[[str], Wire]
) -> None:
    database, redis = open_wire(stack.supabase_url), open_wire(stack.redis_rest_url)
    gateway = start_gateway(SUPABASE_URL=database.url, UPSTASH_REDIS_REST_URL=redis.url)
    body = {"model": make_model().id, "messages": HELLO}
    secret = tenant().api_key
    mistyped = secret[:-8] + ("a" if secret[-8] != "a" else "b") + secret[-7:]
    for key in (mistyped, secret.replace("gw_live_", "gw_test_"), secret[:-1]):
        for header in ({"Authorization": f"Bearer {key}"}, {"x-api-key": key}):
            answer = await post(gateway.url, body, header)
            assert (answer.status, answer.error["code"]) == (401, "invalid_api_key")
    assert database.exchanges() == redis.exchanges() == []
    unknown = {"Authorization": f"Bearer {generate_secret('live')}"}
    for _ in range(3):
        answer = await post(gateway.url, body, unknown)
        assert (answer.status, answer.error["code"]) == (401, "invalid_api_key")
    assert len(database.exchanges("rpc/admit")) == 1


async def test_a_forged_token_asks_no_store_and_a_real_one_of_nobody_s_is_told_to_sign_in(
    stack: LocalStack, start_gateway: Gateways, make_model: Models, open_wire: Callable[[str], Wire]
) -> None:
    database, redis = open_wire(stack.supabase_url), open_wire(stack.redis_rest_url)
    tokens, forger = PrivyTokens(SigningKey.generate()), PrivyTokens(SigningKey.generate())
    gateway = start_gateway(
        SUPABASE_URL=database.url,
        UPSTASH_REDIS_REST_URL=redis.url,
        PRIVY_APP_ID=tokens.app_id,
        PRIVY_VERIFICATION_KEY=tokens.key.public_pem,
        PRIVY_JWKS_URL=None,
    )
    body, claims = {"model": make_model().id, "messages": HELLO}, tokens.access_claims(new_privy_id())
    for forged in (
        forger.access(new_privy_id()),
        unsigned_token(claims, {"alg": "none", "typ": "JWT"}),
        hmac_signed_token(claims, {"alg": "HS256", "kid": tokens.key.id}, tokens.key.public_pem.encode()),
        tokens.access(new_privy_id(), aud="another-app"),
        tokens.access(new_privy_id(), exp=1),
        tokens.access(new_privy_id())[:-8] + "AAAAAAAA",
    ):
        answer = await post(gateway.url, body, {"Authorization": f"Bearer {forged}"})
        assert (answer.status, answer.error["code"]) == (401, "invalid_token")
    assert database.exchanges() == redis.exchanges() == []
    for asked in (1, 2):
        answer = await post(gateway.url, body, {"Authorization": f"Bearer {tokens.access('did:privy:nobody')}"})
        assert (answer.status, answer.error["code"]) == (401, "sign_in_required")
        # He may sign in at once, so nothing remembers for him that he has not.
        assert len(database.exchanges("rpc/admit")) == asked


async def test_a_key_in_x_api_key_is_as_good(gateway: RunningGateway, tenant: Tenants, make_model: Models) -> None:
    answer = await post(gateway.url, {"model": make_model().id, "messages": HELLO}, {"x-api-key": tenant().api_key})
    assert answer.status == 200


async def test_a_new_secret_that_every_instance_has_before_it_is_first_on_any_locks_nobody_out(
    stack: LocalStack, start_gateway: Gateways, tenant: Tenants, make_model: Models
) -> None:
    old, new = stack.credentials.gateway_secret, token_hex(20)
    before, appended, changed = (start_gateway(SECRET_KEY=listed) for listed in (old, f"{old},{new}", f"{new},{old}"))
    customer, model = tenant(), make_model()
    for gateway in (before, appended, changed, appended, changed):
        assert (await ask(gateway, customer, model)).status == 200
    # It stands under the new one now, which the list of before lacks: hence two steps.
    assert (await ask(before, customer, model)).status == 401


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", PATH, 405),
        ("PUT", PATH, 405),
        ("DELETE", "/v1/models", 405),
        ("POST", "/ping", 405),
        ("POST", "/v1/nothing", 404),
        ("GET", "/", 404),
        ("GET", "/v1/models-of-nobody", 404),
        ("GET", "/v1/chat/completions/x", 404),
    ],
)
async def test_wrong_methods_and_paths_are_refused_in_the_same_shape(
    gateway: RunningGateway, tenant: Tenants, method: str, path: str, status: int
) -> None:
    async with (
        aiohttp.ClientSession(timeout=TIMEOUT, headers=tenant().headers) as session,
        session.request(method, gateway.url + path) as response,
    ):
        answer = Answer(response.status, response.headers.copy(), await response.read())
    assert answer.status == status
    assert answer.error["type"] == "invalid_request_error"
    assert ("Allow" in answer.headers) == (status == 405)


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://[::1"},
        {"Origin": "null"},
        {"Referer": "https://exa\u00e9mple.com:99999/x"},
        {"Host": "["},
        {"Host": "gateway.example:port"},
        {"X-Forwarded-For": "not an address"},
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/json; charset=nonsense"},
        {"Accept": "text/event-stream"},
    ],
)
async def test_strange_headers_do_no_harm(
    gateway: RunningGateway, tenant: Tenants, make_model: Models, headers: dict[str, str]
) -> None:
    body = {"model": make_model().id, "messages": HELLO}
    assert (await post(gateway.url, body, {**tenant().headers, **headers})).status == 200
    async with (
        aiohttp.ClientSession(timeout=TIMEOUT) as session,
        session.get(gateway.url + "/v1/models/no/such", headers=headers) as response,
    ):
        assert response.status == 404


async def test_a_gateway_without_any_provider_says_who_can_change_that(
    start_gateway: Gateways, tenant: Tenants, make_model: Models
) -> None:
    gateway = start_gateway(
        **{f"{slug.upper()}_{what}": None for slug in PROVIDER_SLUGS for what in ("API_KEY", "BASE_URL")}
    )
    customer, model = tenant(), make_model()
    answer = await ask(gateway, customer, model)
    assert (answer.status, answer.error["code"]) == (501, "not_configured")
    assert "OPENROUTER_API_KEY" in answer.error["message"]
    assert customer.books.holds() == []
    missing = await ask(gateway, customer, "none/such")
    assert (missing.status, missing.error["code"]) == (404, "model_not_found")
    echoed = await ask(gateway, tenant(environment="test"), model)
    assert echoed.status == 200


async def test_behind_a_proxy_of_ours_only_what_it_wrote_itself_is_the_address(
    start_gateway: Gateways, tenant: Tenants, make_model: Models
) -> None:
    gateway = start_gateway(CLIENT_ADDRESS_SOURCE="proxy", TRUSTED_PROXY_COUNT="2")
    customer, body = tenant(), {"model": make_model().id, "messages": HELLO}
    customer.allow_addresses("203.0.113.7/32")
    statuses = {
        forwarded: (await post(gateway.url, body, {**customer.headers, "X-Forwarded-For": forwarded})).status
        for forwarded in ("203.0.113.7, 10.0.0.1", "203.0.113.7, 198.51.100.9, 10.0.0.1", "203.0.113.7")
    }
    assert list(statuses.values()) == [200, 403, 403]
