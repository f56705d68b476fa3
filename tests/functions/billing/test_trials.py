"""POST /trials/start and GET /trials/status over HTTP."""

import asyncio
import secrets
from collections import Counter
from datetime import datetime, timedelta
from decimal import Decimal

import aiohttp
import pytest

from infra.local.stack import LocalStack
from tests.functions.billing.people import STATUS, TRIAL, Crowd, signed_in
from tests.functions.chat.client import TIMEOUT
from tests.functions.keys.client import Holder, outcome, run_sql
from tests.harness.gateways import RunningGateway
from tests.harness.mail import MailCatcher
from tests.harness.privy import PrivyTokens, new_privy_id
from tests.harness.tenants import Models, Tenants

TEN_DOLLARS = "10.000000000"
READ_EMAIL = "select email from gateway.accounts where id = %s"


@pytest.fixture
def crowd(seller: RunningGateway, tenant: Tenants) -> Crowd:
    return Crowd(seller, tenant)


async def test_a_trial_is_shown_before_it_when_it_starts_and_in_the_balance(crowd: Crowd) -> None:
    person = crowd()
    terms = {"days": 3, "amount": TEN_DOLLARS}
    before = await person.read(STATUS)
    assert before == {
        "object": "trial", "state": "none", "started_at": None, "ends_at": None, "amount": None,
        "remaining": "0.000000000", "terms": terms,
    }  # fmt: skip
    started = await person.start_trial()
    assert started.status == 200, started.raw
    assert (started.json["state"], started.json["amount"], started.json["remaining"]) == (
        "active",
        TEN_DOLLARS,
        TEN_DOLLARS,
    )
    length = datetime.fromisoformat(started.json["ends_at"]) - datetime.fromisoformat(started.json["started_at"])
    assert length == timedelta(days=3)
    assert await person.read(STATUS) == await person.read("/trial/status") == started.json
    balance = await person.read("/user/balance")
    assert (balance["status"], balance["available"], balance["trial"]["ends_at"]) == (
        "trial",
        TEN_DOLLARS,
        started.json["ends_at"],
    )


async def test_the_public_terms_are_those_of_the_trial(seller: RunningGateway, crowd: Crowd) -> None:
    started = (await crowd().start_trial()).json
    async with (
        aiohttp.ClientSession(timeout=TIMEOUT) as session,
        session.get(f"{seller.url}/plans") as answer,
    ):
        plans = await answer.json()
    assert plans["trial"] == started["terms"] == {"days": 3, "amount": started["amount"]}


async def test_a_trial_pays_for_a_completion(crowd: Crowd, make_model: Models) -> None:
    person, model = crowd(), make_model("tokens=5")
    assert outcome(await person.holder.complete(model)) == "insufficient_credits"
    await person.start_trial()
    assert outcome(await person.holder.complete(model)) == 200
    assert Decimal((await person.read(STATUS))["remaining"]) < 10


async def test_its_mail_is_sent_before_the_answer(crowd: Crowd, mail_catcher: MailCatcher) -> None:
    person = crowd()
    await person.start_trial()
    ((address,),) = run_sql(person.database_url, READ_EMAIL, person.account_id)
    assert [subject for subject in mail_catcher.subjects(address) if "trial" in subject.lower()]


async def test_a_second_trial_is_refused_with_what_to_do_instead(crowd: Crowd) -> None:
    person = crowd()
    await person.start_trial()
    refused = await person.start_trial()
    assert (refused.status, refused.error["code"]) == (409, "trial_already_used")
    assert "/billing/checkout" in refused.error["message"]
    assert refused.headers["x-should-retry"] == "false"
    assert person.gifts == [("trial", 10_000_000_000)]


async def test_the_same_request_again_is_answered_alike(crowd: Crowd) -> None:
    person, key = crowd(), {"Idempotency-Key": "start-my-trial"}
    first, again = [await person.start_trial(key) for _ in range(2)]
    assert (first.status, again.status) == (200, 200)
    assert ("Idempotent-Replayed" in first.headers, again.headers.get("Idempotent-Replayed")) == (False, "true")
    assert again.json == first.json
    assert outcome(await person.start_trial({"Idempotency-Key": "another"})) == "trial_already_used"


async def test_a_person_without_a_verified_address_signs_in_with_an_identity_token_first(
    seller: RunningGateway, privy: PrivyTokens, database_url: str
) -> None:
    privy_id = new_privy_id()
    person = await signed_in(seller, privy, database_url, privy_id=privy_id)
    refused = await person.start_trial()
    assert (refused.status, refused.error["code"]) == (403, "verified_email_required")
    assert "identity token" in refused.error["message"]
    person = await signed_in(
        seller, privy, database_url, privy_id=privy_id, mailbox=f"{secrets.token_hex(8)}@example.com"
    )
    assert outcome(await person.start_trial()) == 200


async def test_an_account_without_a_sign_in_has_no_trial(crowd: Crowd) -> None:
    refused = await crowd(is_known=False).start_trial()
    assert (refused.status, refused.error["code"]) == (403, "person_unknown")


async def test_deletion_does_not_buy_a_second_one(
    seller: RunningGateway, privy: PrivyTokens, database_url: str
) -> None:
    """Each time a new address of the same mailbox."""
    privy_id, mailbox = new_privy_id(), secrets.token_hex(8)
    first = await signed_in(seller, privy, database_url, privy_id=privy_id, mailbox=f"{mailbox}@example.com")
    assert outcome(await first.start_trial()) == 200
    answer = await first.holder.call("DELETE", "/user/account", {"confirmation": "DELETE_ACCOUNT"})
    assert outcome(answer) == 204
    for again_as in (privy_id, new_privy_id()):
        again = await signed_in(
            seller, privy, database_url, privy_id=again_as, mailbox=f"{mailbox.upper()}+again@example.com"
        )
        assert again.account_id != first.account_id
        assert outcome(await again.start_trial()) == "trial_already_used"
        assert again.gifts == []


async def test_many_starts_at_once_over_two_accounts_give_one_trial(crowd: Crowd) -> None:
    mailbox = f"{secrets.token_hex(8)}@example.com"
    people = [crowd(mailbox=mailbox) for _ in range(2)]
    answers = await asyncio.gather(*(person.start_trial() for _ in range(20) for person in people))
    assert Counter(map(outcome, answers)) == {200: 1, "trial_already_used": 39}
    assert sum(len(person.gifts) for person in people) == 1


async def test_who_may_not_is_told_that_whatever_he_sends(
    seller: RunningGateway, stack: LocalStack, crowd: Crowd
) -> None:
    nobody = Holder(seller, "gw_live_" + "x" * 43)
    assert (await nobody.call("POST", TRIAL, {"n": 1})).status == 401
    person = crowd()
    run_sql(
        stack.database_url,
        "update gateway.api_keys set scopes = '{billing:read}' where account_id = %s",
        person.account_id,
    )
    assert outcome(await person.start_trial()) == "missing_scope"
    assert (await person.read(STATUS))["state"] == "none"
    run_sql(
        stack.database_url,
        "update gateway.api_keys set scopes = '{billing:write}' where account_id = %s",
        person.account_id,
    )
    assert outcome(await person.holder.call("GET", STATUS)) == "missing_scope"


@pytest.mark.parametrize("body", [{"days": 30}, {"amount": "1000"}, [], "x"])
async def test_nobody_chooses_what_his_trial_is(crowd: Crowd, body: object) -> None:
    person = crowd()
    assert (await person.holder.call("POST", TRIAL, body)).status == 400
    assert person.gifts == []


async def test_a_body_is_not_needed(crowd: Crowd) -> None:
    assert outcome(await crowd().holder.call("POST", TRIAL)) == 200
