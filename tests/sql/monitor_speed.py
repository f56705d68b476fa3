"""How long the monitor takes over many usage lines: `python -m tests.sql.monitor_speed`, a million of them.

A tenth of the lines are of the last day, each with what it moved in the ledger, in a stack of the script's own that is
gone afterwards. What is timed is the call that `GET /admin/monitor` makes, over each window that it may be asked for.
"""

import sys
import tempfile
import time
from datetime import datetime, timedelta
from pathlib import Path

from infra.local.stack import LocalStack
from tests.sql.admins import OPERATOR
from tests.sql.books import Books, make_template, own_books

LINES = 1_000_000
# A day has a tenth of them; the others go back evenly.
DAYS = 31
WINDOWS = {"5m": 1 / 288, "1h": 1 / 24, "24h": 1, "7d": 7, "31d": DAYS}
RUNS = 5
# Any call of the gateway's own, and what the database gives the monitor.
CALL_LIMIT_S, MONITOR_LIMIT_S = 5.0, 25.0
KEYS, MODELS = 1_000, 300
# The lines and what they moved alone: no holds, no lots that add up.
PREPARE = """
    alter table gateway.usage_lines drop constraint usage_lines_generation_id_fkey;
    alter table gateway.usage_lines disable trigger user;
    alter table gateway.transfers drop constraint transfers_check3, disable trigger user;
    select api.create_account('crowd ' || number, 'free') from generate_series(1, %(keys)s) as number;
    insert into gateway.api_keys (account_id, name, environment, masked, scopes)
    select account.id, 'key', 'live', 'gw_…', '{inference}'
      from gateway.accounts as account where external_id like 'crowd %%';
    insert into gateway.lots (account_id, kind, amount_nanos, remaining_nanos)
    select account.id, (array['purchase', 'trial', 'plan', 'promo'])[1 + account.id %% 4], 1000, 1000
      from gateway.accounts as account where external_id like 'crowd %%';
    create temporary table owners as
    select row_number() over (order by key.id) - 1 as number, key.account_id, key.id as key_id, lot.id as lot_id
      from gateway.api_keys as key join gateway.lots as lot using (account_id) where key.name = 'key';
    create index on owners (number);
"""
WRITE = """
    with written as (
        insert into gateway.usage_lines (
            generation_id, account_id, key_id, model_id, provider, price_id, quantities, usage_source, list_cost_nanos,
            cost_nanos, charged_nanos, shortfall_nanos, provider_cost_nanos, cost_excess_nanos, outcome, is_stream,
            is_late, attempts, request, first_byte_ms, duration_ms, created_at)
        select gen_random_uuid(), owner.account_id, owner.key_id, 'author/model-' || model, 'openrouter', 1,
               row((random() * 4000)::int, 100, null, (random() * 800)::int, null, 1)::gateway.quantities, 'provider',
               1000, 1000, 1000, 0, 900, 0, case when line.number %% 20 = 0 then 'failed' else 'completed' end,
               line.number %% 2 = 0, false,
               '[{"provider": "chutes", "model_id": "author/model", "status": 503, "is_success": false,
                  "reason": "unavailable", "is_request_at_fault": false, "first_byte_ms": null, "started_ms": 1},
                 {"provider": "openrouter", "model_id": "author/model", "status": 200, "is_success": true,
                  "reason": "answered", "is_request_at_fault": false, "first_byte_ms": 412, "started_ms": 13}]',
               null, (random() * 2000)::int, (random() * 20000)::int,
               %(to)s - line.number * (%(to)s::timestamptz - %(from)s::timestamptz) / %(count)s
          from (select number, floor(%(models)s * power(random(), 3))::int as model
                  from generate_series(1, %(count)s) as number) as line
          join owners as owner on owner.number = line.number %% %(keys)s
        returning generation_id, account_id, charged_nanos, provider_cost_nanos, created_at
    )
    insert into gateway.transfers (
        idempotency_key, line_number, debit_account, credit_account, amount_nanos, kind, account_id, lot_id,
        generation_id, created_at)
    select 'settle:' || generation_id, 1, account_id, gateway.house('revenue'), charged_nanos, 'usage', account_id,
           owner.lot_id, generation_id, created_at
      from written join owners as owner using (account_id)
    union all
    select 'settle:' || generation_id, 2, gateway.house('provider_cost'), gateway.house('provider_payable'),
           provider_cost_nanos, 'provider_cost', null, null, generation_id, created_at
      from written
"""


def write(books: Books, lines: int) -> datetime:
    """Write the lines: a tenth of them within the day before the moment that is returned."""
    books.owner.execute((PREPARE % {"keys": KEYS}).encode())
    end: datetime = books.value("select gateway.clock()")
    day_before = end - timedelta(days=1)
    parts = ((lines // 10, day_before, end), (lines - lines // 10, end - timedelta(days=DAYS), day_before))
    for count, first, last in parts:
        numbers = {"count": count, "from": first, "to": last, "keys": KEYS, "models": MODELS}
        books.owner.execute(WRITE.encode(), numbers)
    books.owner.execute("vacuum analyze gateway.usage_lines, gateway.transfers, gateway.lots")
    return end


def longest_s(books: Books, end: datetime, days: float, runs: int = RUNS) -> tuple[float, int]:
    """Read the monitor several times; return the longest, and how many requests the window had."""
    times_s: list[float] = []
    requests = 0
    for _ in range(runs):
        started_s = time.monotonic()
        told = books.call("read_monitor", admin=OPERATOR, **{"from": end - timedelta(days=days), "to": end})
        times_s.append(time.monotonic() - started_s)
        requests = told["traffic"]["total"]["requests"]
    return max(times_s), requests


def main() -> int:
    """Time it in a stack of our own; the exit status says whether a window takes longer than it may."""
    lines = int(sys.argv[1]) if len(sys.argv) > 1 else LINES
    with tempfile.TemporaryDirectory(prefix="monitor-") as folder:
        stack = LocalStack(Path(folder), keeps_data=False)
        try:
            stack.start()
            make_template(stack)
            with own_books(stack, is_clock_movable=False) as books:
                end = write(books, lines)
                told = {name: longest_s(books, end, days) for name, days in WINDOWS.items()}
        finally:
            stack.stop()
    for name, (duration_s, requests) in told.items():
        sys.stdout.write(f"{name}: {requests} of {lines} requests in {duration_s:.2f} s at most\n")
    return 0 if told["24h"][0] < CALL_LIMIT_S and told["31d"][0] < MONITOR_LIMIT_S else 1


if __name__ == "__main__":
    sys.exit(main())
