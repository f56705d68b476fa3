"""What another gateway publishes of its own usage is ranked by itself."""

from psycopg.types.json import Jsonb

from tests.sql.books import Books
from tests.sql.ranked import empty, places, sync, tokens_by_name, use

__all__ = ["empty"]


def told(*rows: tuple[str, str, int]) -> Jsonb:
    return Jsonb([{"day": day, "model_id": model, "tokens": tokens} for day, model, tokens in rows])


def take_over(books: Books, *rows: tuple[str, str, int]) -> int:
    as_of = "2030-03-01T02:00:00+00:00"
    return int(books.call("import_model_days", source="openrouter", days=told(*rows), as_of=as_of)["count"])


IMPORTED = (
    ("2030-02-28", "x/one", 300),
    ("2030-02-28", "x/two", 100),
    ("2030-02-28", "other", 600),
    ("2030-02-27", "x/one", 200),
    ("2030-02-27", "other", 900),
    ("2030-02-20", "x/three", 5),
)


def test_what_is_imported_is_ranked_by_itself_and_what_is_not_told_apart_has_no_place(books: Books) -> None:
    use(books, "a/one", 5)
    sync(books)
    assert take_over(books, *IMPORTED) == len(IMPORTED)
    one, two = places(books, "day", "models", "openrouter")
    assert (one["name"], one["tokens"], one["requests"], one["share"]) == ("x/one", 300, None, 0.3)
    assert (one["trend_percent"], one["trend_direction"]) == (50.0, "up")
    assert (two["name"], two["trend_direction"]) == ("x/two", "new")
    assert tokens_by_name(books, "week", "models", "openrouter") == {"x/one": 500, "x/two": 100}
    assert tokens_by_name(books, "month", "models", "openrouter") == {"x/one": 500, "x/two": 100, "x/three": 5}
    assert tokens_by_name(books) == {"a/one": 5}
    sync(books)
    assert tokens_by_name(books, "day", "models", "openrouter") == {"x/one": 300, "x/two": 100}


def test_the_same_import_again_changes_no_row_and_a_corrected_day_is_corrected(books: Books) -> None:
    take_over(books, *IMPORTED)
    versions = books.rows("select xmin, day, model_id from gateway.imported_model_days order by 2, 3")
    take_over(books, *IMPORTED)
    assert books.rows("select xmin, day, model_id from gateway.imported_model_days order by 2, 3") == versions
    take_over(books, ("2030-02-28", "x/one", 301))
    assert tokens_by_name(books, "day", "models", "openrouter") == {"x/one": 301, "x/two": 100}


def test_imported_days_of_before_all_periods_are_let_go(books: Books) -> None:
    take_over(books, ("2029-12-01", "x/one", 1), ("2030-02-28", "x/one", 1))
    assert books.value("select count(*) from gateway.imported_model_days") == 1


def test_an_import_that_tells_nothing_changes_nothing(books: Books) -> None:
    take_over(books, *IMPORTED)
    assert take_over(books) == 0
    assert tokens_by_name(books, "day", "models", "openrouter") == {"x/one": 300, "x/two": 100}
