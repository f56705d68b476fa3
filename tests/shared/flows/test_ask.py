"""The way in of a request that is over at once."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import msgspec
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from infra.local.stack import LocalStack
from shared.clients.database import Database
from shared.clients.redis import Redis
from shared.core.caller import Caller
from shared.core.ids import AccountId, KeyId, RequestId
from shared.core.scopes import Scope
from shared.core.verdicts import LimitsPolicy, MinuteLimits, Refused
from shared.flows.ask import Desk, ask_within_limits
from shared.keys.format import InvalidApiKey
from shared.keys.refusals import AddressNotAllowed, DomainNotAllowed, MissingScope, SignInRequired
from shared.limits.refusals import AddressLimited, RequestsLimited
from shared.limits.store import Limiter
from tests.shared.limits.support import Clock

NONE = MinuteLimits(requests_per_minute=0, tokens_per_minute=0, concurrency=0)
UNKNOWN = Refused(status=401, code="invalid_api_key", numbers={})
CHANGES: list[Scope] = ["account:write", "keys:write", "billing:write", "history:write"]
LOOKS: list[Scope | None] = ["account:read", "keys:read", "inference", None]


class Balance(msgspec.Struct, frozen=True):
    """What a function of the database answers."""

    policy: LimitsPolicy


def policy(requests_per_minute: int) -> LimitsPolicy:
    limits = MinuteLimits(requests_per_minute=requests_per_minute, tokens_per_minute=0, concurrency=1)
    return LimitsPolicy(account_id=AccountId(7), key_id=KeyId(1), account=NONE, key=limits)


def account_of_one_request() -> LimitsPolicy:
    return LimitsPolicy(account_id=AccountId(7), key_id=KeyId(1), account=policy(1).key, key=NONE)


@dataclass(slots=True)
class Question:
    """Asks, and counts how often; answers[0] is the first answer, and the last goes on."""

    answers: list[Balance | Refused]
    asked: int = 0
    headers: dict[str, str] = field(default_factory=dict)

    async def ask(self) -> Balance | Refused:
        self.asked += 1
        return self.answers[min(self.asked, len(self.answers)) - 1]


def caller(scope: Scope | None = "account:read", *, key: str = "a1" * 32, is_session: bool = False) -> Caller:
    return Caller(
        fingerprints=(key, "b2" * 32),
        scope=scope,
        environment="live",
        address="192.0.2.7",
        origin_host=None,
        request_id=RequestId("req_1"),
        is_session=is_session,
        received_s=0.0,
    )


@dataclass(slots=True)
class Policies:
    """Stands where the database stands, and tells one policy of whoever asks."""

    told: Refused | LimitsPolicy = UNKNOWN
    callers: list[Any] = field(default_factory=list)

    async def serve(self, request: web.Request) -> web.Response:
        self.callers.append((await request.json())["p_caller"])
        answer = self.told if isinstance(self.told, Refused) else {"verdict": "policy", "policy": self.told}
        return web.Response(body=msgspec.json.encode(answer), content_type="application/json")


@pytest.fixture
def policies() -> Policies:
    return Policies()


@pytest.fixture
async def database(policies: Policies) -> AsyncIterator[Database]:
    app = web.Application()
    app.router.add_post("/rest/v1/rpc/read_policy", policies.serve)
    async with TestServer(app, host="127.0.0.1") as server, aiohttp.ClientSession() as session:
        yield Database(session, url=str(server.make_url("")).rstrip("/"), key="sb_secret_k")


@pytest.fixture
async def redis(stack: LocalStack) -> AsyncIterator[Redis]:
    async with aiohttp.ClientSession() as session:
        redis = Redis(session, url=stack.redis_rest_url, token=stack.credentials.redis_token, deadline_s=10)
        await redis.command("FLUSHALL")
        yield redis


@pytest.fixture
def desk(redis: Redis, database: Database) -> Desk:
    return Desk(limiter=Limiter(redis, Clock(1_900_000_000_000), address_requests_per_minute=10), database=database)


@pytest.fixture
async def desk_without_redis(database: Database, unused_tcp_port: int) -> AsyncIterator[Desk]:
    async with aiohttp.ClientSession() as session:
        redis = Redis(session, url=f"http://127.0.0.1:{unused_tcp_port}", token="t")
        yield Desk(limiter=Limiter(redis, Clock(1_900_000_000_000)), database=database)


def asking(desk: Desk, question: Question) -> Callable[[Caller], Awaitable[Any]]:
    async def ask(who: Caller) -> Balance:
        question.headers.clear()
        return await ask_within_limits(desk, who, question.ask, question.headers)

    return ask


async def test_every_answer_tells_where_the_caller_stands(desk: Desk) -> None:
    question = Question([Balance(policy(3))])
    remaining = []
    for _ in range(3):
        assert await asking(desk, question)(caller()) == Balance(policy(3))
        remaining.append(question.headers["x-ratelimit-remaining-requests"])
    assert remaining == ["2", "1", "0"]


async def test_who_is_over_his_limit_is_not_asked_for(desk: Desk) -> None:
    question = Question([Balance(policy(1))])
    await asking(desk, question)(caller())
    with pytest.raises(RequestsLimited) as refusal:
        await asking(desk, question)(caller())
    assert question.asked == 1
    assert "Retry-After" in refusal.value.headers


async def test_a_plan_of_one_request_at_once_lets_any_number_look(desk: Desk) -> None:
    question = Question([Balance(policy(0))])
    for _ in range(5):
        await asking(desk, question)(caller())


async def test_an_unknown_key_is_asked_for_once_a_minute(desk: Desk) -> None:
    question = Question([UNKNOWN])
    for _ in range(3):
        with pytest.raises(InvalidApiKey):
            await asking(desk, question)(caller())
    assert question.asked == 1
    assert question.headers == {}


async def test_someone_who_has_no_account_yet_is_told_to_sign_in_and_let_in_once_he_has(desk: Desk) -> None:
    question = Question([UNKNOWN, UNKNOWN, Balance(policy(5))])
    who = caller(is_session=True)
    for _ in range(2):
        with pytest.raises(SignInRequired, match="POST /auth/privy"):
            await asking(desk, question)(who)
    assert await asking(desk, question)(who) == Balance(policy(5))


async def test_a_refusal_carries_the_limits_too(desk: Desk) -> None:
    refused = Refused(status=403, code="missing_scope", numbers={"scope": "account:read"}, policy=policy(3))
    question = Question([refused])
    for remaining in ("2", "1"):
        with pytest.raises(MissingScope):
            await asking(desk, question)(caller())
        assert question.headers["x-ratelimit-remaining-requests"] == remaining


@pytest.mark.parametrize("scope", LOOKS)
async def test_a_key_s_first_look_is_refused_after_the_question_where_its_account_has_no_more(
    desk: Desk, scope: Scope | None
) -> None:
    question = Question([Balance(account_of_one_request())])
    await asking(desk, question)(caller(scope))
    with pytest.raises(RequestsLimited):
        await asking(desk, question)(caller(scope, key="c3" * 32))


@pytest.mark.parametrize("scope", CHANGES)
async def test_a_change_is_refused_before_it_is_made_at_a_key_s_first_sight_too(
    desk: Desk, policies: Policies, scope: Scope
) -> None:
    policies.told = account_of_one_request()
    question = Question([Balance(account_of_one_request())])
    await asking(desk, question)(caller())
    for _ in range(2):
        with pytest.raises(RequestsLimited):
            await asking(desk, question)(caller(scope, key="c3" * 32))
    assert (question.asked, len(policies.callers)) == (1, 1)


async def test_a_key_that_changes_itself_is_held_to_its_limit(desk: Desk, policies: Policies) -> None:
    policies.told = policy(3)
    question, who = Question([Balance(policy(3))]), caller("keys:write")
    for _ in range(3):
        await asking(desk, question)(who)
        await desk.limiter.forget_policies(who.fingerprints)
    with pytest.raises(RequestsLimited):
        await asking(desk, question)(who)
    assert question.asked == 3


async def test_a_change_by_a_key_that_is_known_asks_once_and_counts_once(desk: Desk, policies: Policies) -> None:
    policies.told = policy(9)
    question = Question([Balance(policy(9))])
    remaining = []
    for _ in range(3):
        await asking(desk, question)(caller("keys:write"))
        remaining.append(question.headers["x-ratelimit-remaining-requests"])
    assert remaining == ["8", "7", "6"]
    assert len(policies.callers) == 1


async def test_for_its_limits_a_key_is_not_asked_what_it_may_do(desk: Desk, policies: Policies) -> None:
    policies.told = policy(9)
    who = caller("billing:write")
    await asking(desk, Question([Balance(policy(9))]))(who)
    assert policies.callers == [{**who.to_json(), "scope": None}]


async def test_an_unknown_key_changes_nothing_and_is_asked_for_once_a_minute(desk: Desk, policies: Policies) -> None:
    question = Question([UNKNOWN])
    for _ in range(3):
        with pytest.raises(InvalidApiKey):
            await asking(desk, question)(caller("keys:write"))
    assert (question.asked, len(policies.callers)) == (0, 1)


async def test_someone_who_gets_his_account_by_what_he_asks_is_counted_and_not_refused_it(desk: Desk) -> None:
    question = Question([Balance(policy(1))])
    newcomers = [asking(desk, question)(caller("account:write", is_session=True)) for _ in range(2)]
    assert await asyncio.gather(*newcomers) == [Balance(policy(1))] * 2
    with pytest.raises(RequestsLimited):
        await asking(desk, question)(caller("account:write", is_session=True))
    assert question.asked == 2


async def test_someone_without_an_account_who_wants_to_change_one_is_told_to_sign_in(desk: Desk) -> None:
    with pytest.raises(SignInRequired):
        await asking(desk, Question([UNKNOWN]))(caller("account:write", is_session=True))


async def test_a_refusal_of_the_database_goes_before_that_of_a_limit_found_late(desk: Desk) -> None:
    account = account_of_one_request()
    refused = Refused(status=403, code="missing_scope", numbers={"scope": "account:read"}, policy=account)
    await asking(desk, Question([Balance(account)]))(caller())
    with pytest.raises(MissingScope):
        await asking(desk, Question([refused]))(caller(key="c3" * 32))


@pytest.mark.parametrize("scope", ["account:read", "account:write"])
@pytest.mark.parametrize("code", ["address_not_allowed", "domain_not_allowed"])
async def test_a_key_in_the_wrong_place_uses_up_the_limit_of_its_address_and_not_its_owner_s(
    desk: Desk, policies: Policies, code: str, scope: Scope
) -> None:
    told = account_of_one_request()
    policies.told = refused = Refused(status=403, code=code, numbers={}, policy=told)
    leaked = Question([refused])
    for _ in range(10):
        with pytest.raises((AddressNotAllowed, DomainNotAllowed)):
            await asking(desk, leaked)(caller(scope))
        assert leaked.headers == {}
    with pytest.raises(AddressLimited):
        await asking(desk, leaked)(caller(scope))
    # Of the same account, elsewhere.
    own = msgspec.structs.replace(caller(key="c3" * 32), address="198.51.100.4")
    assert await asking(desk, Question([Balance(told)]))(own) == Balance(told)


async def test_a_key_that_was_known_and_comes_from_the_wrong_place_is_known_no_longer(desk: Desk, redis: Redis) -> None:
    await asking(desk, Question([Balance(policy(9))]))(caller())
    leaked = Question([Refused(status=403, code="address_not_allowed", numbers={}, policy=policy(9))])
    with pytest.raises(AddressNotAllowed):
        await asking(desk, leaked)(caller())
    assert await redis.command("EXISTS", f"gw:policy:{caller().fingerprints[0]}") == 0


async def test_without_redis_this_instance_counts_and_holds_who_looks_and_who_changes(
    desk_without_redis: Desk, policies: Policies
) -> None:
    policies.told = policy(2)
    question = Question([Balance(policy(2))])
    await asking(desk_without_redis, question)(caller())
    await asking(desk_without_redis, question)(caller("keys:write"))
    with pytest.raises(RequestsLimited):
        await asking(desk_without_redis, question)(caller())
    asked = question.asked
    with pytest.raises(RequestsLimited):
        await asking(desk_without_redis, question)(caller("keys:write"))
    assert question.asked == asked
