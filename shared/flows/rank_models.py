"""Rank models and apps by what was used, and beside them, where that is asked for, what OpenRouter tells of its own."""

import time
from datetime import UTC, datetime, timedelta

import msgspec

from shared.clients.upstream import Upstream, UpstreamCut, UpstreamTimeout, UpstreamUnreachable
from shared.core.log import log_event
from shared.flows.inference import ConfiguredProvider
from shared.providers.openrouter_rankings import RANKINGS_PATH, RankingsReport, read_rankings
from shared.providers.raw_json import MalformedAnswer
from shared.ranking.books import RankingBooks
from shared.ranking.types import PERIODS, SUBJECTS, Subject

# Each round is one short call. After this time no other is begun; what is left is the next hour's.
MAX_ROUNDS = 500
MAX_S = 45.0
# Two of the longest periods, up to the last day that is over.
IMPORTED_DAYS = 60
IMPORT_TIMEOUT_S = 10.0


class RankingMeans(msgspec.Struct, frozen=True):
    """What a ranking is made with; openrouter: None where nothing is imported."""

    books: RankingBooks
    upstream: Upstream
    openrouter: ConfiguredProvider | None


class RankedUsage(msgspec.Struct, frozen=True, kw_only=True):
    """What was done: hours summed, places in the longest ranking of each, rows imported."""

    hours: int
    models: int
    apps: int
    imported: int


async def rank_models(means: RankingMeans) -> RankedUsage:
    """Sum the hours that are not summed, rank what they come to, and import.

    raises  StoreUnavailable; a retry is safe, and so are two at once
    policy  open for what is imported: while the source is away, its last numbers stay
    """
    hours = await _sum_hours(means.books)
    ranked = {subject: await _rank(means.books, subject) for subject in SUBJECTS}
    imported = 0 if means.openrouter is None else await _import(means, means.openrouter)
    return RankedUsage(hours=hours, models=ranked["models"], apps=ranked["apps"], imported=imported)


async def _sum_hours(books: RankingBooks) -> int:
    until_s, hours = time.monotonic() + MAX_S, 0
    for _ in range(MAX_ROUNDS):
        summed = await books.sum_hours()
        hours += summed.hours
        if not summed.is_behind or time.monotonic() >= until_s:
            break
    return hours


async def _rank(books: RankingBooks, subject: Subject) -> int:
    """Rank a subject by every period; return how many places the longest ranking has."""
    return max([(await books.rank(subject, period)).count for period in PERIODS])


async def _import(means: RankingMeans, openrouter: ConfiguredProvider) -> int:
    try:
        report = await _ask(means.upstream, openrouter)
        if report.skipped:
            log_event("ranking_rows_skipped", level="warning", count=report.skipped)
    except (UpstreamUnreachable, UpstreamTimeout, UpstreamCut, MalformedAnswer) as error:
        log_event("ranking_not_imported", level="warning", reason=str(error))
        return 0
    return (await means.books.import_days("openrouter", report.days, report.as_of)).count


async def _ask(upstream: Upstream, openrouter: ConfiguredProvider) -> RankingsReport:
    last = datetime.now(UTC).date() - timedelta(days=1)
    first = last - timedelta(days=IMPORTED_DAYS - 1)
    url = f"{openrouter.base_url}{RANKINGS_PATH}?start_date={first.isoformat()}&end_date={last.isoformat()}"
    headers = openrouter.record.authorise(openrouter.api_key)
    status, body = await upstream.get(url, headers, timeout_s=IMPORT_TIMEOUT_S)
    if status != 200:
        raise MalformedAnswer(f"status {status}")
    return read_rankings(body)
