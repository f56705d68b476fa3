"""Resend's package over our own session, against the stack's catcher; and the signatures of Resend's events."""

import asyncio
import time
from collections.abc import AsyncIterator

import aiohttp
import msgspec
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from infra.local.environment import RESEND_WEBHOOK_SECRET
from shared.clients.http_session import open_session
from shared.clients.resend import (
    Bounce,
    InvalidSignature,
    MailRefused,
    OutgoingMail,
    Resend,
    ResendUnavailable,
    open_resend,
    read_bounce,
)
from shared.core.integrations import MailSettings
from tests.harness.mail import MailCatcher, resend_event, signed

TO = "ada@example.com"
MAIL = OutgoingMail(
    to=TO, subject="A subject", text="text", html="<p>html</p>", headers={"List-Unsubscribe": "<https://x>"},
    idempotency_key="mail-1",
)  # fmt: skip
PERMANENT = {"bounce": {"type": "Permanent", "subType": "General", "message": "no such user"}}


def settings(url: str, key: str = "re_test", sender: str = "Gateway <g@example.com>") -> MailSettings:
    return MailSettings(api_key=key, sender=sender, webhook_secret=None, api_url=url)


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with open_session() as opened:
        yield opened


@pytest.fixture
def resend(session: aiohttp.ClientSession, mail_catcher: MailCatcher) -> Resend:
    return Resend(session, settings(mail_catcher.url), deadline_s=2.0)


async def test_a_mail_leaves_whole(resend: Resend, mail_catcher: MailCatcher) -> None:
    resend_id = await resend.send(MAIL)
    (caught,) = mail_catcher.mails(TO)
    assert caught["id"] == resend_id
    assert (caught["from"], caught["to"], caught["subject"]) == ("Gateway <g@example.com>", [TO], "A subject")
    assert (caught["text"], caught["html"], caught["headers"]) == ("text", "<p>html</p>", MAIL.headers)
    assert caught["idempotency_key"] == "mail-1"


async def test_the_same_mail_again_is_one_mail(resend: Resend, mail_catcher: MailCatcher) -> None:
    assert await resend.send(MAIL) == await resend.send(MAIL)
    assert (len(mail_catcher.mails()), mail_catcher.asked) == (1, 2)


async def test_a_key_that_was_used_for_another_text_was_sent_already(resend: Resend, mail_catcher: MailCatcher) -> None:
    await resend.send(MAIL)
    assert await resend.send(msgspec.structs.replace(MAIL, text="as a newer version says it")) is None
    assert len(mail_catcher.mails()) == 1


@pytest.mark.parametrize("status", [401, 403, 404, 429, 500, 502, 503])
async def test_what_waiting_or_the_operator_may_mend_is_tried_again(
    resend: Resend, mail_catcher: MailCatcher, status: int
) -> None:
    mail_catcher.fail(status=status, times=1, retry_after_s=7)
    with pytest.raises(ResendUnavailable, match=str(status)) as failure:
        await resend.send(MAIL)
    assert failure.value.retry_after_s == 7
    assert await resend.send(MAIL) is not None


@pytest.mark.parametrize("status", [400, 422])
async def test_what_is_wrong_with_the_mail_is_not_tried_again(
    resend: Resend, mail_catcher: MailCatcher, status: int
) -> None:
    mail_catcher.fail(status=status)
    with pytest.raises(MailRefused, match=str(status)):
        await resend.send(MAIL)


async def test_a_sender_that_resend_does_not_take_is_the_operators_to_mend(
    session: aiohttp.ClientSession, mail_catcher: MailCatcher
) -> None:
    with pytest.raises(ResendUnavailable, match="invalid_from_address"):
        await Resend(session, settings(mail_catcher.url, sender="no@address@at@all")).send(MAIL)


async def test_nobody_waits_longer_than_the_deadline(session: aiohttp.ClientSession, mail_catcher: MailCatcher) -> None:
    mail_catcher.fail(delay_s=5)
    began_s = time.monotonic()
    with pytest.raises(ResendUnavailable, match="in time"):
        await Resend(session, settings(mail_catcher.url), deadline_s=0.2).send(MAIL)
    assert time.monotonic() - began_s < 2


async def test_a_connection_that_breaks_after_the_mail_was_taken_does_not_send_it_twice(
    resend: Resend, mail_catcher: MailCatcher
) -> None:
    mail_catcher.fail(drops_answer=True, times=1)
    with pytest.raises(ResendUnavailable):
        await resend.send(MAIL)
    await resend.send(MAIL)
    assert len(mail_catcher.mails()) == 1


NOT_RESENDS = (
    "<html>", "", "null", "[]", "[1]", '"id"', "7", "{", '{"id": 7}', "{}", '{"name": ["x"], "message": {}}',
    '{"statusCode": "abc", "name": null, "message": null}', '{"name": "To: ada@example.com", "message": "no"}',
    '{"statusCode": [], "id": 7}', '{"id": ' + '[' * 100_000,
)  # fmt: skip


@pytest.mark.parametrize("body", NOT_RESENDS)
@pytest.mark.parametrize("kind", ["application/json", "text/html"])
@pytest.mark.parametrize("status", [200, 302, 400, 422, 429, 500])
async def test_an_answer_that_is_none_of_resends_neither_sends_a_mail_nor_ends_it(
    session: aiohttp.ClientSession, status: int, kind: str, body: str
) -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(status=status, text=body, content_type=kind, headers={"Location": "/x"})

    app = web.Application()
    app.router.add_post("/emails", answer)
    async with TestServer(app, host="127.0.0.1") as server:
        with pytest.raises(ResendUnavailable) as failure:
            await Resend(session, settings(str(server.make_url("")).rstrip("/"))).send(MAIL)
    assert not failure.value.is_refused
    assert TO not in str(failure.value)


@pytest.mark.parametrize("given", ["Wed, 21 Oct 2026 07:28:00 GMT", "-1", "1.5", "9" * 5000, ""])
async def test_a_pause_that_is_no_number_is_none(session: aiohttp.ClientSession, given: str) -> None:
    async def answer(_: web.Request) -> web.Response:
        said = {"statusCode": 429, "name": "rate_limit_exceeded", "message": "m"}
        return web.json_response(said, status=429, headers={"Retry-After": given})

    app = web.Application()
    app.router.add_post("/emails", answer)
    async with TestServer(app, host="127.0.0.1") as server:
        with pytest.raises(ResendUnavailable, match="429 rate_limit_exceeded") as failure:
            await Resend(session, settings(str(server.make_url("")).rstrip("/"))).send(MAIL)
    assert (failure.value.retry_after_s, failure.value.is_refused) == (None, True)


async def test_what_resend_quotes_is_not_repeated(resend: Resend, mail_catcher: MailCatcher) -> None:
    mail_catcher.fail(status=422, message=f"Invalid `to` field: {TO}")
    with pytest.raises(MailRefused) as failure:
        await resend.send(MAIL)
    assert str(failure.value) == "422 validation_error"


async def test_two_accounts_at_once_send_each_by_its_own(session: aiohttp.ClientSession) -> None:
    seen: list[tuple[str, str]] = []

    async def take(request: web.Request) -> web.Response:
        body = await request.json()
        await asyncio.sleep(0.01)
        seen.append((request.headers["Authorization"], body["from"]))
        return web.json_response({"id": body["from"]})

    app = web.Application()
    app.router.add_post("/emails", take)
    async with TestServer(app, host="127.0.0.1") as server:
        url = str(server.make_url("")).rstrip("/")
        accounts = [Resend(session, settings(url, key=f"re_{n}", sender=f"g{n}@example.com")) for n in range(10)]
        answers = await asyncio.gather(*(account.send(MAIL) for account in accounts for _ in range(5)))
    assert answers == [f"g{n}@example.com" for n in range(10) for _ in range(5)]
    assert set(seen) == {(f"Bearer re_{n}", f"g{n}@example.com") for n in range(10)}


async def test_without_settings_there_is_nobody_to_send(session: aiohttp.ClientSession) -> None:
    assert open_resend(session, None) is None


@pytest.mark.parametrize(
    ("body", "bounce"),
    [
        (resend_event("email.bounced", TO, **PERMANENT), Bounce((TO,), "bounce")),
        (resend_event("email.complained", TO), Bounce((TO,), "complaint")),
        (resend_event("email.bounced", TO, bounce={"type": "Transient", "message": "full"}), None),
        (resend_event("email.bounced", TO), None),
        (resend_event("email.delivered", TO), None),
        (b'{"type": "contact.created", "data": {"email": "x"}}', None),
        (b'{"type": "email.bounced", "data": 7}', None),
        (b"[]", None),
        (b"7", None),
    ],
)
def test_only_what_is_for_good_is_a_bounce(body: bytes, bounce: Bounce | None) -> None:
    assert read_bounce(body, signed(body), RESEND_WEBHOOK_SECRET) == bounce


BODY = resend_event("email.complained", TO)
OTHER_SECRET = "whsec_c29tZWJvZHkgZWxzZSdzIHNlY3JldA=="


@pytest.mark.parametrize(
    "headers",
    [
        {},
        signed(BODY, secret=OTHER_SECRET),
        signed(BODY + b" "),
        signed(BODY, at=int(time.time()) - 301),
        signed(BODY, at=int(time.time()) + 600),
        {**signed(BODY), "svix-timestamp": str(int(time.time()) - 1)},
        {**signed(BODY), "svix-id": "msg_2"},
        {**signed(BODY), "svix-timestamp": "soon"},
        {**signed(BODY), "svix-signature": "v1,"},
        {**signed(BODY), "svix-signature": "v1,\xe9"},
        {**signed(BODY), "svix-signature": ""},
    ],
    ids=["none", "another secret", "another body", "old", "early", "moved on", "another id", "no time", "empty",
         "not ASCII", "no signature"],
)  # fmt: skip
def test_a_forged_or_an_old_event_is_refused(headers: dict[str, str]) -> None:
    with pytest.raises(InvalidSignature):
        read_bounce(BODY, headers, RESEND_WEBHOOK_SECRET)


def test_an_event_that_is_no_text_or_no_json_is_refused() -> None:
    for body in (b"\xff", b"{", b""):
        with pytest.raises(InvalidSignature):
            read_bounce(body, signed(body), RESEND_WEBHOOK_SECRET)


def test_of_several_signatures_one_is_enough() -> None:
    """So that the secret can be rolled."""
    headers = signed(BODY)
    both = {**headers, "svix-signature": f"v1,bm90aGluZw== {headers['svix-signature']}"}
    assert read_bounce(BODY, both, RESEND_WEBHOOK_SECRET) is not None
