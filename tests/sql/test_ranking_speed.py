"""What a ranking takes does not grow with what was used; of ten million lines tests/sql/ranking_speed.py says it."""

from tests.sql.books import Books
from tests.sql.ranking_speed import CALL_LIMIT_S, measure

LINES = 200_000


def test_an_hour_is_summed_in_little_time_and_a_page_reads_as_fast_of_many_lines_as_of_few(own_ledger: Books) -> None:
    speed = measure(own_ledger, LINES)
    assert speed.longest_call_s < CALL_LIMIT_S
    assert speed.hourly_s < speed.first_s
    assert speed.hourly_s < 2
    assert speed.read_p95_ms < max(20, 5 * speed.read_with_few_p95_ms)
