"""The files of facts: what is in them can be read by the job, and says where it is from."""

from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from infra.catalog.files import FactsError, read_file, read_files
from shared.core.integrations import PROVIDER_SLUGS

GOOD = """
- source: https://example.com/prices
  read_on: 2026-11-01
  prices:
    small: {input: "0.000000001", output: "0.1", cached_input: "0.05"}
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "provider.yaml"
    path.write_text(text)
    return path


def test_every_provider_has_a_file_that_can_be_published() -> None:
    files = read_files()
    assert set(files) == set(PROVIDER_SLUGS)
    assert all(facts for facts in files.values())
    assert all(fact.source.startswith("https://") for facts in files.values() for fact in facts)
    today = datetime.now(UTC).date()
    assert all(date(2026, 1, 1) < fact.read_on <= today for facts in files.values() for fact in facts)


def test_a_price_is_in_nano_dollars_per_million_tokens_and_exact(tmp_path: Path) -> None:
    (fact,) = read_file(written(tmp_path, GOOD))
    assert (fact.kind, fact.key, fact.read_on) == ("price", "small", date(2026, 11, 1))
    assert fact.fact == {"input_tokens": 1, "output_tokens": 100_000_000, "cached_input_tokens": 50_000_000}


@pytest.mark.parametrize(
    ("said", "instead"),
    [
        ('"0.1"', "0.1"),
        ('"0.1"', '"-1"'),
        ('"0.1"', '"NaN"'),
        ('"0.1"', '"ten"'),
        ("output:", "outputs:"),
        ("source:", "sources:"),
        ("  read_on: 2026-11-01", "  read_on: yesterday"),
        ("  read_on: 2026-11-01\n", ""),
        ("prices:", "models:"),
        ('    small: {input: "0.000000001", output: "0.1", cached_input: "0.05"}', "    small: free"),
        ("prices:", "policy: {models: some}\n  prices:"),
        (GOOD, GOOD + GOOD),
        (GOOD, "[1]"),
        (GOOD, "{"),
        (GOOD, "- {}"),
    ],
)
def test_a_file_that_says_it_otherwise_is_refused_by_name(tmp_path: Path, said: str, instead: str) -> None:
    path = written(tmp_path, GOOD.replace(said, instead))
    with pytest.raises(FactsError, match=r"provider\.yaml"):
        read_file(path)
