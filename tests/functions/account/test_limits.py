"""GET /user/limits."""

from typing import Any

import pytest

from tests.functions.account.client import owner_of, read, run_sql
from tests.functions.chat.client import Answer
from tests.harness.gateways import Gateways, RunningGateway
from tests.harness.tenants import Models, PlanLimits, Tenants

SET_KEY = """
    update gateway.api_keys
       set requests_per_minute = 30, concurrency = 3, max_requests = 40,
           spend_limit_nanos = 2000000000, spend_limit_period = 'month'
     where id = %s
"""
LIMITS = PlanLimits(
    requests_per_minute=100,
    tokens_per_minute=100_000,
    concurrency=8,
    requests_per_day=50,
    tokens_per_day=10_000,
    requests_per_month=None,
    tokens_per_month=90_000,
)


def _assert_agrees_with_headers(answer: Answer) -> None:
    for measure in ("requests", "tokens"):
        both = [answer.json[who][f"{measure}_per_minute"] for who in ("key", "account")]
        tightest = min((use for use in both if use["limit"] is not None), key=lambda use: use["remaining"])
        assert answer.headers[f"x-ratelimit-limit-{measure}"] == str(tightest["limit"])
        assert answer.headers[f"x-ratelimit-remaining-{measure}"] == str(tightest["remaining"])


@pytest.mark.parametrize("path", ["/user/limits", "/user/limit"])
async def test_key_and_account_are_told_and_agree_with_the_headers(
    gateway: RunningGateway, tenant: Tenants, make_model: Models, path: str
) -> None:
    customer, model = tenant(limits=LIMITS), make_model("tokens=5")
    holder = owner_of(gateway, customer)
    run_sql(customer.database_url, SET_KEY, customer.key_id)
    for number in range(3):
        answer = await holder.call("GET", path)
        assert answer.status == 200, answer.raw
        _assert_agrees_with_headers(answer)
        assert answer.json["key"]["requests_per_minute"] == _used(30, number + 1, answer.json["key"])
        assert answer.json["account"]["requests_per_minute"]["used"] == number + 1
    assert (await holder.complete(model)).status == 200
    answer = await holder.call("GET", path)
    _assert_agrees_with_headers(answer)
    key, account = answer.json["key"], answer.json["account"]
    assert key["concurrency"] == {"limit": 3, "used": 0, "remaining": 3}
    assert account["concurrency"] == {"limit": 8, "used": 0, "remaining": 8}
    assert key["max_requests"] == {"limit": 40, "used": 1, "remaining": 39}
    assert account["day"]["requests"] == {"limit": 50, "used": 1, "remaining": 49}
    assert account["month"]["requests"] == {"limit": None, "used": 1, "remaining": None}
    used_tokens = account["tokens_per_minute"]["used"]
    assert used_tokens > 0
    assert account["day"]["tokens"] == {"limit": 10_000, "used": used_tokens, "remaining": 10_000 - used_tokens}
    assert account["month"]["tokens"] == {"limit": 90_000, "used": used_tokens, "remaining": 90_000 - used_tokens}
    (line,) = customer.books.usage_lines()
    spent = f"0.{line.charged_nanos:09d}"
    assert (key["spend"]["limit"], key["spend"]["spent"], key["spend"]["period"]) == ("2.000000000", spent, "month")
    assert key["spend"]["resets_at"] == account["month"]["resets_at"]


def _used(limit: int, used: int, key: dict[str, Any]) -> dict[str, int]:
    return {"limit": limit, "used": used, "remaining": limit - used, "reset_s": key["requests_per_minute"]["reset_s"]}


async def test_without_limits_nothing_is_limited(gateway: RunningGateway, tenant: Tenants) -> None:
    told = await read(owner_of(gateway, tenant()), "/user/limits")
    for who in ("key", "account"):
        for measure in ("requests_per_minute", "tokens_per_minute", "concurrency"):
            assert (told[who][measure]["limit"], told[who][measure]["remaining"]) == (None, None)
    assert told["key"]["max_requests"]["limit"] is None
    assert told["key"]["spend"] is None
    assert told["account"]["day"]["requests"]["limit"] is None


async def test_asking_uses_up_neither_the_plan_nor_the_key(gateway: RunningGateway, tenant: Tenants) -> None:
    customer = tenant(limits=PlanLimits(requests_per_day=1))
    holder = owner_of(gateway, customer)
    run_sql(customer.database_url, "update gateway.api_keys set max_requests = 0 where id = %s", customer.key_id)
    for _ in range(3):
        told = await read(holder, "/user/limits")
    assert told["account"]["day"]["requests"] == {"limit": 1, "used": 0, "remaining": 1}
    assert told["key"]["max_requests"] == {"limit": 0, "used": 0, "remaining": 0}


async def test_without_redis_the_limits_are_told_and_not_what_is_used(start_gateway: Gateways, tenant: Tenants) -> None:
    gateway = start_gateway(UPSTASH_REDIS_REST_URL="http://127.0.0.1:1")
    told = await read(owner_of(gateway, tenant(limits=LIMITS)), "/user/limits")
    nothing_known = {"limit": 100, "used": None, "remaining": None, "reset_s": None}
    assert told["account"]["requests_per_minute"] == nothing_known
    assert told["account"]["day"]["requests"] == {"limit": 50, "used": 0, "remaining": 50}
