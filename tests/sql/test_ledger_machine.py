"""The ledger against an independent model of it; `pytest tests/sql --hypothesis-profile=long` looks for longer."""

import pytest
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from tests.sql.books import Books
from tests.sql.conftest import LONG_PROFILE
from tests.sql.ledger_machine import WATCH_STATES, LedgerMachine
from tests.sql.retry_machine import RetryMachine

EXAMPLES, EXAMPLES_IN_LONG = 60, 500
STEPS, STEPS_IN_LONG = 40, 80


@pytest.fixture(scope="module")
def watched_books(books: Books) -> Books:
    """The module's books, which write down how each hold left its state."""
    books.owner.execute(WATCH_STATES)
    return books


def _run(machine: type[LedgerMachine], books: Books, config: pytest.Config) -> None:
    is_long = config.getoption("--hypothesis-profile") == LONG_PROFILE

    class OnTheseBooks(machine):  # type: ignore[misc, valid-type]  # a base chosen at run time
        def __init__(self) -> None:
            super().__init__(books)

    run_state_machine_as_test(
        OnTheseBooks,
        settings=settings(
            max_examples=EXAMPLES_IN_LONG if is_long else EXAMPLES,
            stateful_step_count=STEPS_IN_LONG if is_long else STEPS,
            deadline=None,
            print_blob=True,
        ),
    )


def test_any_order_of_calls_answers_as_the_model_and_keeps_the_books(
    watched_books: Books, pytestconfig: pytest.Config
) -> None:
    _run(LedgerMachine, watched_books, pytestconfig)


def test_any_order_of_retries_answers_as_the_model_and_charges_once(
    watched_books: Books, pytestconfig: pytest.Config
) -> None:
    _run(RetryMachine, watched_books, pytestconfig)
