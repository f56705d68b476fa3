"""How pytest collects what each test of this folder showed; conftest.py takes these hooks."""

from collections.abc import Generator
from pathlib import Path

import pytest

from tests.contract.clients import FOLDER
from tests.contract.matrix import MARKER, Run, cells_of

OPTION = "--write-contract-table"
LAST = "test_table.py"
RUN = pytest.StashKey[Run]()
DESELECTED = pytest.StashKey[bool]()
# Also a file that skips itself: it is not left out by who runs the tests, and its cells are missed.
COLLECTED = pytest.StashKey[set[Path]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Known only when this folder is named on the command line, as `make contract-table` does."""
    parser.addoption(OPTION, action="store_true", help="write the table of clients into docs/api.md")


def pytest_configure(config: pytest.Config) -> None:
    """Make the record of this run."""
    config.addinivalue_line("markers", MARKER)
    config.stash[RUN] = Run()
    config.stash[COLLECTED] = set()


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Remember which files of this folder were read."""
    report = yield
    if isinstance(collector, pytest.Module) and _is_ours(collector):
        collector.config.stash[COLLECTED].add(collector.path)
    return report


def pytest_deselected(items: list[pytest.Item]) -> None:
    """Remember that the run leaves out tests of this folder."""
    for item in items:
        if _is_ours(item):
            item.config.stash[DESELECTED] = True


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Put the table's test behind all others of this folder, and see that each names cells that exist."""
    ours = [item for item in items if _is_ours(item)]
    for item in ours:
        cells_of(item)
    ours.sort(key=lambda item: item.path.name == LAST)
    places = [place for place, item in enumerate(items) if _is_ours(item)]
    for place, item in zip(places, ours, strict=True):
        items[place] = item


def pytest_collection_finish(session: pytest.Session) -> None:
    """Say whether the run holds every test of this folder.

    raises  UsageError when it does not and is to write the table
    """
    config = session.config
    # `--lf` leaves out whole files without a word.
    is_chosen = (
        config.stash.get(DESELECTED, False)
        or config.getoption("lf", default=False)
        or any("::" in each for each in config.args)
    )
    is_whole = not is_chosen and set(FOLDER.glob("test_*.py")) <= config.stash[COLLECTED]
    config.stash[RUN].is_whole = is_whole
    if is_to_be_written(config) and not is_whole:
        raise pytest.UsageError(f"{OPTION} needs all tests of tests/contract: run `make contract-table` without ARGS")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Count what the test showed; a test that is skipped shows nothing, so its cell fails."""
    report = yield
    if _is_ours(item) and (report.when == "call" or not report.passed):
        item.config.stash[RUN].add(item, has_passed=report.passed)
    return report


def is_to_be_written(config: pytest.Config) -> bool:
    """Whether this run writes the table."""
    return bool(config.getoption(OPTION, default=False))


def _is_ours(node: pytest.Item | pytest.Collector) -> bool:
    return node.path.parent == FOLDER
