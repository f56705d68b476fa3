"""For how long a call waits for a wallet that another has."""

import threading
import time

import psycopg
import pytest

from tests.sql.books import Books
from tests.sql.customers import make_customer
from tests.sql.races import LOCK_WALLET

# A second longer than admission waits, so that it would be granted after all if it waited on.
LOCKED_FOR_S = 5.0


def test_admission_gives_up_a_wallet_after_four_seconds_and_holds_nothing(books: Books) -> None:
    customer = make_customer(books, credit=100)
    before = customer.counted(), customer.balance()
    with psycopg.connect(books.url) as other:
        other.execute(LOCK_WALLET.encode(), (customer.account_id,))
        unlocking = threading.Timer(LOCKED_FOR_S, other.rollback)
        unlocking.start()
        started_s = time.monotonic()
        try:
            with pytest.raises(psycopg.errors.LockNotAvailable):
                customer.admit(tokens=10)
            waited_s = time.monotonic() - started_s
        finally:
            unlocking.join()
    assert 3.9 <= waited_s < LOCKED_FOR_S
    assert (customer.counted(), customer.balance()) == before
    customer.admitted(tokens=100)
