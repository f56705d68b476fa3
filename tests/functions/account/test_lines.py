"""Transactions, activity and its sums, over HTTP."""

import csv
import io
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from functions.account.csv_text import csv_text
from functions.account.line_views import ActivityView
from tests.functions.account.client import Holder, owner_of, read, run_sql
from tests.harness.gateways import RunningGateway
from tests.harness.tenants import Models, Tenants

AS_CSV = {"Accept": "text/csv"}


async def _all(holder: Holder, path: str, limit: int) -> list[dict[str, Any]]:
    lines: list[dict[str, Any]] = []
    query = f"{path}{'&' if '?' in path else '?'}limit={limit}"
    page = await read(holder, query)
    for _ in range(50):
        assert page["object"] == "list"
        lines += page["data"]
        assert page["has_more"] == (page["next"] is not None)
        if page["next"] is None:
            return lines
        page = await read(holder, f"{query}&after={page['next']}")
    raise AssertionError("the list does not end")


async def _customer_with_requests(
    gateway: RunningGateway, tenant: Tenants, make_model: Models, count: int = 5
) -> tuple[Holder, Any, Any]:
    customer, model = tenant(credit_nanos=10**9), make_model("tokens=3")
    holder = owner_of(gateway, customer)
    for _ in range(count):
        assert (await holder.complete(model)).status == 200
    return holder, customer, model


@pytest.mark.parametrize("path", ["/user/transactions", "/user/credit-transactions"])
async def test_transactions_are_the_ledgers_page_by_page(
    gateway: RunningGateway, tenant: Tenants, make_model: Models, path: str
) -> None:
    holder, customer, _ = await _customer_with_requests(gateway, tenant, make_model)
    lines = await _all(holder, path, 2)
    usage = customer.books.usage_lines()
    assert [line["kind"] for line in lines] == ["usage"] * 5 + ["admin"]
    assert [line["amount"] for line in lines[:5]] == [f"-0.{each.charged_nanos:09d}" for each in reversed(usage)]
    asked_ids = ["gen_" + each.generation_id.replace("-", "") for each in reversed(usage)]
    assert [line["request_id"] for line in lines[:5]] == asked_ids
    assert (lines[-1]["amount"], lines[-1]["balance_after"]) == ("1.000000000", "1.000000000")
    assert lines[0]["balance_after"] == (await read(holder, "/user/balance"))["balance"]
    assert await _all(holder, f"{path}?kind=admin,purchase", 1) == lines[-1:]
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).date()
    assert await _all(holder, f"{path}?from={tomorrow}", 1) == []
    assert await _all(holder, f"{path}?from={tomorrow - timedelta(days=2)}&to={tomorrow}T00:00:00+00:00", 9) == lines


@pytest.mark.parametrize("path", ["/user/activity", "/user/activity/log"])
async def test_activity_has_a_line_for_each_request(
    gateway: RunningGateway, tenant: Tenants, make_model: Models, path: str
) -> None:
    holder, customer, model = await _customer_with_requests(gateway, tenant, make_model)
    lines = await _all(holder, path, 2)
    assert len({line["id"] for line in lines}) == len(lines) == 5
    generation = await read(holder, f"/v1/generations/{lines[0]['id']}")
    assert lines[0]["cost"] == generation["cost"]
    assert lines[0]["output_tokens"] == generation["quantities"]["output_tokens"]
    assert lines[0]["latency_ms"] == generation["timings"]["duration_ms"]
    assert (lines[0]["model"], lines[0]["provider"], lines[0]["status"]) == (model.id, "openrouter", "completed")
    assert (lines[0]["key_id"], lines[0]["app"]) == (f"key_{customer.key_id}", None)
    for query, count in (
        (f"model={model.id}", 5),
        ("model=no/such", 0),
        ("provider=openrouter&status=completed", 5),
        ("status=failed", 0),
        (f"key=key_{customer.key_id}", 5),
        (f"key=key_{customer.key_id + 1}", 0),
    ):
        assert len(await _all(holder, f"{path}?{query}", 2)) == count, query


async def test_sums_have_every_day_and_the_same_totals_by_each_part(
    gateway: RunningGateway, tenant: Tenants, make_model: Models
) -> None:
    holder, customer, model = await _customer_with_requests(gateway, tenant, make_model, 3)
    stats = await read(holder, "/user/activity/stats")
    today = datetime.now(UTC).date()
    assert [day["date"] for day in stats["days"]] == [str(today - timedelta(days=29 - n)) for n in range(30)]
    cost = sum(line.cost_nanos for line in customer.books.usage_lines())
    assert (stats["totals"]["requests"], stats["totals"]["cost"]) == (3, f"0.{cost:09d}")
    for part, name, value in (
        ("models", "model", model.id),
        ("providers", "provider", "openrouter"),
        ("keys", "key_id", f"key_{customer.key_id}"),
    ):
        (each,) = stats[part]
        assert each[name] == value
        assert {field: each[field] for field in stats["totals"]} == stats["totals"]
    assert stats["days"][-1] == {**stats["totals"], "date": str(today)}
    past = await read(holder, "/user/activity/stats?from=2020-02-27&to=2020-03-01")
    assert [day["date"] for day in past["days"]] == ["2020-02-27", "2020-02-28", "2020-02-29", "2020-03-01"]
    assert (past["from"], past["to"], past["totals"]["requests"], past["models"]) == ("2020-02-27", "2020-03-01", 0, [])


@pytest.mark.parametrize(
    ("path", "param"),
    [
        ("/user/transactions?kind=gift", "kind"),
        ("/user/transactions?kind=", "kind"),
        ("/user/transactions?from=yesterday", "from"),
        ("/user/transactions?from=2026-02-30", "from"),
        ("/user/transactions?from=2026-01-02&to=2026-01-01", "from"),
        ("/user/transactions?to=0001-01-01T00:00:00%2B14:00", "to"),
        ("/user/transactions?limit=101", "limit"),
        ("/user/transactions?limit=0", "limit"),
        ("/user/transactions?after=AAAA", "after"),
        ("/user/transactions?after=%00", "after"),
        ("/user/activity?model=a%00b", "model"),
        ("/user/activity?provider=A", "provider"),
        ("/user/activity?key=1", "key"),
        ("/user/activity?status=open", "status"),
        ("/user/activity?after=MTIz", "after"),
        ("/user/activity?limit=1000", "limit"),
        ("/user/activity/stats?from=2020-01-01&to=2021-01-01", "from"),
        ("/user/activity/stats?from=2020-01-02&to=2020-01-01", "from"),
        ("/user/activity/stats?to=9999-12-31", "to"),
        ("/user/activity/stats?to=0001-01-01", "to"),
        ("/user/activity/stats?from=2020-01-01T00:00:00Z", "from"),
    ],
)
async def test_what_cannot_be_asked_is_refused_by_name(
    gateway: RunningGateway, tenant: Tenants, path: str, param: str
) -> None:
    answer = await owner_of(gateway, tenant()).call("GET", path)
    assert (answer.status, answer.error["code"], answer.error["param"]) == (400, "invalid_request", param)


@pytest.mark.parametrize("path", ["/user/transactions", "/user/activity"])
async def test_lists_come_as_csv_with_a_cursor_in_a_header(
    gateway: RunningGateway, tenant: Tenants, make_model: Models, path: str
) -> None:
    holder, _, _ = await _customer_with_requests(gateway, tenant, make_model)
    listed = await _all(holder, path, 100)
    answer = await holder.call("GET", path, headers=AS_CSV)
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert "Accept" in answer.headers["Vary"].split(", ")
    rows = list(csv.DictReader(io.StringIO(answer.raw.decode(), newline="")))
    assert [row["id"] for row in rows] == [line["id"] for line in listed]
    assert list(rows[0]) == list(listed[0])
    assert "X-Next-Cursor" not in answer.headers
    first = await holder.call("GET", f"{path}?limit=3", headers=AS_CSV)
    rest = await holder.call("GET", f"{path}?after={first.headers['X-Next-Cursor']}", headers=AS_CSV)
    assert first.raw.splitlines() + rest.raw.splitlines()[1:] == answer.raw.splitlines()
    for limit in (0, 5001):
        refused = await holder.call("GET", f"{path}?limit={limit}", headers=AS_CSV)
        assert (refused.status, refused.error["param"]) == (400, "limit")


@pytest.mark.parametrize("sign", ["=", "+", "-", "@", "\t", "\r", "\uff1d"])
async def test_no_field_of_a_csv_is_a_formula(
    gateway: RunningGateway, tenant: Tenants, make_model: Models, sign: str
) -> None:
    holder, customer, _ = await _customer_with_requests(gateway, tenant, make_model, 1)
    name = f'{sign}HYPERLINK("http://example.com","a")'
    run_sql(customer.database_url, "update gateway.api_keys set name = %s where id = %s", name, customer.key_id)
    answer = await holder.call("GET", "/user/activity", headers=AS_CSV)
    (row,) = csv.DictReader(io.StringIO(answer.raw.decode(), newline=""))
    assert row["key_name"] == f"'{name}"


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("x;=1+1", "x;'=1+1"),
        ("x\t@a", "x\t'@a"),
        ("x; \uff0b1", "x;' \uff0b1"),
        ("=a;-b", "'=a;'-b"),
        ("x\n=1", "x\n'=1"),
        ("x; y=1 - 2", "x; y=1 - 2"),
        ("a-b=c", "a-b=c"),
    ],
)
def test_no_cell_of_a_field_is_a_formula_whatever_ends_cells(name: str, shown: str) -> None:
    (row,) = csv.DictReader(io.StringIO(csv_text(ActivityView, [_line(key_name=name)]), newline=""))
    assert row["key_name"] == shown


@pytest.mark.parametrize(
    ("accept", "is_csv"),
    [
        ("text/csv", True),
        ("TEXT/CSV; charset=utf-8; q=0.5", True),
        ("text/csv, */*;q=0.8", True),
        ("text/csv, application/json", True),
        ("text/csv;q=0.9, application/json;q=0.5", True),
        ("application/json, text/csv;q=0.1", False),
        ("text/csv;q=0", False),
        ("text/csv;q=0.000, */*", False),
        ("*/*", False),
        ("", False),
    ],
)
async def test_csv_is_what_the_caller_would_rather_have(
    gateway: RunningGateway, tenant: Tenants, accept: str, is_csv: bool
) -> None:
    answer = await owner_of(gateway, tenant()).call("GET", "/user/transactions", headers={"Accept": accept})
    assert answer.headers["Content-Type"].startswith("text/csv" if is_csv else "application/json")


def _line(**other: Any) -> ActivityView:
    fields: dict[str, Any] = dict.fromkeys(ActivityView.__struct_fields__, 0)
    return ActivityView(**{**fields, **other})


def test_an_amount_that_went_stays_a_number_in_a_csv() -> None:
    line = _line(model="-m", provider=None, is_stream=True, cost="0.5")
    row = dict(zip(*(text.split(",") for text in csv_text(ActivityView, [line]).splitlines()), strict=True))
    assert (row["model"], row["provider"], row["is_stream"], row["cost"]) == ("'-m", "", "true", "0.5")


async def test_no_one_sees_what_another_account_did(
    gateway: RunningGateway, tenant: Tenants, make_model: Models
) -> None:
    _, theirs, _ = await _customer_with_requests(gateway, tenant, make_model, 2)
    mine = owner_of(gateway, tenant(credit_nanos=0))
    assert await _all(mine, "/user/transactions", 10) == []
    assert await _all(mine, "/user/activity", 10) == []
    assert await _all(mine, f"/user/activity?key=key_{theirs.key_id}", 10) == []
    assert (await read(mine, "/user/activity/stats"))["totals"]["requests"] == 0
