"""Coupons and referrals over HTTP."""

import asyncio
import secrets
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from infra.local.stack import LocalStack
from tests.functions.billing.customer import Customer, Market
from tests.functions.billing.people import (
    APPLY,
    HISTORY,
    REDEEM,
    REFERRAL,
    SET_PERSON,
    Crowd,
    Person,
    make_coupon,
    signed_in,
)
from tests.functions.keys.client import Holder, outcome, run_sql
from tests.harness.gateways import Gateways, RunningGateway
from tests.harness.privy import PrivyTokens, new_privy_id
from tests.harness.tenants import Tenants
from tests.harness.wire import Fault, Wire

REWARD, LEAST = "5.000000000", "10.000000000"


@pytest.fixture
def crowd(seller: RunningGateway, tenant: Tenants) -> Crowd:
    return Crowd(seller, tenant)


async def test_a_coupon_is_redeemed_and_stands_in_the_history(crowd: Crowd, database_url: str) -> None:
    person, code = crowd(), make_coupon(database_url)
    answer = await person.redeem(f"  {code.upper()} ")
    assert answer.status == 200, answer.raw
    assert answer.json == {
        "id": answer.json["id"], "object": "coupon_redemption", "code": code, "amount": "2.500000000",
        "expires_at": None, "redeemed_at": answer.json["redeemed_at"],
    }  # fmt: skip
    assert (await person.read("/user/balance"))["available"] == "2.500000000"
    assert await person.read(HISTORY) == {"object": "list", "data": [answer.json], "has_more": False, "next": None}
    assert await crowd().read(HISTORY) == {"object": "list", "data": [], "has_more": False, "next": None}


async def test_the_history_is_read_a_page_at_a_time(crowd: Crowd, database_url: str) -> None:
    person, codes = crowd(), [make_coupon(database_url) for _ in range(3)]
    for code in codes:
        await person.redeem(code)
    first = await person.read(f"{HISTORY}?limit=2")
    assert ([each["code"] for each in first["data"]], first["has_more"]) == (codes[:0:-1], True)
    rest = await person.read(f"{HISTORY}?limit=2&after={first['next']}")
    assert ([each["code"] for each in rest["data"]], rest["has_more"], rest["next"]) == (codes[:1], False, None)


async def test_what_is_refused_says_why_and_what_to_do(crowd: Crowd, database_url: str) -> None:
    person, code, used_up = crowd(), make_coupon(database_url), make_coupon(database_url, most=1)
    await person.redeem(code)
    await crowd().redeem(used_up)
    over = make_coupon(database_url)
    run_sql(database_url, "update gateway.coupons set expires_at = now() where code = %s", over)
    cases = {
        code: (409, "coupon_already_redeemed"),
        used_up: (409, "coupon_used_up"),
        over: (409, "coupon_expired"),
        "nobodys": (404, "unknown_coupon"),
        "a b; c": (404, "unknown_coupon"),
    }
    for given, expected in cases.items():
        refused = await person.redeem(given)
        assert (refused.status, refused.error["code"], refused.error["param"]) == (*expected, "code")
        assert refused.headers["x-should-retry"] == "false"
    assert person.gifts == [("promo", 2_500_000_000)]


@pytest.mark.parametrize(
    "body",
    [{}, {"code": ""}, {"code": "   "}, {"code": 7}, {"code": None}, {"code": "x" * 65}, {"code": "a\x00b"},
     {"code": "\ud800"}, {"code": "abc", "amount": 5}, [], "abc"],
)  # fmt: skip
@pytest.mark.parametrize("path", [REDEEM, APPLY, "/referral/code"])
async def test_what_is_no_code_is_a_bad_request(crowd: Crowd, path: str, body: object) -> None:
    answer = await crowd().holder.call("POST", path, body)
    assert (answer.status, answer.error["code"]) == (400, "invalid_request")


async def test_the_same_request_again_redeems_once(crowd: Crowd, database_url: str) -> None:
    person, code, key = crowd(), make_coupon(database_url), {"Idempotency-Key": "redeem-it"}
    first, again = [await person.redeem(code, key) for _ in range(2)]
    assert (first.json, again.headers.get("Idempotent-Replayed")) == (again.json, "true")
    assert outcome(await person.redeem(make_coupon(database_url), key)) == "idempotency_key_reused"
    assert len(person.gifts) == 1


async def test_an_answer_of_the_database_that_is_lost_is_not_a_refusal(
    stack: LocalStack, start_gateway: Gateways, open_wire: Callable[[str], Wire], tenant: Tenants, database_url: str
) -> None:
    """The database has redeemed the coupon and the connection breaks: our own second attempt finds what was made."""
    wire = open_wire(stack.supabase_url)
    gateway = start_gateway(SUPABASE_URL=wire.url)
    person, code = Crowd(gateway, tenant)(), make_coupon(database_url)
    await person.read(HISTORY)
    lost = Fault(drops_answer=True, matches=lambda exchange: "redeem_coupon" in exchange.path)
    with wire.broken(lost, times=1):
        assert outcome(await person.redeem(code)) == 200
    assert len(wire.exchanges("redeem_coupon")) == 2
    assert len(person.gifts) == 1


async def test_of_200_redemptions_at_once_of_a_coupon_for_10_ten_are_made(crowd: Crowd, database_url: str) -> None:
    """Two hundred people; who is told that we were too slow asks again under his Idempotency-Key."""
    code, people = make_coupon(database_url, most=10), crowd.many(200)
    outcomes = Counter(await asyncio.gather(*(_redeem_to_the_end(person, code) for person in people)))
    assert outcomes == {200: 10, "coupon_used_up": 190}
    assert sum(len(person.gifts) for person in people) == 10
    assert run_sql(database_url, "select redemptions from gateway.coupons where code = %s", code) == [(10,)]


async def _redeem_to_the_end(person: Person, code: str) -> str | int:
    for _ in range(5):
        answer = await person.redeem(code, {"Idempotency-Key": "redeem"})
        if answer.status != 503:
            break
        await asyncio.sleep(1)
    return outcome(answer)


async def test_a_deleted_account_does_not_redeem_twice(
    seller: RunningGateway, privy: PrivyTokens, database_url: str
) -> None:
    code, privy_id = make_coupon(database_url), new_privy_id()
    mailbox = f"{secrets.token_hex(8)}@example.com"
    first = await signed_in(seller, privy, database_url, privy_id=privy_id, mailbox=mailbox)
    assert outcome(await first.redeem(code)) == 200
    assert outcome(await first.holder.call("DELETE", "/user/account", {"confirmation": "DELETE_ACCOUNT"})) == 204
    again = await signed_in(seller, privy, database_url, privy_id=privy_id, mailbox=mailbox)
    assert outcome(await again.redeem(code)) == "coupon_already_redeemed"


async def test_who_has_no_verified_address_is_given_nothing_and_comes_by_his_code_once_he_has(
    seller: RunningGateway, privy: PrivyTokens, crowd: Crowd, database_url: str
) -> None:
    code, privy_id = (await crowd().read(REFERRAL))["code"], new_privy_id()
    person = await signed_in(seller, privy, database_url, privy_id=privy_id, referral_code=code)
    assert outcome(await person.redeem(make_coupon(database_url))) == "verified_email_required"
    assert outcome(await person.apply(code)) == "verified_email_required"
    assert (await person.read(REFERRAL))["applied"] is None
    await signed_in(seller, privy, database_url, privy_id=privy_id, mailbox=f"{secrets.token_hex(8)}@example.com")
    assert (await person.read(REFERRAL))["applied"]["code"] == code


async def test_a_code_that_could_not_be_written_down_at_the_sign_in_is_at_the_next(
    stack: LocalStack,
    start_gateway: Gateways,
    open_wire: Callable[[str], Wire],
    privy: PrivyTokens,
    crowd: Crowd,
) -> None:
    code, privy_id, wire = (await crowd().read(REFERRAL))["code"], new_privy_id(), open_wire(stack.supabase_url)
    gateway, mailbox = start_gateway(SUPABASE_URL=wire.url), f"{secrets.token_hex(8)}@example.com"
    with wire.broken(Fault(status=503, matches=lambda exchange: "apply_referral" in exchange.path)):
        person = await signed_in(
            gateway, privy, stack.database_url, privy_id=privy_id, mailbox=mailbox, referral_code=code
        )
    assert wire.exchanges("apply_referral")
    await signed_in(gateway, privy, stack.database_url, privy_id=privy_id, mailbox=mailbox)
    assert (await person.read(REFERRAL))["applied"]["code"] == code


async def test_who_refers_and_who_is_referred_are_both_rewarded_by_a_purchase(market: Market, crowd: Crowd) -> None:
    referrer, buyer = crowd(), market.customer()
    address = f"{secrets.token_hex(8)}@example.com"
    run_sql(buyer.tenant.database_url, SET_PERSON, new_privy_id(), address, address, buyer.tenant.account_id)
    told = await referrer.read(REFERRAL)
    assert told["terms"] == {"reward": REWARD, "least_purchase": LEAST}
    answer = await _apply(buyer, told["code"].upper())
    assert (answer["applied"]["code"], answer["applied"]["is_rewarded"]) == (told["code"], False)
    buyer.pay(await buyer.order(kind="credits", amount="10.00"))
    assert ("referral", 5_000_000_000) in Person(buyer.holder, buyer.tenant.account_id, buyer.tenant.database_url).gifts
    assert referrer.gifts == [("referral", 5_000_000_000)]
    told = await referrer.read(REFERRAL)
    assert (told["referred"], told["earned"]) == ({"count": 1, "rewarded": 1}, REWARD)
    assert (await buyer.read(REFERRAL))["applied"]["is_rewarded"] is True


async def _apply(buyer: Customer, code: str) -> dict[str, Any]:
    answer = await buyer.holder.call("POST", APPLY, {"code": code})
    assert answer.status == 200, answer.raw
    return answer.json


async def test_a_code_that_came_with_the_sign_in_is_shown_and_counts(
    seller: RunningGateway, privy: PrivyTokens, crowd: Crowd, database_url: str
) -> None:
    code, privy_id = (await crowd().read(REFERRAL))["code"], new_privy_id()
    mailbox = f"{secrets.token_hex(8)}@example.com"
    person = await signed_in(seller, privy, database_url, privy_id=privy_id, mailbox=mailbox, referral_code=code)
    assert (await person.read(REFERRAL))["applied"]["code"] == code
    assert outcome(await person.apply((await crowd().read(REFERRAL))["code"])) == "referral_already_applied"


async def test_who_has_come_by_a_code_before_he_left_comes_by_none_again(
    seller: RunningGateway, privy: PrivyTokens, crowd: Crowd, database_url: str
) -> None:
    code, privy_id = (await crowd().read(REFERRAL))["code"], new_privy_id()
    mailbox = f"{secrets.token_hex(8)}@example.com"
    for number in range(2):
        person = await signed_in(seller, privy, database_url, privy_id=privy_id, mailbox=mailbox, referral_code=code)
        assert ((await person.read(REFERRAL))["applied"] is None) == (number == 1)
        await person.holder.call("DELETE", "/user/account", {"confirmation": "DELETE_ACCOUNT"})


async def test_codes_that_do_not_count_are_refused(crowd: Crowd) -> None:
    person, referrer = crowd(), crowd()
    own, code = [(await each.read(REFERRAL))["code"] for each in (person, referrer)]
    assert outcome(await person.apply("ffffffffff")) == "unknown_referral_code"
    assert outcome(await person.apply(own)) == "own_referral_code"
    assert outcome(await person.holder.call("POST", "/referral/code", {"code": code})) == 200
    assert outcome(await person.apply(code)) == "referral_already_applied"
    late = crowd()
    run_sql(late.database_url, "select api.credit_account(%s, 1, 'purchase', 'x')", late.account_id)
    assert outcome(await late.apply(code)) == "referral_too_late"


@pytest.mark.parametrize(("method", "path"), [("POST", REDEEM), ("GET", HISTORY), ("GET", REFERRAL), ("POST", APPLY)])
async def test_who_may_not_is_told_so_before_anything_else(
    seller: RunningGateway, crowd: Crowd, method: str, path: str
) -> None:
    nobody = Holder(seller, "gw_live_" + secrets.token_hex(10))
    assert (await nobody.call(method, path, {"no": "code"} if method == "POST" else None)).status == 401
    person = crowd()
    run_sql(
        person.database_url,
        "update gateway.api_keys set scopes = '{inference}' where account_id = %s",
        person.account_id,
    )
    body = {"code": "abc"} if method == "POST" else None
    assert outcome(await person.holder.call(method, path, body)) == "missing_scope"
