"""What a request sends at once: whatever becomes of it, the request has succeeded."""

import secrets
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from infra.local.stack import LocalStack
from shared.clients.database import Database
from shared.clients.http_session import open_session
from shared.clients.resend import open_resend
from shared.core.ids import AccountId
from shared.core.integrations import MailSettings, PublicSettings
from shared.flows.send_email import MailMeans, open_mail_means, send_at_once
from tests.functions.keys.client import run_sql
from tests.harness.mail import MailCatcher
from tests.harness.tenants import Tenants

SET_ADDRESS = "update gateway.accounts set email = %s, email_normalised = %s where id = %s"
PUT_MAIL = "select gateway.put_mail(%s, 'payment_received', %s, 'k', gateway.clock())"
FACTS = '{"payment_id": "pi_1", "kind": "credits", "received_cents": 2500}'


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with open_session() as opened:
        yield opened


@pytest.fixture
def account_id(stack: LocalStack, tenant: Tenants) -> AccountId:
    """Somebody to whom one mail is to be sent."""
    made, address = tenant().account_id, f"at-once-{secrets.token_hex(6)}@example.com"
    run_sql(stack.database_url, SET_ADDRESS, address, address, made)
    run_sql(stack.database_url, "delete from gateway.outbox where account_id = %s", made)
    run_sql(stack.database_url, PUT_MAIL, made, FACTS)
    return AccountId(made)


def means_of(stack: LocalStack, session: aiohttp.ClientSession, mail_url: str, secret: Any) -> MailMeans:
    settings = MailSettings("re_1", "g@gateway.test", webhook_secret=None, api_url=mail_url)
    database = Database(session, url=stack.supabase_url, key=stack.credentials.secret_key)
    public = PublicSettings("http://127.0.0.1:1", "http://127.0.0.1:1/console")
    return open_mail_means(database, open_resend(session, settings), public, (secret,))


async def test_a_bug_is_logged_once_and_nobodys_request_fails(
    stack: LocalStack,
    session: aiohttp.ClientSession,
    account_id: AccountId,
    mail_catcher: MailCatcher,
    capsys: pytest.CaptureFixture[str],
) -> None:
    # As if something were wrong with us: nothing can be signed with this.
    assert not await send_at_once(means_of(stack, session, mail_catcher.url, None), account_id)
    assert capsys.readouterr().out.count("mail_crashed") == 1
    run_sql(stack.database_url, "update gateway.outbox set due_at = gateway.clock() where account_id = %s", account_id)
    assert await send_at_once(means_of(stack, session, mail_catcher.url, "a secret"), account_id)
    assert mail_catcher.asked == 1
