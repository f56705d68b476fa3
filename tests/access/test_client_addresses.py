"""A key that is bound to addresses: only what the platform vouches for is one, on every function."""

import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

import aiohttp
import pytest
import pytest_asyncio

from infra.local.stack import LocalStack
from shared.core.scopes import USER_SCOPES
from tests.access.people import Owner, Town, number_of
from tests.access.requests import REQUESTS, bearer, name_of, open_session, path_of, routes_for
from tests.functions.chat.client import TIMEOUT, Answer
from tests.functions.keys.client import Holder, run_sql
from tests.functions.test_access import DeclaredRoute
from tests.harness.gateways import Gateways, RunningGateway

ALLOWED, OTHER = "203.0.113.7", "198.51.100.9"
READ_SCOPES = [scope for scope in USER_SCOPES if scope == "inference" or scope.endswith(":read")]
ALLOWLIST = [ALLOWED, "2001:db8::/64"]
READ_REFUSED = "select distinct host(address) from gateway.audit_log where key_id = %s and event = 'address_refused'"
READ_SIGNED_IN = (
    "select distinct host(address) from gateway.audit_log where account_id = %s and event = 'user_signed_in'"
)
SOURCES: dict[str, dict[str, str]] = {
    "direct": {"CLIENT_ADDRESS_SOURCE": "direct"},
    "proxy": {"CLIENT_ADDRESS_SOURCE": "proxy", "TRUSTED_PROXY_COUNT": "1"},
    "two proxies": {"CLIENT_ADDRESS_SOURCE": "proxy", "TRUSTED_PROXY_COUNT": "2"},
    "vercel": {"CLIENT_ADDRESS_SOURCE": "vercel"},
    "lambda": {"CLIENT_ADDRESS_SOURCE": "lambda"},
}
# The one header that each source believes.
BELIEVED = {"proxy": "X-Forwarded-For", "vercel": "x-vercel-forwarded-for", "lambda": "x-amzn-request-context"}

Headers = list[tuple[str, str]]


def headers_with(address: str) -> Headers:
    """Return every header in which somebody looks for a client's address."""
    return [
        *(
            (name, address)
            for name in (
                "X-Forwarded-For", "X-Real-IP", "X-Client-IP", "Client-IP", "X-Cluster-Client-IP", "True-Client-IP",
                "CF-Connecting-IP", "Fastly-Client-IP", "X-Original-Forwarded-For", "X-Envoy-External-Address",
                "x-vercel-forwarded-for", "x-vercel-proxied-for", "x-vercel-ip", "Remote-Addr",
            )
        ),
        ("Forwarded", f"for={address};proto=https"),
        ("x-amzn-request-context", json.dumps({"http": {"sourceIp": address}})),
        ("x-amzn-request-context", json.dumps({"identity": {"sourceIp": address}})),
    ]  # fmt: skip


def one_of_each_function() -> list[DeclaredRoute]:
    """Return a route of every function that keys may call, one that changes nothing where it has such a one."""
    reads_last = sorted(routes_for("key"), key=lambda route: route.method == "GET")
    return list({route.group: route for route in reads_last}.values())


@dataclass(frozen=True, slots=True)
class Client:
    """Someone whose key is bound to addresses, at one gateway."""

    session: aiohttp.ClientSession
    owner: Owner
    key: Holder

    async def is_let_in(self, headers: Headers) -> bool:
        """Use the key at every function; all of them must judge alike."""
        outcomes = set()
        for route in one_of_each_function():
            answer = await self._ask(route, [*bearer(self.key.secret).items(), *headers])
            refused = answer.status == 403 and answer.error["code"] == "address_not_allowed"
            assert refused or answer.status == REQUESTS[name_of(route)].status, answer.raw
            outcomes.add(not refused)
        assert len(outcomes) == 1, headers
        return outcomes.pop()

    async def _ask(self, route: DeclaredRoute, headers: Headers) -> Answer:
        path, make = path_of(route, self.owner.belongings), REQUESTS[name_of(route)].body
        body = make(self.owner.belongings) if make else None
        async with self.session.request(route.method, path, json=body, headers=headers) as response:
            return Answer(response.status, response.headers.copy(), await response.read())


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def owner(town: Town) -> Owner:
    return await town.new_owner()


@pytest.fixture(scope="module")
def gateways(stack: LocalStack, gateway: RunningGateway) -> Iterator[dict[str, RunningGateway]]:
    """One gateway for each source of addresses; that of all these tests is direct."""
    started = Gateways(stack)
    try:
        yield {"direct": gateway, **{name: started(**SOURCES[name]) for name in SOURCES if name != "direct"}}
    finally:
        started.stop_all()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def bound(owner: Owner) -> Holder:
    return await owner.holder.make(name="bound", scopes=READ_SCOPES, ip_allowlist=ALLOWLIST)


@pytest.fixture
async def clients(gateways: dict[str, RunningGateway], owner: Owner, bound: Holder) -> AsyncIterator[dict[str, Client]]:
    """The same key at each of the gateways."""
    sessions = {name: open_session(gateway) for name, gateway in gateways.items()}
    yield {name: Client(session, owner, bound) for name, session in sessions.items()}
    for session in sessions.values():
        await session.close()


def test_every_function_has_a_route_here() -> None:
    asked = one_of_each_function()
    assert {route.group for route in asked} == {route.group for route in routes_for("key")}
    # Making images is all that this one does, and a simulated one changes nothing but the list of requests.
    assert {route.group for route in asked if route.method != "GET"} == {"images"}


async def test_what_a_client_writes_opens_nothing_and_shuts_nothing(
    clients: dict[str, Client], owner: Owner, bound: Holder
) -> None:
    direct = clients["direct"]
    for header in headers_with(ALLOWED):
        assert not await direct.is_let_in([header]), header
    assert not await direct.is_let_in(headers_with(ALLOWED))
    assert run_sql(owner.database_url, READ_REFUSED, number_of(bound.id)) == [("127.0.0.1",)]
    for name, address in (("near", "127.0.0.0/8"), ("mapped", "::ffff:127.0.0.1")):
        near = await owner.holder.make(name=name, scopes=READ_SCOPES, ip_allowlist=[address])
        assert await Client(direct.session, owner, near).is_let_in(headers_with(ALLOWED))


@pytest.mark.parametrize("source", BELIEVED)
async def test_each_platform_is_believed_in_its_own_header_alone(clients: dict[str, Client], source: str) -> None:
    for name, value in headers_with(ALLOWED):
        assert await clients[source].is_let_in([(name, value)]) == (name == BELIEVED[source]), name
    others = [header for header in headers_with(ALLOWED) if header[0] != BELIEVED[source]]
    believed = [header for header in headers_with(OTHER) if header[0] == BELIEVED[source]][:1]
    assert not await clients[source].is_let_in([*others, *believed])
    assert not await clients[source].is_let_in([])


@pytest.mark.parametrize(
    ("forwarded", "is_let_in"),
    [
        ([ALLOWED], True),
        ([f"{ALLOWED}, {OTHER}"], False),
        ([f"{OTHER}, {ALLOWED}"], True),
        ([f"{OTHER},{ALLOWED} "], True),
        ([f"{ALLOWED}, {ALLOWED}, {OTHER}"], False),
        ([ALLOWED, OTHER], False),
        ([OTHER, ALLOWED], True),
        ([f"{ALLOWED},"], False),
        ([f"{ALLOWED}, unknown"], False),
        ([f"{ALLOWED} {OTHER}"], False),
        ([f"::ffff:{ALLOWED}"], True),
        (["::FFFF:CB00:7107"], True),
        ([f"::ffff:{OTHER}"], False),
        (["::ffff:0:203.0.113.7"], False),
        (["64:ff9b::203.0.113.7"], False),
        (["2001:db8::1"], True),
        (["2001:0DB8:0000:0000::FFFF"], True),
        (["2001:db8::1%eth0"], True),
        (["2001:db8:0:1::1"], False),
        (["fe80::1%2001:db8::1"], False),
        ([f"{ALLOWED}:443"], False),
        (["[2001:db8::1]"], False),
        (["[2001:db8::1]:443"], False),
        ([f'"{ALLOWED}"'], False),
        ([f"for={ALLOWED}"], False),
        (["203.0.113.007"], False),
        (["203.0.113"], False),
        (["3405803783"], False),
        (["0xcb007107"], False),
        (["203.0.113.7/32"], False),
        ([""], False),
        (["unknown"], False),
        (["x" * 4000], False),
    ],
)  # fmt: skip
async def test_behind_a_proxy_the_last_entry_counts_and_only_as_an_address(
    clients: dict[str, Client], forwarded: list[str], is_let_in: bool
) -> None:
    headers = [("X-Forwarded-For", each) for each in forwarded]
    assert await clients["proxy"].is_let_in(headers) == is_let_in
    # What another proxy of ours writes behind it changes nothing.
    assert await clients["two proxies"].is_let_in([*headers, ("X-Forwarded-For", "10.0.0.1")]) == is_let_in


async def test_what_did_not_come_through_all_proxies_has_no_address(clients: dict[str, Client]) -> None:
    for forwarded in (ALLOWED, "10.0.0.1", f" ,{ALLOWED}"):
        assert not await clients["two proxies"].is_let_in([("X-Forwarded-For", forwarded)])


async def test_the_address_of_a_sign_in_is_not_what_the_client_writes(
    gateways: dict[str, RunningGateway], owner: Owner
) -> None:
    headers = [*headers_with(ALLOWED), ("Content-Type", "application/json")]
    async with aiohttp.ClientSession(gateways["direct"].url, timeout=TIMEOUT) as session:
        for path in ("/auth", "/auth/privy"):
            body = json.dumps({"token": owner.person.secret})
            async with session.post(path, data=body, headers=headers) as response:
                assert response.status == 200
    assert run_sql(owner.database_url, READ_SIGNED_IN, number_of(owner.person.id)) == [("127.0.0.1",)]
