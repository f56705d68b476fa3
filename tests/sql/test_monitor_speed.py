"""What the monitor takes of a day; of a million lines tests/sql/monitor_speed.py says it."""

from tests.sql.books import Books
from tests.sql.monitor_speed import CALL_LIMIT_S, longest_s, write

LINES = 100_000


def test_a_day_of_many_requests_is_added_up_in_the_time_of_a_call(own_ledger: Books) -> None:
    end = write(own_ledger, LINES)
    duration_s, requests = longest_s(own_ledger, end, days=1, runs=2)
    assert requests == LINES // 10
    assert duration_s < CALL_LIMIT_S / 2
