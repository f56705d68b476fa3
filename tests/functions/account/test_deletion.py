"""DELETE /user/account: every way in is shut, nothing says whose it was, and the books stay as they were."""

import asyncio
import secrets
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from infra.local.stack import LocalStack
from shared.flows.remembered_people import person_fingerprints
from tests.functions.account.client import change, read, run_sql
from tests.functions.auth.client import sign_in
from tests.functions.keys.client import KEYS, Holder, outcome, owner_of
from tests.harness.books import AccountBooks
from tests.harness.gateways import RunningGateway
from tests.harness.privy import PrivyTokens, new_privy_id
from tests.harness.simulator import Simulator
from tests.harness.tenants import Models, Tenants

DELETE = {"confirmation": "DELETE_ACCOUNT"}
READ_TABLES = "select 'gateway.' || tablename from pg_tables where schemaname = 'gateway'"
READ_REMEMBERED = "select gift, kind from gateway.remembered_people where person_hmac = decode(%s, 'hex')"
READ_LEFT = """
    select status, deleted_at is not null, privy_id, email, name, preferences::text, external_id,
           (select count(*) from gateway.key_secrets join gateway.api_keys as key on key.id = key_id
             where key.account_id = account.id),
           (select count(*) from gateway.api_keys where account_id = account.id and (is_active or name <> 'deleted')),
           (select count(*) from gateway.replays where account_id = account.id and answer is not null),
           (select count(*) from gateway.receipts where account_id = account.id)
      from gateway.accounts as account where id = %s
"""
EVENTS = "select actor, event from gateway.audit_log where account_id = %s order by id desc limit 1"
COUNT_SECRETS = """
    select count(*) from gateway.key_secrets join gateway.api_keys as key on key.id = key_id where key.account_id = %s
"""


@dataclass(frozen=True, slots=True)
class Someone:
    """A person who has signed in, with his first key."""

    privy_id: str
    mailbox: str
    account_id: int
    session: Holder
    key: Holder


@pytest.fixture
async def someone(gateway: RunningGateway, privy: PrivyTokens) -> Someone:
    privy_id, mailbox = new_privy_id(), f"ada{secrets.token_hex(6)}@example.com"
    answer = await sign_in(gateway, identity_token=privy.identity(privy_id, mailbox))
    assert answer.status == 200, answer.raw
    return Someone(
        privy_id=privy_id,
        mailbox=mailbox,
        account_id=int(answer.json["user"]["id"].removeprefix("user_")),
        session=Holder(gateway, privy.access(privy_id)),
        key=Holder(gateway, answer.json["api_key"]),
    )


def tables_with(stack: LocalStack, text: str) -> Iterator[str]:
    """Name the tables of which a row has this text anywhere, in whatever case, or in hexadecimal."""
    for (table,) in run_sql(stack.database_url, READ_TABLES):
        statement = f"select count(*) from {table} as line where line::text ilike %s or line::text ilike %s"
        ((count,),) = run_sql(stack.database_url, statement, f"%{text}%", f"%{text.encode().hex()}%")
        if count:
            yield table


async def _delete(holder: Holder) -> str | int:
    return outcome(await holder.call("DELETE", "/user/account", DELETE))


async def test_keys_die_at_once_everywhere_though_the_limiter_knew_them(someone: Someone) -> None:
    scopes = ["inference", "account:read", "keys:read"]
    made = await someone.session.make(name="another", scopes=scopes)
    for holder in (someone.session, someone.key, made):
        await read(holder, "/user/profile")
    assert await _delete(someone.session) == 204
    for holder, code in (
        (someone.session, "sign_in_required"),
        (someone.key, "invalid_api_key"),
        (made, "invalid_api_key"),
    ):
        calls = [
            holder.call("GET", path) for path in ("/user/balance", "/v1/key", KEYS, "/v1/generations/gen_" + "0" * 32)
        ]
        answers = [*await asyncio.gather(*calls), await holder.complete("openai/gpt-5-mini")]
        assert {(answer.status, answer.error["code"]) for answer in answers} == {(401, code)}


async def test_nothing_says_whose_it_was(
    someone: Someone, stack: LocalStack, make_model: Models, privy: PrivyTokens
) -> None:
    name, key_name = f"Ada {secrets.token_hex(6)}", f"laptop {secrets.token_hex(6)}"
    # Nobody else's: other tests' people have addresses and domains too.
    address = f"198.18.{100 + secrets.randbelow(100)}.{100 + secrets.randbelow(100)}"
    domain = f"ada-{secrets.token_hex(6)}.example.org"
    await change(someone.session, "PATCH", "/user/profile", name=name, preferences={"called": name})
    await someone.session.create(
        name=key_name,
        ip_allowlist=[address],
        allowed_domains=[domain],
        headers={"Idempotency-Key": "k"},
    )
    run_sql(stack.database_url, "select api.credit_account(%s, 1000000000, 'purchase', 'x')", someone.account_id)
    answer = await someone.key.complete(make_model("tokens=2"), headers={"Idempotency-Key": "kept"})
    assert answer.status == 200
    personal = (someone.privy_id, someone.mailbox, someone.mailbox.split("@")[0], name, key_name, address)
    for text in personal:
        assert list(tables_with(stack, text)), text
    books = AccountBooks(stack.database_url, someone.account_id)
    lines = books.usage_lines()
    assert await _delete(someone.session) == 204
    for text in (*personal, domain):
        assert list(tables_with(stack, text)) == [], text
    left = run_sql(stack.database_url, READ_LEFT, someone.account_id)
    assert left == [("deleted", True, None, None, None, "{}", None, 0, 0, 0, 0)]
    assert (books.usage_lines(), books.broken_rules()) == (lines, [])
    assert run_sql(stack.database_url, EVENTS, someone.account_id) == [("user", "account_deleted")]


async def test_who_had_a_trial_is_remembered_by_what_our_secret_makes_of_him_and_nobody_else_is(
    someone: Someone, stack: LocalStack
) -> None:
    secret = stack.credentials.gateway_secret
    fingerprints = {
        "privy_id": person_fingerprints("privy_id", someone.privy_id, [secret])[0],
        "email": person_fingerprints("email", someone.mailbox, [secret])[0],
    }
    assert len(set(fingerprints.values())) == 2
    for fingerprint in fingerprints.values():
        assert run_sql(stack.database_url, READ_REMEMBERED, fingerprint) == []
    assert outcome(await someone.session.call("POST", "/trials/start")) == 200
    assert await _delete(someone.session) == 204
    for kind, fingerprint in fingerprints.items():
        assert run_sql(stack.database_url, READ_REMEMBERED, fingerprint) == [("trial", kind)]


async def test_who_was_given_nothing_leaves_nothing_by_which_he_is_known(someone: Someone, stack: LocalStack) -> None:
    secret = stack.credentials.gateway_secret
    assert await _delete(someone.session) == 204
    known = person_fingerprints("privy_id", someone.privy_id, [secret])
    assert run_sql(stack.database_url, READ_REMEMBERED, known[0]) == []


async def test_who_signs_in_again_is_someone_new(
    someone: Someone, gateway: RunningGateway, privy: PrivyTokens, stack: LocalStack
) -> None:
    for _ in range(2):
        assert await _delete(someone.session) in (204, 401)
        again = await sign_in(gateway, identity_token=privy.identity(someone.privy_id, someone.mailbox))
        assert (again.status, again.json["is_new_user"]) == (200, True)
        assert again.json["user"]["id"] != f"user_{someone.account_id}"
        assert (await read(someone.session, "/user/profile"))["id"] == again.json["user"]["id"]
    assert outcome(await someone.key.call("GET", "/v1/key")) == "invalid_api_key"
    assert AccountBooks(stack.database_url, someone.account_id).broken_rules() == []


async def test_who_owes_is_told_how_much_and_what_to_do(
    gateway: RunningGateway, tenant: Tenants, make_model: Models, stack: LocalStack
) -> None:
    customer = tenant(credit_nanos=10**9)
    owner = owner_of(gateway, customer)
    assert (await owner.complete(make_model("tokens=3"))).status == 200
    run_sql(stack.database_url, "select api.credit_account(%s, -1000000000, 'admin', 'back')", customer.account_id)
    owed = (await read(owner, "/user/balance"))["owed"]
    refused = await owner.call("DELETE", "/user/account", DELETE)
    assert (refused.status, refused.error["code"]) == (409, "account_owes")
    assert f"owes {owed} US dollars" in refused.error["message"]
    run_sql(stack.database_url, "select api.credit_account(%s, 1000000000, 'purchase', 'paid')", customer.account_id)
    assert await _delete(owner) == 204


async def test_deleting_again_finds_no_one(gateway: RunningGateway, tenant: Tenants) -> None:
    customer = tenant()
    owner = owner_of(gateway, customer)
    assert [await _delete(owner) for _ in range(3)] == [204, "invalid_api_key", "invalid_api_key"]
    assert customer.books.broken_rules() == []


async def test_of_many_deletions_at_once_one_deletes(someone: Someone, stack: LocalStack) -> None:
    outcomes = await asyncio.gather(*(_delete(holder) for holder in [someone.session, someone.key] * 6))
    assert outcomes.count(204) == 1
    assert set(outcomes) == {204, "sign_in_required", "invalid_api_key"}
    events = "select count(*) from gateway.audit_log where account_id = %s and event = 'account_deleted'"
    assert run_sql(stack.database_url, events, someone.account_id) == [(1,)]


async def test_no_key_that_is_made_meanwhile_outlives_the_account(
    gateway: RunningGateway, tenant: Tenants, stack: LocalStack
) -> None:
    for _ in range(5):
        customer = tenant()
        owner = owner_of(gateway, customer)
        await read(owner, "/user/profile")
        makings = [owner.create(name=f"key {number}") for number in range(8)]
        answers = await asyncio.gather(*makings[:4], owner.call("DELETE", "/user/account", DELETE), *makings[4:])
        assert [answer.status for answer in answers].count(204) == 1
        assert run_sql(stack.database_url, COUNT_SECRETS, customer.account_id) == [(0,)]
        keys = [Holder(gateway, answer.json["api_key"]) for answer in answers if answer.status == 201]
        assert {outcome(await key.call("GET", "/v1/key")) for key in keys} <= {"invalid_api_key"}


async def test_a_request_under_way_is_paid_for_and_leaves_no_answer(
    gateway: RunningGateway, tenant: Tenants, make_model: Models, simulator: Simulator, stack: LocalStack
) -> None:
    gate = f"leaving-{secrets.token_hex(4)}"
    customer, model = tenant(), make_model(f"tokens=5,gate={gate}")
    owner = owner_of(gateway, customer)
    request = asyncio.create_task(owner.complete(model, headers={"Idempotency-Key": "last"}))
    await asyncio.to_thread(simulator.wait_for, 1, model.upstream_model)
    assert await _delete(owner) == 204
    simulator.open_gate(gate)
    assert (await request).status == 200
    (line,) = customer.books.usage_lines()
    assert line.charged_nanos > 0
    kept = "select count(*) from gateway.replays where account_id = %s and answer is not null"
    assert run_sql(stack.database_url, kept, customer.account_id) == [(0,)]
    assert customer.books.broken_rules() == []


@pytest.mark.parametrize(
    "body", [{}, {"confirmation": "delete_account"}, {"confirmation": True}, {**DELETE, "force": True}, None]
)
async def test_without_its_words_nothing_is_deleted(gateway: RunningGateway, tenant: Tenants, body: object) -> None:
    owner = owner_of(gateway, tenant())
    answer = await owner.call("DELETE", "/user/account", body)
    assert (answer.status, answer.error["code"]) == (400, "invalid_request")
    assert (await read(owner, "/user/profile"))["status"] == "active"
