"""Closed months are copied to a bucket that moto plays; nothing counts as copied that was not read back as it is."""

import gzip
import json
import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from moto.server import ThreadedMotoServer

from infra.local.ports import LOOPBACK, choose_free_ports
from infra.local.stack import LocalStack
from shared.clients.database import Database
from shared.clients.object_store import ObjectStore, open_object_store
from shared.core.errors import StoreUnavailable
from shared.core.integrations import ArchiveSettings
from shared.flows.archive_months import ArchiveMeans, CopyDiffers, archive_months
from shared.operations.archives import Archives
from tests.functions.chat.client import ask
from tests.functions.keys.client import Holder, run_sql
from tests.harness.gateways import Gateways, RunningGateway
from tests.harness.tenants import Models, Tenant, Tenants
from tests.harness.threaded_proxy import ThreadedProxy

CRON_SECRET = "a cron secret of the tests"
JOB, AS_SCHEDULER = "/internal/jobs/archive", {"Authorization": f"Bearer {CRON_SECRET}"}
PUT_INTO_ANOTHER_MONTH = """
    alter table gateway.transfers disable trigger transfers_append_only;
    update gateway.transfers set created_at = '{at}' where account_id = {account_id};
    alter table gateway.transfers enable trigger transfers_append_only;
    update gateway.usage_lines set created_at = '{at}' where account_id = {account_id};
"""
FORGET = "delete from gateway.archive_parts"
COUNT_NOTED = "select count(*), coalesce(sum(rows), 0) from gateway.archive_parts"
ROWS = 3


class Liar(ThreadedProxy):
    """What speaks as S3 does, and gives back something else than it was given."""

    def __init__(self, content: bytes) -> None:
        super().__init__("liar")
        self._content = content

    async def answer(self, request: web.BaseRequest, session: aiohttp.ClientSession) -> web.StreamResponse:
        await request.read()
        return web.Response(body=self._content if request.method == "GET" else b"", headers={"ETag": '"e"'})


@pytest.fixture(scope="module")
def moto_url() -> Iterator[str]:
    (port,) = choose_free_ports(1)
    server = ThreadedMotoServer(ip_address=LOOPBACK, port=port, verbose=False)
    server.start()
    yield f"http://{LOOPBACK}:{port}"
    server.stop()


@pytest.fixture
def bucket(moto_url: str) -> ArchiveSettings:
    settings = _settings(moto_url, f"archive-{secrets.token_hex(6)}")
    store = open_object_store(settings)
    assert store is not None
    store._client.create_bucket(Bucket=settings.bucket)
    return settings


@pytest.fixture
async def archives(stack: LocalStack) -> AsyncIterator[Archives]:
    """What is to be archived: nothing counts as copied yet."""
    run_sql(stack.database_url, FORGET)
    async with aiohttp.ClientSession() as session:
        yield Archives(Database(session, url=stack.supabase_url, key=stack.credentials.secret_key, deadline_s=20))


@pytest.fixture
async def customer(gateway: RunningGateway, tenant: Tenants, make_model: Models) -> Tenant:
    """Somebody whose three requests were answered two months ago."""
    customer, model = tenant(), make_model("tokens=3")
    for _ in range(3):
        assert (await ask(gateway, customer, model)).status == 200
    at = (datetime.now(UTC).replace(day=15) - timedelta(days=60)).isoformat()
    for statement in PUT_INTO_ANOTHER_MONTH.format(at=at, account_id=customer.account_id).strip().split(";")[:-1]:
        run_sql(customer.database_url, statement)
    return customer


def _settings(url: str, bucket: str) -> ArchiveSettings:
    return ArchiveSettings(
        bucket=bucket, region="us-east-1", access_key_id="a key", secret_access_key="its secret", url=url
    )


def _open(settings: ArchiveSettings) -> ObjectStore:
    store = open_object_store(settings)
    assert store is not None
    return store


def _stored(settings: ArchiveSettings) -> dict[str, bytes]:
    """Return what lies in the bucket, unpacked."""
    client = _open(settings)._client
    keys = [each["Key"] for each in client.list_objects_v2(Bucket=settings.bucket).get("Contents", ())]
    return {key: gzip.decompress(client.get_object(Bucket=settings.bucket, Key=key)["Body"].read()) for key in keys}


def _lines(stored: dict[str, bytes], kind: str, customer: Tenant) -> list[dict[str, Any]]:
    lines = [json.loads(line) for key, text in stored.items() if key.startswith(kind) for line in text.splitlines()]
    return [line for line in lines if line["account_id"] == customer.account_id]


async def test_each_row_of_closed_months_lies_in_the_bucket_once(
    archives: Archives, bucket: ArchiveSettings, customer: Tenant
) -> None:
    means = ArchiveMeans(archives, _open(bucket))
    counts = await archive_months(means, rows_a_part=ROWS)
    stored = _stored(bucket)
    assert counts.parts_archived == len(stored) > 2
    assert counts.rows_archived == sum(len(text.splitlines()) for text in stored.values())
    usage, transfers = _lines(stored, "usage", customer), _lines(stored, "ledger", customer)
    charged = {line.generation_id: line.charged_nanos for line in customer.books.usage_lines()}
    assert {line["generation_id"]: line["charged_nanos"] for line in usage} == charged
    assert len(usage) == len(charged) == 3
    assert len({line["id"] for line in transfers}) == len(transfers) >= 4
    paid = sum(line["amount_nanos"] for line in transfers if line["debit_account"] == customer.account_id)
    assert paid == sum(charged.values())
    again = await archive_months(means, rows_a_part=ROWS)
    assert (again.parts_archived, _stored(bucket)) == (0, stored)
    # What was copied stays where it is.
    assert len(customer.books.usage_lines()) == 3
    assert customer.books.broken_rules() == []


async def test_no_month_that_is_not_closed_is_copied(
    archives: Archives, bucket: ArchiveSettings, customer: Tenant
) -> None:
    await archive_months(ArchiveMeans(archives, _open(bucket)))
    months = {key.split("/")[1] for key in _stored(bucket)}
    assert months
    assert max(months) < f"{datetime.now(UTC) - timedelta(days=1):%Y-%m}"


@contextmanager
def _lying(content: bytes) -> Iterator[str]:
    liar = Liar(content).open()
    try:
        yield liar.url
    finally:
        liar.close()


@pytest.mark.parametrize("content", [gzip.compress(b""), gzip.compress(b'{"id": 1}\n')], ids=["nothing", "another"])
async def test_a_copy_that_is_read_back_as_something_else_does_not_count(
    stack: LocalStack, archives: Archives, customer: Tenant, bucket: ArchiveSettings, content: bytes
) -> None:
    with _lying(content) as url, pytest.raises(CopyDiffers):
        await archive_months(ArchiveMeans(archives, _open(_settings(url, "any"))), rows_a_part=ROWS)
    assert run_sql(stack.database_url, COUNT_NOTED) == [(0, 0)]
    assert (await archive_months(ArchiveMeans(archives, _open(bucket)))).rows_archived >= 7


@pytest.mark.parametrize("content", [b"no gzip", gzip.compress(b"torn")[:-4], b""], ids=["no gzip", "torn", "empty"])
async def test_a_copy_that_cannot_be_read_does_not_count(
    stack: LocalStack, archives: Archives, customer: Tenant, content: bytes
) -> None:
    with _lying(content) as url, pytest.raises((StoreUnavailable, CopyDiffers)):
        await archive_months(ArchiveMeans(archives, _open(_settings(url, "any"))))
    assert run_sql(stack.database_url, COUNT_NOTED) == [(0, 0)]


async def test_a_bucket_that_is_not_there_fails_aloud_and_nothing_counts(
    stack: LocalStack, archives: Archives, customer: Tenant, moto_url: str
) -> None:
    with pytest.raises(StoreUnavailable):
        await archive_months(ArchiveMeans(archives, _open(_settings(moto_url, "no-such-bucket"))))
    assert run_sql(stack.database_url, COUNT_NOTED) == [(0, 0)]


async def test_the_job_archives_where_a_bucket_is_named_and_nothing_anywhere_else(
    archives: Archives, bucket: ArchiveSettings, customer: Tenant, start_gateway: Gateways
) -> None:
    nowhere = Holder(start_gateway(CRON_SECRET=CRON_SECRET), "")
    told = (await nowhere.call("POST", JOB, headers=AS_SCHEDULER)).json
    assert told == {"job": "archive", "parts_archived": 0, "rows_archived": 0}
    named = {"BUCKET": bucket.bucket, "REGION": bucket.region, "URL": bucket.url}
    named |= {"ACCESS_KEY_ID": bucket.access_key_id, "SECRET_ACCESS_KEY": bucket.secret_access_key}
    variables = {f"ARCHIVE_{name}": each for name, each in named.items()}
    there = Holder(start_gateway(CRON_SECRET=CRON_SECRET, **variables), "")
    told = (await there.call("POST", JOB, headers=AS_SCHEDULER)).json
    assert told["rows_archived"] >= 7
    assert len(_lines(_stored(bucket), "usage", customer)) == 3
