"""The job that ranks: all hours that are behind, and beside them what another source tells, while it can be reached."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from infra.local.stack import LocalStack
from shared.clients.database import Database
from shared.clients.upstream import Upstream
from shared.core.settings import ScheduledSettings
from shared.core.variables import SettingsError
from shared.flows.inference import ConfiguredProvider
from shared.flows.rank_models import RankingMeans, rank_models
from shared.providers.openrouter import OPENROUTER
from shared.ranking.books import RankingBooks
from tests.functions.keys.client import run_sql
from tests.shared.core.test_settings import STORES

YESTERDAY = datetime.now(UTC).date() - timedelta(days=1)
READ_PLACES = "select name, tokens from gateway.rankings where source = 'openrouter' and period = 'day' order by rank"


class Dataset:
    """Answers as OpenRouter does, or as the test says, and keeps what it was asked."""

    def __init__(self) -> None:
        self.status = 200
        self.body: bytes | None = None
        self.asked: list[tuple[dict[str, str], str]] = []

    async def serve(self, request: web.Request) -> web.Response:
        self.asked.append((dict(request.query), request.headers["Authorization"]))
        return web.Response(status=self.status, body=self.body)

    def tell(self, **tokens: int) -> None:
        rows = [
            {"date": YESTERDAY.isoformat(), "model_permaslug": name, "total_tokens": str(count)}
            for name, count in tokens.items()
        ]
        self.body = json.dumps({"data": rows, "meta": {"as_of": "2026-11-23T02:00:00Z"}}).encode()


@pytest.fixture
def dataset() -> Dataset:
    return Dataset()


@pytest.fixture
async def means(stack: LocalStack, dataset: Dataset) -> AsyncIterator[RankingMeans]:
    app = web.Application()
    app.add_routes([web.get("/api/v1/datasets/rankings-daily", dataset.serve)])
    async with TestServer(app) as server, aiohttp.ClientSession() as session:
        yield RankingMeans(
            books=RankingBooks(Database(session, url=stack.supabase_url, key=stack.credentials.secret_key)),
            upstream=Upstream(session),
            openrouter=ConfiguredProvider(OPENROUTER, str(server.make_url("/api/v1")), "a key"),
        )
    run_sql(stack.database_url, "delete from gateway.rankings where source = 'openrouter'")
    run_sql(stack.database_url, "delete from gateway.imported_model_days")


async def test_sixty_whole_days_are_asked_for_with_our_key_and_taken_over(
    stack: LocalStack, means: RankingMeans, dataset: Dataset
) -> None:
    dataset.tell(**{"x/one": 5, "x/two": 7, "other": 3})
    assert (await rank_models(means)).imported == 3
    ((query, authorization),) = dataset.asked
    assert authorization == "Bearer a key"
    first, last = (date.fromisoformat(query[name]) for name in ("start_date", "end_date"))
    assert (last - first).days == 59
    assert last in (YESTERDAY, datetime.now(UTC).date() - timedelta(days=1))
    assert run_sql(stack.database_url, READ_PLACES) == [("x/two", 7), ("x/one", 5)]


@pytest.mark.parametrize(("status", "body"), [(500, b""), (401, b"{}"), (200, b"<html>"), (200, b'{"data": []}')])
async def test_a_source_that_is_away_changes_nothing_and_keeps_ours_from_nothing(
    *,
    stack: LocalStack,
    means: RankingMeans,
    dataset: Dataset,
    capsys: pytest.CaptureFixture[str],
    status: int,
    body: bytes,
) -> None:
    dataset.tell(**{"x/one": 5})
    await rank_models(means)
    dataset.status, dataset.body = status, body
    assert (await rank_models(means)).imported == 0
    assert run_sql(stack.database_url, READ_PLACES) == [("x/one", 5)]
    logged = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["event"] for line in logged] == ["ranking_not_imported"]


async def test_nothing_is_asked_for_where_nothing_is_imported(means: RankingMeans, dataset: Dataset) -> None:
    ranked = await rank_models(RankingMeans(means.books, means.upstream, None))
    assert (ranked.imported, dataset.asked) == (0, [])


JOBS: dict[str, Any] = {**STORES, "SECRET_KEY": "s" * 32, "GATEWAY_URL": "https://gateway.example"}


def test_nothing_is_imported_unless_it_is_asked_for() -> None:
    assert not ScheduledSettings.read({**JOBS, "OPENROUTER_API_KEY": "a key"}).imports_ranking
    assert ScheduledSettings.read({**JOBS, "OPENROUTER_API_KEY": "k", "RANKING_IMPORT": "openrouter"}).imports_ranking


@pytest.mark.parametrize("given", [{"RANKING_IMPORT": "openrouter"}, {"RANKING_IMPORT": "yes"}])
def test_an_import_by_half_refuses_to_start(given: dict[str, str]) -> None:
    with pytest.raises(SettingsError, match="RANKING_IMPORT"):
        ScheduledSettings.read({**JOBS, **given})
