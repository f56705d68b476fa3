from collections.abc import Iterator

import pytest
from hypothesis import settings

from infra.local.stack import LocalStack
from tests.sql.books import TEMPLATE, Books, drop_database, make_template, own_books

# `pytest tests/sql --hypothesis-profile=long` gives the ledger's state machine minutes instead of seconds.
LONG_PROFILE = "long"
settings.register_profile(LONG_PROFILE)


@pytest.fixture(scope="session")
def ledger_stack(stack: LocalStack) -> Iterator[LocalStack]:
    """The stack with the database that tests copy."""
    make_template(stack)
    yield stack
    drop_database(stack, TEMPLATE)


@pytest.fixture(scope="module")
def books(ledger_stack: LocalStack) -> Iterator[Books]:
    """A module's own database, whose clock it may move."""
    with own_books(ledger_stack) as books:
        yield books


@pytest.fixture
def own_ledger(ledger_stack: LocalStack) -> Iterator[Books]:
    """A test's own database with the real clock, to do with as it likes."""
    with own_books(ledger_stack, is_clock_movable=False) as books:
        yield books
