"""How long the ranking takes over very many usage lines: `python -m tests.sql.ranking_speed`, ten million of them.

Lines of sixty days are written as settlements leave them, in a stack of the script's own that is gone afterwards. Then
the job's calls are timed: the first time, when every hour is behind, and an hour later, which is what the job does from
then on; and what everybody reads.
"""

import sys
import tempfile
import time
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from statistics import quantiles
from typing import Any

from infra.local.stack import LocalStack
from shared.ranking.types import PERIODS, SUBJECTS
from tests.sql.books import Books, make_template, own_books

LINES = 10_000_000
DAYS = 60
MODELS, KEYS, APPS = 300, 1_000, 500
READS = 200
# A call may not take as long as PostgREST waits for it.
CALL_LIMIT_S = 5.0
# Written in parts, so that no one transaction is the size of the database.
PARTS = 20
# The lines alone: no hold, no ledger, which the ranking does not read.
PREPARE = """
    alter table gateway.usage_lines drop constraint usage_lines_generation_id_fkey;
    alter table gateway.app_hours drop constraint app_hours_key_id_fkey;
    alter table gateway.usage_lines disable trigger note_open_days;
    select api.create_account('crowd', 'free');
    insert into gateway.api_keys (account_id, name, environment, masked, scopes, is_app_public)
    select account.id, 'key ' || number, 'live', 'gw_…', '{inference}', number %% 2 = 0
      from gateway.accounts as account, generate_series(1, %(keys)s) as number where account.external_id = 'crowd';
"""
WRITE = """
    with first_key as (
        select min(id) as id, min(account_id) as account_id from gateway.api_keys where name like 'key %%')
    insert into gateway.usage_lines (
        generation_id, account_id, key_id, model_id, provider, price_id, quantities, usage_source, list_cost_nanos,
        cost_nanos, charged_nanos, shortfall_nanos, provider_cost_nanos, cost_excess_nanos, outcome, is_stream, is_late,
        attempts, request, first_byte_ms, duration_ms, created_at)
    select gen_random_uuid(), first_key.account_id, first_key.id + (random() * (%(keys)s - 1))::int,
           'author-' || (model %% 40) || '/model-' || model, 'openrouter', 1,
           row((random() * 4000)::int, 100, null, (random() * 800)::int, null, 1)::gateway.quantities, 'provider',
           1000, 1000, 1000, 0, 900, 0, 'completed', number %% 2 = 0, false,
           '[{"provider": "openrouter", "model_id": "author/model", "status": 200, "is_success": true,
              "reason": "answered", "is_request_at_fault": false, "first_byte_ms": 412, "started_ms": 13}]',
           jsonb_build_object('models', '["author/model"]'::jsonb, 'choices', 1, 'image_count', 0, 'prompt_bytes', 900,
                              'max_output_tokens', null)
           || case when number %% 3 = 0 then jsonb_build_object('app', jsonb_build_object(
                  'url', 'https://app-' || floor(%(apps)s * power(random(), 2))::int || '.example', 'title', 'An App'))
                   else '{}' end,
           412, 2500, %(from)s + number * (%(to)s::timestamptz - %(from)s::timestamptz) / %(count)s
      from first_key, (select number, floor(%(models)s * power(random(), 3))::int as model
                         from generate_series(1, %(count)s) as number) as line
"""


@dataclass(frozen=True, slots=True)
class Speed:
    """What was timed. first_*: with every hour behind; hourly_*: once an hour; reads: one page, in milliseconds."""

    lines: int
    first_s: float
    first_calls: int
    longest_call_s: float
    hourly_s: float
    hourly_lines: int
    read_p95_ms: float
    read_with_few_p95_ms: float

    def text(self) -> str:
        """Say it in lines."""
        return "\n".join(
            (
                f"{self.lines} usage lines of {DAYS} days",
                f"first sync, every hour behind: {self.first_s:.1f} s in {self.first_calls} calls,"
                f" the longest {self.longest_call_s:.2f} s",
                f"an hour later, {self.hourly_lines} new lines: {self.hourly_s:.2f} s",
                f"a page of the ranking, p95: {self.read_p95_ms:.2f} ms"
                f" ({self.read_with_few_p95_ms:.2f} ms of a hundredth of the lines)",
            )
        )


def measure(books: Books, lines: int) -> Speed:
    """Write the lines and time what the job and its readers do."""
    books.owner.execute((PREPARE % {"keys": KEYS}).encode())
    end = books.value("select date_trunc('hour', gateway.clock()) - interval '1 hour'")
    few = lines // 100
    write(books, few, to=end)
    sync(books)
    few_p95_ms = read_p95_ms(books)
    books.rows("update gateway.usage_hours_summed set next_hour = '-infinity'")
    for _ in range(PARTS):
        write(books, (lines - few) // PARTS, to=end)
    books.owner.execute("vacuum analyze gateway.usage_lines")
    written = books.value("select count(*) from gateway.usage_lines")

    started_s, durations_s = time.monotonic(), sync(books)
    first_s = time.monotonic() - started_s
    hourly = lines // (24 * DAYS)
    write(books, hourly, to=end, days=1 / 24, later="1 hour")
    started_s = time.monotonic()
    durations_s += sync(books)
    hourly_s = time.monotonic() - started_s
    return Speed(
        lines=written,
        first_s=first_s,
        first_calls=len(durations_s),
        longest_call_s=max(durations_s),
        hourly_s=hourly_s,
        hourly_lines=hourly,
        read_p95_ms=read_p95_ms(books),
        read_with_few_p95_ms=few_p95_ms,
    )


def write(books: Books, count: int, *, to: object, days: float = DAYS, later: str = "0") -> None:
    """Write usage lines, evenly over some days until a moment."""
    first = books.value("select %s::timestamptz - %s * interval '1 day' + %s::interval", to, days, later)
    last = books.value("select %s::timestamptz + %s::interval", to, later)
    numbers = {"count": count, "from": first, "to": last, "keys": KEYS, "models": MODELS, "apps": APPS}
    books.owner.execute(WRITE.encode(), numbers)


def sync(books: Books) -> list[float]:
    """Run the job's calls until nothing is behind; return how long each took."""
    durations_s: list[float] = []
    while True:
        duration_s, summed = _timed(books, "sum_usage_hours")
        durations_s.append(duration_s)
        if not summed["is_behind"]:
            break
    for subject, period in product(SUBJECTS, PERIODS):
        durations_s.append(_timed(books, "rank_usage", subject=subject, period=period)[0])
    return durations_s


def read_p95_ms(books: Books) -> float:
    """Time pages of both rankings."""
    times_s: list[float] = []
    for number in range(READS):
        page = {"subject": SUBJECTS[number % 2], "period": PERIODS[number % 3]}
        times_s.append(_timed(books, "read_ranking", source="gateway", limit=50, offset=0, **page)[0])
    return quantiles(times_s, n=20)[-1] * 1000


def _timed(books: Books, function: str, **arguments: object) -> tuple[float, Any]:
    started_s = time.monotonic()
    answer = books.call(function, **arguments)
    return time.monotonic() - started_s, answer


def main() -> int:
    """Time it in a stack of our own; the exit status says whether a sync takes more than ten seconds."""
    lines = int(sys.argv[1]) if len(sys.argv) > 1 else LINES
    with tempfile.TemporaryDirectory(prefix="ranking-") as folder:
        stack = LocalStack(Path(folder), keeps_data=False)
        try:
            stack.start()
            make_template(stack)
            with own_books(stack, is_clock_movable=False) as books:
                speed = measure(books, lines)
        finally:
            stack.stop()
    sys.stdout.write(f"{speed.text()}\n")
    return 0 if speed.hourly_s < 10 and speed.longest_call_s < CALL_LIMIT_S else 1


if __name__ == "__main__":
    sys.exit(main())
