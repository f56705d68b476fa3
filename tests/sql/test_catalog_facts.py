"""What providers do not publish, kept with where it is from."""

from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb

from infra.catalog.__main__ import main
from infra.catalog.files import FactsError
from infra.catalog.publish import publish_facts
from tests.sql.books import Books
from tests.sql.listings import row_versions

SOURCE = {"source": "https://example.com/prices", "read_on": "2026-11-01"}
PRICE: dict[str, Any] = {"kind": "price", "key": "small-*", "fact": {"input_tokens": 1, "output_tokens": 2}, **SOURCE}
ALIAS: dict[str, Any] = {"kind": "alias", "key": "Their/Name", "fact": "our/name", **SOURCE}


def put(books: Books, *facts: dict[str, Any]) -> Any:
    return books.call("put_catalog_facts", provider="featherless", facts=Jsonb(list(facts)))


def test_facts_are_replaced_as_a_whole_and_the_same_again_writes_nothing(books: Books) -> None:
    assert put(books, PRICE, ALIAS) == {"written": 2, "removed": 0}
    before = row_versions(books)
    assert put(books, ALIAS, PRICE) == {"written": 0, "removed": 0}
    assert row_versions(books) == before
    assert put(books, PRICE | {"read_on": "2026-11-02"}) == {"written": 1, "removed": 1}
    base = books.call("read_catalog_base", provider="featherless")
    assert base["facts"] == {"price": {"small-*": {"input_tokens": 1, "output_tokens": 2}}}
    assert base["models"]["openai/gpt-5-mini"] == "GPT-5 mini"
    assert books.call("read_catalog_base", provider="nobody")["facts"] == {}


@pytest.mark.parametrize(
    "wrong",
    [{"kind": "rumour"}, {"source": "a friend"}, {"source": None}, {"read_on": None}, {"fact": None}, {"key": ""}],
)
def test_a_fact_without_a_source_or_a_date_is_none(books: Books, wrong: dict[str, Any]) -> None:
    before = row_versions(books)
    with pytest.raises(psycopg.Error):
        put(books, PRICE | wrong)
    assert row_versions(books) == before


def test_the_files_are_published_and_the_same_again_writes_nothing(own_ledger: Books) -> None:
    first = publish_facts(own_ledger.url)
    assert all(counts.written == counts.facts > 0 for counts in first.values())
    before = row_versions(own_ledger)
    again = publish_facts(own_ledger.url)
    assert {(counts.written, counts.removed) for counts in again.values()} == {(0, 0)}
    assert row_versions(own_ledger) == before
    sources = own_ledger.rows("select provider, count(*) from gateway.catalog_facts group by provider")
    assert dict(sources) == {provider: counts.facts for provider, counts in first.items()}


def test_a_file_that_cannot_be_read_publishes_nothing_of_any(own_ledger: Books, tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("- {source: https://example.com, read_on: 2026-11-01, aliases: {a: b}}")
    (tmp_path / "b.yaml").write_text("- {}")
    with pytest.raises(FactsError, match=r"b\.yaml"):
        publish_facts(own_ledger.url, tmp_path)
    assert own_ledger.rows("select key from gateway.catalog_facts") == []


def test_publishing_is_a_command(own_ledger: Books, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["publish", "--database-url", own_ledger.url]) == 0
    assert "chutes: 3 written, 0 removed, 3 in all" in capsys.readouterr().out
    assert main(["publish", "--database-url", "postgresql://127.0.0.1:1/none"]) == 1
    assert "cannot be written" in capsys.readouterr().err
