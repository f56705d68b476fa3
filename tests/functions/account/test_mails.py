"""E-mail as an owner meets it: the test mail, bounces that Resend tells, and links that end a kind of mail."""

import asyncio
import re
import secrets
import time
from dataclasses import dataclass

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from infra.local.stack import LocalStack
from shared.core.ids import AccountId
from shared.notifications.links import Subscription, unsubscribe_url
from tests.functions.account.client import read, run_sql
from tests.functions.auth.client import sign_in
from tests.functions.chat.client import TIMEOUT, Answer
from tests.functions.keys.client import Holder, outcome, owner_of
from tests.harness.gateways import Gateways, RunningGateway
from tests.harness.mail import MailCatcher, resend_event, signed
from tests.harness.privy import PrivyTokens, new_privy_id
from tests.harness.tenants import Tenants

TEST = "/user/notifications/test"
PREFERENCES = "/user/notifications/preferences"
PERMANENT = {"bounce": {"type": "Permanent", "subType": "General", "message": "no such user"}}
AGE_MAILS = "update gateway.outbox set created_at = created_at - interval '1 minute' where account_id = %s"
PUT_MAIL = "select gateway.put_mail(%s, 'payment_received', '{}', %s, gateway.clock())"
COUNT_MAILS = "select count(*) from gateway.outbox where account_id = %s and template = 'payment_received'"
WITHOUT_RESEND = dict.fromkeys(("RESEND_API_KEY", "EMAIL_FROM", "RESEND_WEBHOOK_SECRET", "RESEND_URL"))


@dataclass(frozen=True, slots=True)
class Someone:
    """A person who has signed in with an address."""

    account_id: int
    address: str
    holder: Holder

    @property
    def database_url(self) -> str:
        """The database for the owner of the tables."""
        return self.holder.gateway.stack.database_url

    def is_written_to(self, key: str) -> bool:
        """Tell whether a mail about a payment is written down for him."""
        run_sql(self.database_url, PUT_MAIL, self.account_id, key)
        ((count,),) = run_sql(self.database_url, COUNT_MAILS, self.account_id)
        run_sql(self.database_url, "delete from gateway.outbox where account_id = %s", self.account_id)
        return bool(count)


@pytest.fixture
async def someone(gateway: RunningGateway, privy: PrivyTokens) -> Someone:
    privy_id, address = new_privy_id(), f"ada{secrets.token_hex(6)}@example.com"
    answer = await sign_in(gateway, identity_token=privy.identity(privy_id, address))
    assert answer.status == 200, answer.raw
    account_id = int(answer.json["user"]["id"].removeprefix("user_"))
    return Someone(account_id, address, Holder(gateway, privy.access(privy_id)))


async def send(gateway: RunningGateway, method: str, path: str, body: bytes = b"", **headers: str) -> Answer:
    async with (
        aiohttp.ClientSession(timeout=TIMEOUT) as session,
        session.request(method, gateway.url + path, data=body, headers=headers) as response,
    ):
        return Answer(response.status, response.headers.copy(), await response.read())


def link_of(someone: Someone, category: str = "payments") -> str:
    secret = someone.holder.gateway.stack.credentials.gateway_secret
    return unsubscribe_url("", Subscription(AccountId(someone.account_id), category), secret)  # type: ignore[arg-type]


async def test_a_test_mail_is_there_at_once_and_so_is_the_welcome(someone: Someone, mail_catcher: MailCatcher) -> None:
    answer = await someone.holder.call("POST", TEST)
    assert (answer.status, answer.json) == (202, {"object": "email", "to": someone.address})
    assert sorted(mail_catcher.subjects(someone.address)) == ["A test", "Welcome to the AI Gateway"]
    (welcome,) = [mail for mail in mail_catcher.mails(someone.address) if mail["subject"].startswith("Welcome")]
    assert f"{someone.holder.gateway.url}/v1" in welcome["text"]


async def test_a_second_one_has_to_wait_a_minute(someone: Someone, mail_catcher: MailCatcher) -> None:
    await someone.holder.call("POST", TEST)
    refused = await someone.holder.call("POST", TEST)
    assert (refused.status, refused.error["code"]) == (429, "test_email_too_soon")
    assert 0 < int(refused.headers["Retry-After"]) <= 60
    run_sql(someone.database_url, AGE_MAILS, someone.account_id)
    assert (await someone.holder.call("POST", TEST)).status == 202
    assert mail_catcher.subjects(someone.address).count("A test") == 2


async def test_many_at_once_send_one(someone: Someone, mail_catcher: MailCatcher) -> None:
    answers = await asyncio.gather(*(someone.holder.call("POST", TEST) for _ in range(8)))
    assert sorted(answer.status for answer in answers) == [202] + [429] * 7
    assert mail_catcher.subjects(someone.address).count("A test") == 1


async def test_the_same_request_again_is_answered_as_the_first_and_sends_nothing(
    someone: Someone, mail_catcher: MailCatcher
) -> None:
    again = {"Idempotency-Key": "once"}
    answers = [await someone.holder.call("POST", TEST, headers=again) for _ in range(2)]
    assert [(answer.status, answer.json["to"]) for answer in answers] == [(202, someone.address)] * 2
    assert answers[1].headers["Idempotent-Replayed"] == "true"
    assert mail_catcher.subjects(someone.address).count("A test") == 1
    other = await someone.holder.call("POST", TEST, {"x": 1}, headers=again)
    assert outcome(other) == "idempotency_key_reused"


async def test_resend_being_away_is_not_the_callers_fault(someone: Someone, mail_catcher: MailCatcher) -> None:
    mail_catcher.fail(delay_s=20)
    began_s = time.monotonic()
    answer = await someone.holder.call("POST", TEST)
    assert answer.status == 202
    assert time.monotonic() - began_s < 6


async def test_whoever_answers_in_resends_place_fails_nobodys_request(
    start_gateway: Gateways, privy: PrivyTokens
) -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.json_response(None)

    app = web.Application()
    app.router.add_post("/emails", answer)
    async with TestServer(app, host="127.0.0.1") as server:
        gateway = start_gateway(RESEND_URL=str(server.make_url("")).rstrip("/"))
        privy_id = new_privy_id()
        await sign_in(gateway, identity_token=privy.identity(privy_id, f"ada{secrets.token_hex(6)}@example.com"))
        answered = await Holder(gateway, privy.access(privy_id)).call("POST", TEST)
    assert answered.status == 202
    assert "mail_not_sent" in gateway.log_text()


async def test_who_has_no_address_is_told_how_to_have_one(
    gateway: RunningGateway, tenant: Tenants, mail_catcher: MailCatcher
) -> None:
    answer = await owner_of(gateway, tenant()).call("POST", TEST)
    assert (answer.status, answer.error["code"]) == (409, "no_email_address")
    assert mail_catcher.asked == 0


async def test_without_resend_the_routes_say_so(start_gateway: Gateways, tenant: Tenants) -> None:
    poor = start_gateway(**WITHOUT_RESEND)
    answer = await owner_of(poor, tenant()).call("POST", TEST)
    assert (answer.status, answer.error["code"]) == (501, "not_configured")
    event = await send(poor, "POST", "/webhooks/resend", b"{}")
    assert (event.status, event.error["code"]) == (501, "not_configured")


@pytest.mark.parametrize(("kind", "data"), [("email.bounced", PERMANENT), ("email.complained", {})])
async def test_who_bounced_or_complained_is_written_to_no_more(
    gateway: RunningGateway, someone: Someone, kind: str, data: dict[str, object]
) -> None:
    assert someone.is_written_to("before")
    body = resend_event(kind, someone.address.upper(), **data)
    for _ in range(2):
        answer = await send(gateway, "POST", "/webhooks/resend", body, **signed(body))
        assert (answer.status, answer.json) == (200, {"received": True})
    assert not someone.is_written_to("after")
    refused = await someone.holder.call("POST", TEST)
    assert (refused.status, refused.error["code"]) == (409, "email_address_bounced")
    assert someone.address not in gateway.log_text()


async def test_a_full_mailbox_is_no_reason_to_stop(gateway: RunningGateway, someone: Someone) -> None:
    body = resend_event("email.bounced", someone.address, bounce={"type": "Transient", "message": "full"})
    assert (await send(gateway, "POST", "/webhooks/resend", body, **signed(body))).status == 200
    assert someone.is_written_to("after")


async def test_another_address_is_written_to_again(
    gateway: RunningGateway, privy: PrivyTokens, mail_catcher: MailCatcher
) -> None:
    privy_id, first, second = new_privy_id(), "gone@example.com", f"new{secrets.token_hex(6)}@example.com"
    await sign_in(gateway, identity_token=privy.identity(privy_id, first))
    body = resend_event("email.bounced", first, **PERMANENT)
    await send(gateway, "POST", "/webhooks/resend", body, **signed(body))
    await sign_in(gateway, identity_token=privy.identity(privy_id, second))
    assert (await Holder(gateway, privy.access(privy_id)).call("POST", TEST)).status == 202
    assert "A test" in mail_catcher.subjects(second)
    assert mail_catcher.subjects(first) == []


async def test_a_forged_or_an_old_event_changes_nothing(gateway: RunningGateway, someone: Someone) -> None:
    body = resend_event("email.complained", someone.address)
    old = signed(body, at=int(time.time()) - 400)
    forged = signed(body, secret="whsec_c29tZWJvZHkgZWxzZSdzIHNlY3JldA==")
    changed = signed(resend_event("email.delivered", someone.address))
    for headers in ({}, old, forged, changed):
        answer = await send(gateway, "POST", "/webhooks/resend", body, **headers)
        assert (answer.status, answer.error["code"]) == (400, "invalid_signature")
    assert someone.is_written_to("after")


async def test_an_event_while_the_database_is_away_is_sent_again(
    stack: LocalStack, gateway: RunningGateway, someone: Someone
) -> None:
    body = resend_event("email.complained", someone.address)
    with stack.without("postgrest"):
        assert (await send(gateway, "POST", "/webhooks/resend", body, **signed(body))).status == 503
    assert (await send(gateway, "POST", "/webhooks/resend", body, **signed(body))).status == 200
    assert not someone.is_written_to("after")


async def test_looking_at_a_link_changes_nothing_and_its_button_does(gateway: RunningGateway, someone: Someone) -> None:
    link = link_of(someone)
    page = await send(gateway, "GET", link)
    assert (page.status, page.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert "payments and plans" in page.raw.decode()
    assert (await read(someone.holder, PREFERENCES))["emails"]["payments"] is True
    action = re.search(r'<form method="post" action="([^"]+)"', page.raw.decode())
    assert action is not None
    done = await send(gateway, "POST", f"/unsubscribe{action[1]}")
    assert done.status == 200
    emails = (await read(someone.holder, PREFERENCES))["emails"]
    assert [kind for kind, wanted in emails.items() if not wanted] == ["payments", "news"]
    assert not someone.is_written_to("after")


async def test_a_mail_programs_own_button_needs_one_request(
    gateway: RunningGateway, someone: Someone, mail_catcher: MailCatcher
) -> None:
    await someone.holder.make(name="told of")
    await someone.holder.call("POST", TEST)
    (told,) = [mail for mail in mail_catcher.mails(someone.address) if mail["subject"] == "A new API key was made"]
    assert told["headers"]["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    link = told["headers"]["List-Unsubscribe"].strip("<>")
    assert link.startswith(f"{gateway.url}/unsubscribe?token=")
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    path = link.removeprefix(gateway.url)
    assert (await send(gateway, "POST", path, b"List-Unsubscribe=One-Click", **form)).status == 200
    assert (await read(someone.holder, PREFERENCES))["emails"]["keys"] is False


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_link_that_is_not_ours_changes_nothing(gateway: RunningGateway, someone: Someone, method: str) -> None:
    for path in (link_of(someone)[:-1], link_of(someone).replace(".payments.", ".keys."), "/unsubscribe",
                 "/unsubscribe?token=%00%ff<script>"):  # fmt: skip
        answer = await send(gateway, method, path)
        assert answer.status == 400
        assert b"not one of ours" in answer.raw
        assert b"<script>" not in answer.raw
    emails = (await read(someone.holder, PREFERENCES))["emails"]
    assert [kind for kind, wanted in emails.items() if not wanted] == ["news"]


async def test_the_page_asks_nobody_else_and_is_kept_by_nobody(gateway: RunningGateway, someone: Someone) -> None:
    page = await send(gateway, "GET", link_of(someone))
    assert page.headers["Cache-Control"] == "no-store"
    assert page.headers["Referrer-Policy"] == "no-referrer"
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in page.headers["Content-Security-Policy"]


async def test_a_link_of_an_account_that_is_gone_is_answered_as_any_other(
    gateway: RunningGateway, someone: Someone
) -> None:
    deleted = await someone.holder.call("DELETE", "/user/account", {"confirmation": "DELETE_ACCOUNT"})
    assert deleted.status == 204
    assert (await send(gateway, "POST", link_of(someone))).status == 200


async def test_a_link_of_an_older_secret_still_works(
    stack: LocalStack, start_gateway: Gateways, someone: Someone
) -> None:
    newest = "a secret that took the place of the older one"
    rotated = start_gateway(SECRET_KEY=f"{newest},{stack.credentials.gateway_secret}")
    assert (await send(rotated, "POST", link_of(someone))).status == 200
    assert not someone.is_written_to("after")
