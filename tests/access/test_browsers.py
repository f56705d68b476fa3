"""What a browser may do: a key on the pages that it is for, and no cookie anywhere."""

import aiohttp
import pytest
import pytest_asyncio

from tests.access.people import Owner, Town
from tests.access.requests import REQUESTS, ROUTES, bearer, call, name_of, path_of, send
from tests.access.test_client_addresses import READ_SCOPES, one_of_each_function
from tests.functions.keys.client import Holder
from tests.functions.test_access import DeclaredRoute

PAGE = "https://app.example"
DOMAINS = ["app.example", "*.example.com"]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def owner(town: Town) -> Owner:
    return await town.new_owner()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def page_key(owner: Owner) -> Holder:
    return await owner.holder.make(name="of pages", scopes=READ_SCOPES, allowed_domains=DOMAINS)


@pytest.mark.parametrize(
    ("headers", "is_let_in"),
    [
        ({"Origin": PAGE}, True),
        ({"Origin": "http://app.example:3000"}, True),
        ({"Origin": "https://APP.Example"}, True),
        ({"Origin": "https://x.example.com"}, True),
        ({"Origin": "https://a.b.example.com"}, True),
        ({"Origin": "https://example.com"}, False),
        ({"Origin": "https://evil-example.com"}, False),
        ({"Origin": "https://evilexample.com"}, False),
        ({"Origin": "https://example.com.evil.example"}, False),
        ({"Origin": "https://app.example.evil.example"}, False),
        ({"Origin": "https://notapp.example"}, False),
        ({"Origin": "https://sub.app.example"}, False),
        ({"Origin": "https://app.example@evil.example"}, False),
        ({"Origin": "https://evil.example/app.example"}, False),
        ({"Origin": "https://evil.example?app.example"}, False),
        ({"Origin": "https://evil.example#.example.com"}, False),
        ({"Origin": "null"}, False),
        ({"Origin": "app.example"}, False),
        ({"Origin": "file://"}, False),
        ({"Origin": "*"}, False),
        ({"Origin": "https://*.example.com"}, True),
        ({}, False),
        ({"Referer": f"{PAGE}/chat?x=1"}, True),
        ({"Referer": "https://evil.example/?https://app.example"}, False),
        ({"Origin": "https://evil.example", "Referer": f"{PAGE}/"}, False),
        ({"Origin": "null", "Referer": f"{PAGE}/"}, False),
        ({"Origin": PAGE, "Referer": "https://evil.example/"}, True),
        ({"Host": "app.example"}, False),
        ({"X-Forwarded-Host": "app.example", "X-Original-Host": "app.example"}, False),
    ],
)
async def test_a_key_works_on_the_pages_that_it_is_for(
    session: aiohttp.ClientSession, owner: Owner, page_key: Holder, headers: dict[str, str], is_let_in: bool
) -> None:
    for route in one_of_each_function():
        answer = await send(session, route, owner.belongings, {**bearer(page_key.secret), **headers})
        if is_let_in:
            assert answer.status == REQUESTS[name_of(route)].status, (route, answer.raw)
        else:
            assert (answer.status, answer.error["code"]) == (403, "domain_not_allowed"), route
        # The page is to be able to read why.
        assert answer.headers.get("Access-Control-Allow-Origin") == ("*" if "Origin" in headers else None)


@pytest.mark.parametrize(
    "route", [pytest.param(ROUTES[name], id=name) for name in ROUTES if not name.startswith("HEAD")]
)
async def test_a_preflight_needs_no_key_and_allows_no_cookie(
    session: aiohttp.ClientSession, owner: Owner, route: DeclaredRoute
) -> None:
    asked = {
        "Access-Control-Request-Method": route.method,
        "Access-Control-Request-Headers": "authorization, x-api-key",
    }
    for origin in (PAGE, "null", "https://evil.example"):
        headers = {"Origin": origin, "Cookie": "session=1", **asked}
        answer = await call(session, "OPTIONS", path_of(route, owner.belongings), headers)
        assert (answer.status, answer.headers["Access-Control-Allow-Origin"]) == (200, "*")
        assert route.method in answer.headers["Access-Control-Allow-Methods"]


async def test_a_cookie_is_nobody_and_no_answer_sets_or_allows_one(
    session: aiohttp.ClientSession, owner: Owner
) -> None:
    """That no answer allows one, `call` looks at every time."""
    secret = owner.holder.secret
    names = ("session", "token", "api_key", "privy-token", "privy-id-token", "Authorization")
    cookies = {"Origin": PAGE, "Cookie": "; ".join(f"{name}={secret}" for name in names)}
    for route in one_of_each_function():
        refused = await send(session, route, owner.belongings, cookies)
        assert (refused.status, refused.error["code"]) == (401, "missing_api_key")
        answered = await send(session, route, owner.belongings, {**cookies, **bearer(secret)})
        assert answered.status == REQUESTS[name_of(route)].status
