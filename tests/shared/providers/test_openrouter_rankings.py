"""What OpenRouter publishes of its own usage: read as it is documented, and refused where it is something else."""

import json
from typing import Any

import pytest

from shared.providers.openrouter_rankings import CITATION, MAX_TOKENS, DailyTokens, read_rankings
from shared.providers.raw_json import MalformedAnswer

# The documentation's own example.
# source: https://openrouter.ai/docs/api/api-reference/datasets/get-rankings-daily
DOCUMENTED: dict[str, Any] = {
    "data": [
        {"date": "2026-05-11", "model_permaslug": "openai/gpt-4o-2024-05-13", "total_tokens": "12345678"},
        {"date": "2026-05-11", "model_permaslug": "anthropic/claude-3.5-sonnet-20241022", "total_tokens": "9876543"},
        {"date": "2026-05-11", "model_permaslug": "other", "total_tokens": "4321098"},
    ],
    "meta": {
        "as_of": "2026-05-12T02:00:00Z",
        "end_date": "2026-05-11",
        "start_date": "2026-04-12",
        "version": "v1",
    },
}


def with_rows(*rows: object) -> bytes:
    return json.dumps({**DOCUMENTED, "data": rows}).encode()


def row(**other: object) -> dict[str, object]:
    return {"date": "2026-05-10", "model_permaslug": "a/b", "total_tokens": "7", **other}


def test_the_documented_example_is_read_to_the_token() -> None:
    report = read_rankings(json.dumps(DOCUMENTED).encode())
    assert report.days == (
        DailyTokens("2026-05-11", "openai/gpt-4o-2024-05-13", 12_345_678),
        DailyTokens("2026-05-11", "anthropic/claude-3.5-sonnet-20241022", 9_876_543),
        DailyTokens("2026-05-11", "other", 4_321_098),
    )
    assert (report.as_of, report.skipped) == ("2026-05-12T02:00:00+00:00", 0)
    assert "as of 2026" in CITATION.format(as_of=report.as_of)


@pytest.mark.parametrize(
    "bad",
    [
        row(total_tokens="-1"),
        row(total_tokens="1e9"),
        row(total_tokens="\u0667"),
        row(total_tokens=7),
        row(total_tokens=str(MAX_TOKENS + 1)),
        row(total_tokens="9" * 40),
        row(date="2026-02-30"),
        row(date="yesterday"),
        row(model_permaslug=""),
        row(model_permaslug="a b"),
        row(model_permaslug="x" * 201),
        {"date": "2026-05-10"},
        None,
        [],
    ],
)
def test_a_row_that_cannot_be_is_skipped_and_counted(bad: object) -> None:
    report = read_rankings(with_rows(row(model_permaslug="a/c"), bad))
    assert ([each.model_id for each in report.days], report.skipped) == (["a/c"], 1)


def test_a_row_that_comes_twice_counts_once() -> None:
    report = read_rankings(with_rows(row(total_tokens="7"), row(total_tokens="9")))
    assert (len(report.days), report.skipped) == (1, 1)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b'{"data": []}',
        b'{"meta": {"as_of": "2026-05-12T02:00:00Z"}}',
        json.dumps({**DOCUMENTED, "meta": {"as_of": "now"}}).encode(),
        json.dumps({**DOCUMENTED, "meta": {"as_of": "2026-05-12T02:00:00"}}).encode(),
        with_rows(row(), row(date="never"), row(date="ever")),
    ],
)
def test_what_is_no_answer_of_the_endpoint_is_refused_whole(body: bytes) -> None:
    with pytest.raises(MalformedAnswer):
        read_rankings(body)
