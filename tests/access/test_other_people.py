"""What is somebody else's: everything of one account, asked for by another in every way that a request has."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from infra.local.stack import LocalStack
from tests.access.people import Owner, Town
from tests.access.requests import REQUESTS, Body, bearer, call, name_of, open_session, path_of, routes_for, send
from tests.access.tables import digest_account
from tests.functions.billing.people import make_coupon
from tests.functions.chat.client import HELLO, PATH, Answer
from tests.functions.keys.client import KEYS
from tests.functions.test_access import DeclaredRoute
from tests.harness.gateways import RunningGateway

WITH_KEY = routes_for("key")
READS = [route for route in WITH_KEY if route.method == "GET"]
CHANGES = [route for route in WITH_KEY if route.method != "GET" and route.path != "/user/account"]
OF_PATHS = [route for route in WITH_KEY if "{" in route.path]
# Where an application may look for whose or which something is.
NAMES = ("id", "key", "key_id", "account_id", "user_id", "generation_id", "request_id", "after", "before", "model")
HEADERS = ("X-Account-Id", "X-User-Id", "X-Key-Id", "X-Privy-Id", "X-Forwarded-User", "X-Original-Url")
# Of whoever has one chat, the same as of everybody else.
SAYS_NOTHING_OF_ITS_OWN = {"GET /user/limit", "GET /user/limits", "GET /v1/chat/stats"}
# A balance that nobody else has.
QUETZAL_NANOS = 27_182_818_284
PUBLIC_ID = re.compile(r"(key|gen|resp|user|evt|txn|pi|sess|msg)_\w+")


@dataclass(frozen=True, slots=True)
class Marks:
    """What only this account's answers say, and the search for it."""

    owner: Owner
    texts: frozenset[str]
    cursors: tuple[str, ...]

    @property
    def ids(self) -> list[str]:
        """What routes may be asked for."""
        return sorted(text for text in self.texts if PUBLIC_ID.fullmatch(text))

    def found_in(self, answer: Answer, *, but: str = "") -> set[str]:
        """Return which of them an answer has, as whole words."""
        text = answer.raw.decode() + json.dumps(dict(answer.headers))
        if answer.headers.get("Content-Type") == "application/json" and answer.raw:
            text += json.dumps(answer.json, ensure_ascii=False)
        return {mark for mark in self.texts - {but} if mark in text and self._stands_alone(mark, text)}

    def _stands_alone(self, mark: str, text: str) -> bool:
        return re.search(rf"(?<![0-9A-Za-z_]){re.escape(mark)}(?![0-9A-Za-z_])", text) is not None


def texts_of(value: Any) -> Iterator[str]:
    """Return every text in JSON that is more than a word."""
    if isinstance(value, str) and len(value) >= 4:
        yield value
    for each in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from texts_of(each)


async def read_all(session: aiohttp.ClientSession, owner: Owner) -> dict[str, Answer]:
    """Read everything that an owner may read."""
    answers = {}
    for route in READS:
        for query in ("", "?limit=1"):
            path = path_of(route, owner.belongings)
            path += query.replace("?", "&") if "?" in path else query
            answers[name_of(route) + query] = await call(session, "GET", path, bearer(owner.holder.secret))
            assert answers[name_of(route) + query].status == 200
    return answers


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def other(town: Town) -> Owner:
    return await town.new_owner("somebody.else@example.com")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def marks(town: Town, other: Owner) -> Marks:
    """An account with something everywhere, and what of it no other account's answers say."""
    owner = await town.new_owner("quetzal.owner@example.com", credit_nanos=QUETZAL_NANOS)
    coupon = make_coupon(owner.database_url)
    for tenant_change in (
        ("POST", "/trials/start", {}),
        ("POST", "/coupons/redeem", {"code": coupon}),
        ("PATCH", "/user/profile", {"name": "Quetzal Owner", "preferences": {"motto": "quetzals only"}}),
        ("PUT", "/user/notifications/preferences", {"low_balance_threshold": "31.415926535"}),
        ("POST", KEYS, {"name": "quetzal's own", "allowed_domains": ["quetzal.example"], "models": ["quetzal/*"]}),
        ("POST", KEYS, {"name": "quetzal's office", "ip_allowlist": ["203.0.113.77"]}),
    ):
        assert (await owner.holder.call(*tenant_change)).status < 300
    async with open_session(town.gateway) as session:
        answers, of_others = await read_all(session, owner), await read_all(session, other)
    common = {text for answer in of_others.values() for text in texts_of(answer.json)}
    own = {text for answer in answers.values() for text in texts_of(answer.json)}
    secrets = {owner.holder.secret, owner.person.secret, owner.person.secret.split(".")[1]}
    cursors = [answer.json["next"] for answer in answers.values() if answer.json.get("next")]
    # Two lists may end at the same number.
    return Marks(owner, frozenset((own - common) | secrets), tuple(cursors))


async def test_the_search_finds_an_account_in_its_own_answers(
    session: aiohttp.ClientSession, marks: Marks, other: Owner
) -> None:
    owner = marks.owner
    found = {name: marks.found_in(answer) for name, answer in (await read_all(session, owner)).items()}
    assert {name.partition("?")[0] for name, texts in found.items() if not texts} <= SAYS_NOTHING_OF_ITS_OWN
    told = set().union(*found.values())
    masked = {text for text in told if "…" in text}
    assert {"quetzal.owner@example.com", "Quetzal Owner", "quetzals only", "31.415926535", "quetzal's own"} <= told
    assert {owner.belongings.key_id, owner.belongings.generation_id, owner.belongings.model_id, owner.person.id} <= told
    assert len(masked) >= 4
    assert {text.partition("_")[0] for text in marks.ids} >= {
        "key",
        "gen",
        "resp",
        "user",
        "evt",
        "txn",
        "pi",
        "sess",
        "msg",
    }
    assert len(marks.cursors) >= 3
    assert not marks.found_in(await other.holder.call("GET", "/v1/key"))


async def test_no_id_of_another_account_is_read_or_changed(
    stack: LocalStack, session: aiohttp.ClientSession, marks: Marks, other: Owner
) -> None:
    before, shown, met = digest_account(stack.database_url, marks.owner.account_id), {}, set()
    for who in (other.holder, other.person):
        for route in OF_PATHS:
            make = REQUESTS[name_of(route)].body
            for one in marks.ids:
                path = re.sub(r"\{\w+(:path)?\}", one, route.path)
                answer = await call(
                    session, route.method, path, bearer(who.secret), make(other.belongings) if make else None
                )
                met.add((answer.status, answer.error["code"]))
                shown[f"{route.method} {path}"] = marks.found_in(answer)
    not_found = ("key", "generation", "payment", "response", "session")
    assert met == {(404, f"{what}_not_found") for what in not_found}
    assert {path for path, texts in shown.items() if texts} == set()
    assert digest_account(stack.database_url, marks.owner.account_id) == before


def asked_of(marks: Marks) -> list[str]:
    """Return the ids of all keys, one of each other kind, a bare number, and a place in each list."""
    keys = [one for one in marks.ids if one.startswith("key_")]
    others = {one.partition("_")[0]: one for one in marks.ids if one not in keys}
    own = marks.owner.belongings
    return [*keys, *others.values(), own.generation_id, own.model_id, str(marks.owner.account_id), *marks.cursors]


@pytest.mark.parametrize("route", [pytest.param(route, id=name_of(route)) for route in READS])
async def test_a_query_or_a_header_turns_no_list_into_another_account_s(
    session: aiohttp.ClientSession, marks: Marks, other: Owner, route: DeclaredRoute
) -> None:
    path, headers = path_of(route, other.belongings), bearer(other.holder.secret)
    for value in asked_of(marks):
        for name in NAMES:
            answer = await send_query(session, path, {name: value}, headers)
            assert answer.status in {200, 400, 404}
            assert marks.found_in(answer) == set(), (name, value)
        posing = {**headers, **dict.fromkeys(HEADERS, value)}
        answer = await call(session, "GET", path, posing)
        assert (answer.status, marks.found_in(answer)) == (200, set()), value
    for_tables = {**headers, "Accept": "text/csv", "Prefer": "count=exact", "Accept-Profile": "gateway"}
    assert marks.found_in(await call(session, "GET", path, for_tables)) == set()


async def send_query(
    session: aiohttp.ClientSession, path: str, query: dict[str, str], headers: dict[str, str]
) -> Answer:
    async with session.get(path, params=query, headers=headers) as response:
        return Answer(response.status, response.headers.copy(), await response.read())


async def test_a_body_changes_nothing_of_another_account(
    stack: LocalStack, session: aiohttp.ClientSession, town: Town, marks: Marks, other: Owner
) -> None:
    before = digest_account(stack.database_url, marks.owner.account_id)
    values = asked_of(marks)[::2]
    for route in CHANGES:
        make = REQUESTS[name_of(route)].body
        well_made: Body = make(other.belongings) if make else {}
        for name in {*NAMES} - well_made.keys():
            for value in values:
                body = {**well_made, name: value}
                answer = await call(
                    session, route.method, path_of(route, other.belongings), bearer(other.holder.secret), body
                )
                # A session's model is any name, and shown as it was sent.
                assert marks.found_in(answer, but=value if name == "model" else "") == set(), (route, body)
    # The end of an account is the end of the one that asks for it, whatever he says.
    leaver = await town.new_owner()
    posing = {**bearer(leaver.holder.secret), **dict.fromkeys(HEADERS, str(marks.owner.account_id))}
    (route,) = [route for route in WITH_KEY if name_of(route) == "DELETE /user/account"]
    assert (await send(session, route, leaver.belongings, posing)).status == 204
    assert digest_account(stack.database_url, marks.owner.account_id) == before


async def test_an_idempotency_key_is_its_account_s_alone(
    session: aiohttp.ClientSession, town: Town, marks: Marks, other: Owner
) -> None:
    again = {"Idempotency-Key": "the-same-for-both"}
    model = marks.owner.belongings.model_id
    for path, body in ((PATH, {"model": model, "messages": HELLO}), (KEYS, {"name": "quetzal's third"})):
        answers = []
        for who in (marks.owner.holder, other.holder, marks.owner.holder, other.person):
            answers.append(await call(session, "POST", path, {**bearer(who.secret), **again}, body))
        first, of_other, replay, of_person = answers
        assert first.status < 300, first.raw
        assert replay.raw == first.raw
        assert replay.headers["Idempotent-Replayed"] == "true"
        assert "Idempotent-Replayed" not in of_other.headers
        assert of_other.json["id"] not in {first.json["id"], marks.owner.belongings.key_id}
        # Whoever is signed in is another key of the account: keys are its own, a paid answer the key's that paid.
        assert ("Idempotent-Replayed" in of_person.headers) == (path == KEYS)
        assert of_person.json.get("api_key") == of_other.json.get("api_key")


async def test_what_is_public_tells_of_nobody(
    session: aiohttp.ClientSession, gateway: RunningGateway, marks: Marks
) -> None:
    model = marks.owner.belongings.model_id
    for route in routes_for("public"):
        # The manual was written before anybody came, and has words of its own that are in people's lines too.
        if route.method == "GET" and route.path not in ("/openapi.json", "/docs"):
            answer = await call(session, "GET", path_of(route, marks.owner.belongings), {})
            assert marks.found_in(answer, but=model) == set(), route
    for path in ("/", "/redoc", "/user", "/rest/v1/", "/rest/v1/accounts", "/.env", "/v1/keys"):
        answer = await call(session, "GET", path, {})
        assert (answer.status, marks.found_in(answer)) == (404, set()), path
