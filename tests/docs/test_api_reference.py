"""docs/api.md lists every refusal that the code can make, as it makes it."""

import importlib
import json
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path

import functions
import shared
from infra.describe.__main__ import DOCUMENT
from shared.core.errors import GatewayError
from shared.ledger.refusals import QuotaExhausted

ROOT = Path(__file__).parents[2]
ROW = re.compile(r"^\| `([a-z_]+)` \| (\d{3}) \| (yes|no) \| .+ \|$", re.MULTILINE)
SQL_REFUSAL = re.compile(r"gateway\.refusal\((\d{3}), '([a-z_]+)'")
# Answered to our own flows alone; a customer never sees them.
INTERNAL = {
    "unknown_hold",
    "hold_ended",
    "hold_voided",
    "zero_amount",
    "unknown_account",
    "account_deleted",
    "response_not_stored",
}
# Of a sweep that nobody waits for.
OF_JOBS = {"hint_unreadable"}


def documented() -> dict[str, tuple[int, bool]]:
    text = (ROOT / "docs" / "api.md").read_text()
    return {code: (int(status), retry == "yes") for code, status, retry in ROW.findall(text)}


def subclasses(of: type[GatewayError]) -> Iterator[type[GatewayError]]:
    for subclass in of.__subclasses__():
        yield subclass
        yield from subclasses(subclass)


def refusals() -> dict[str, tuple[int, bool]]:
    for package in (shared, functions):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            importlib.import_module(module.name)
    own = {one for one in subclasses(GatewayError) if one.__module__.startswith(("shared.", "functions."))}
    # It has no code of its own: its four subclasses have.
    return {one.code: (one.status, one.is_retryable) for one in own - {QuotaExhausted} if one.code not in OF_JOBS}


def test_every_refusal_of_the_code_is_documented_with_its_status_and_retry() -> None:
    # The platform's own, which no code of ours raises: infra/aws/refusals.yml.
    platform = {"gateway_overloaded": documented()["gateway_overloaded"]}
    assert documented() == refusals() | platform


def test_every_refusal_of_the_ledger_is_documented_with_its_status() -> None:
    migrations = sorted((ROOT / "infra" / "supabase" / "migrations").glob("*.sql"))
    found = [match for path in migrations for match in SQL_REFUSAL.findall(path.read_text())]
    statuses = {code: int(status) for status, code in found if code not in INTERNAL}
    assert len(statuses) > 10
    assert {code: documented()[code][0] for code in statuses} == statuses


def test_the_four_quotas_are_documented_as_not_worth_a_retry() -> None:
    quotas = [f"{period}_{unit}_exhausted" for period in ("day", "month") for unit in ("requests", "tokens")]
    assert [documented()[code] for code in quotas] == [(429, False)] * 4


HAND_WRITTEN = re.compile(
    r"^\| ((?:GET|POST|PUT|PATCH|DELETE)(?:, (?:PUT|POST|PATCH))*) (/\S+) \|(.*)\|$", re.MULTILINE
)
SCOPE = re.compile(r" `([a-z]+:[a-z]+)` ")


def test_the_routes_of_the_prose_are_there_with_the_scope_that_it_says() -> None:
    text = (ROOT / "docs" / "api.md").read_text()
    prose = text.split("<!-- routes", 1)[0]
    paths = json.loads(DOCUMENT.read_text())["paths"]
    by_shape = {re.sub(r"\{\w+\}", "{}", path): operations for path, operations in paths.items()}
    told = HAND_WRITTEN.findall(prose)
    assert len(told) > 40
    compared = 0
    for methods, path, rest in told:
        for method in methods.split(", "):
            operation = by_shape[re.sub(r"\{\w+\}", "{}", path)][method.lower()]
            said = SCOPE.findall(rest.split("|")[-2]) if "|" in rest else []
            assert said in ([], [operation.get("x-scope")]), f"{method} {path}"
            compared += len(said)
    assert compared > 30
