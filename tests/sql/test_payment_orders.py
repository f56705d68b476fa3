"""Payments in any order of things; `pytest tests/sql --hypothesis-profile=long` looks for longer."""

import pytest
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from tests.sql.books import Books
from tests.sql.conftest import LONG_PROFILE
from tests.sql.payment_machine import PaymentMachine

EXAMPLES, EXAMPLES_IN_LONG = 60, 1000
STEPS, STEPS_IN_LONG = 30, 60


def test_whatever_is_told_in_whichever_order_the_books_end_where_stripe_is(
    books: Books, pytestconfig: pytest.Config
) -> None:
    is_long = pytestconfig.getoption("--hypothesis-profile") == LONG_PROFILE

    class OnTheseBooks(PaymentMachine):
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
    assert books.broken_rules() == []
