"""A purge's bounds: as many calls as it takes, and none begun after its time."""

from collections.abc import AsyncIterator

import aiohttp
import pytest

from infra.local.stack import LocalStack
from shared.clients.database import Database
from shared.flows.purge import PurgeMeans, purge
from shared.history.chats import History
from shared.ledger.store import Ledger
from shared.ranking.books import RankingBooks
from tests.functions.keys.client import owner_of, run_sql
from tests.harness.gateways import RunningGateway
from tests.harness.tenants import Tenant, Tenants

SESSIONS = "/v1/chat/sessions"
MESSAGES_LEFT = "select count(*)::int from gateway.chat_messages where account_id = %s"


@pytest.fixture
async def means(stack: LocalStack, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[PurgeMeans]:
    """What a purge works on that takes two messages at a call; nothing that others deleted is left."""
    async with aiohttp.ClientSession() as session:
        database = Database(session, url=stack.supabase_url, key=stack.credentials.secret_key, deadline_s=20)
        opened = PurgeMeans(history=History(database), ledger=Ledger(database), ranking=RankingBooks(database))
        await purge(opened)
        monkeypatch.setattr("shared.flows.purge.MESSAGES_A_CALL", 2)
        yield opened


@pytest.fixture
async def customer(gateway: RunningGateway, tenant: Tenants) -> Tenant:
    """Somebody who has deleted a chat of five messages."""
    made = tenant()
    owner = owner_of(gateway, made)
    path = f"{SESSIONS}/{(await owner.call('POST', SESSIONS, {})).json['id']}"
    for _ in range(5):
        assert (await owner.call("POST", f"{path}/messages", {"role": "user", "content": "a"})).status == 201
    assert (await owner.call("DELETE", path)).status == 204
    return made


def messages_left(customer: Tenant) -> int:
    ((count,),) = run_sql(customer.database_url, MESSAGES_LEFT, customer.account_id)
    return int(count)


async def test_a_purge_goes_on_until_nothing_is_left(means: PurgeMeans, customer: Tenant) -> None:
    # The chat counts in each of the three calls that take of it.
    assert (await purge(means)).history_erased == 5 + 3
    assert messages_left(customer) == 0


async def test_no_call_is_begun_when_the_time_is_over_and_the_next_purge_goes_on(
    means: PurgeMeans, customer: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.flows.purge.MAX_S", 0.0)
    assert [(await purge(means)).history_erased for _ in range(2)] == [3, 3]
    assert messages_left(customer) == 1


async def test_a_purge_has_a_most_of_rounds(
    means: PurgeMeans, customer: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.flows.purge.MAX_ROUNDS", 2)
    assert (await purge(means)).history_erased == 6
    assert messages_left(customer) == 1
