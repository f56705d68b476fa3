"""Whose address a request has: on every platform the one that the platform vouches for, in every function."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest
from multidict import CIMultiDict

from tests.deploy.same_answers import JSON, Question, Target, put
from tests.functions.auth.client import PATH as SIGN_IN
from tests.functions.chat.client import HELLO, PATH
from tests.functions.keys.client import GIVE_ALL_SCOPES, run_sql
from tests.harness.privy import PrivyTokens, new_privy_id
from tests.harness.tenants import Models, Tenants

# Another of the addresses that this machine has for itself.
CLIENT_ADDRESS = "127.0.0.2"
# Where the request would come from if any of these were believed.
FORGED_ADDRESS = "203.0.113.7"
FORGED = {
    "X-Forwarded-For": FORGED_ADDRESS,
    "X-Real-IP": FORGED_ADDRESS,
    "Forwarded": f"for={FORGED_ADDRESS}",
    "X-Vercel-Forwarded-For": FORGED_ADDRESS,
    "X-Vercel-Proxied-For": FORGED_ADDRESS,
    "X-Amzn-Request-Context": json.dumps(
        {"http": {"sourceIp": FORGED_ADDRESS}, "identity": {"sourceIp": FORGED_ADDRESS}}
    ),
}
READ_SIGN_INS = """
    select host(address) from gateway.audit_log as line join gateway.accounts as account on account.id = line.account_id
     where account.privy_id = %s and line.event = 'user_signed_in' order by line.id
"""


@dataclass(frozen=True, slots=True)
class Door:
    """A route that a key bound to addresses may use from there alone, with what is sent to it."""

    method: str
    path: str
    body: Mapping[str, object] = field(default_factory=dict)


OTHER_DOORS = (
    Door("GET", "/v1/key"),
    Door("POST", "/user/api-keys", {"name": "a key"}),
    Door("GET", "/user/balance"),
    Door("GET", "/user/plan"),
)


async def test_an_address_that_a_client_claims_is_not_believed_by_chat(
    anywhere: Target, tenant: Tenants, make_model: Models
) -> None:
    await check_addresses(anywhere, Door("POST", PATH, {"model": make_model().id, "messages": HELLO}), tenant)


@pytest.mark.parametrize("door", OTHER_DOORS, ids=lambda door: door.path)
async def test_an_address_that_a_client_claims_is_not_believed_elsewhere(
    whole: Target, tenant: Tenants, door: Door
) -> None:
    await check_addresses(whole, door, tenant)


async def check_addresses(place: Target, door: Door, tenant: Tenants) -> None:
    # The platform's own parts talk to each other from 127.0.0.1, so that address would be one hop too late.
    allowed = {CLIENT_ADDRESS: True, "127.0.0.1": False, FORGED_ADDRESS: False}
    customers = {address: tenant() for address in allowed}
    for address, customer in customers.items():
        customer.allow_addresses(f"{address}/32")
        run_sql(customer.database_url, GIVE_ALL_SCOPES, customer.key_id)
    for times in (1, 2):
        for address, customer in customers.items():
            body = {**door.body, "name": f"key {times}"} if "name" in door.body else dict(door.body)
            question = Question("forged", door.method, door.path, forged(customer.headers, times), body or None)
            answer = await put(question, place.url, source_address=CLIENT_ADDRESS)
            told = answer.status if answer.status < 300 else answer.error["code"]
            assert told in ((200, 201) if allowed[address] else ("address_not_allowed",)), address


async def test_a_sign_in_is_noted_with_the_address_that_the_platform_vouches_for(
    whole: Target, privy: PrivyTokens, database_url: str
) -> None:
    who = new_privy_id()
    for times in (1, 2):
        question = Question("sign-in", "POST", SIGN_IN, forged({}, times), {"token": privy.access(who)})
        assert (await put(question, whole.url, source_address=CLIENT_ADDRESS)).status == 200
    assert run_sql(database_url, READ_SIGN_INS, who) == [(CLIENT_ADDRESS,)] * 2


def forged(headers: Mapping[str, str], times: int) -> CIMultiDict[str]:
    """Return headers that claim another address; one sent twice must not get through as the one not looked at."""
    return CIMultiDict([*JSON.items(), *list(FORGED.items()) * times, *headers.items()])
