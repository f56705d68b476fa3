"""Believing or not believing what a provider reports."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.providers.usage import (
    ImplausibleUsage,
    UsageBounds,
    UsageReport,
    encode_usage,
    read_cost,
    read_reported_cost,
    read_usage,
)
from tests.shared.providers.recorded import PORTKEY_ANTHROPIC_USAGE

BOUNDS = UsageBounds(max_input_tokens=10_000, max_output_tokens_total=1_000)


def report(**fields: int) -> UsageReport:
    known = {
        "input_tokens": 0,
        "cached_input_tokens": 0,
        "cache_write_tokens": 0,
        "output_tokens": 0,
        "reasoning_tokens": 0,
    }
    return UsageReport(**(known | fields))


def test_zero_reported_is_zero() -> None:
    assert read_usage(b'{"prompt_tokens":0,"completion_tokens":0,"total_tokens":0}', bounds=BOUNDS) == report()


@pytest.mark.parametrize(
    "raw",
    [
        None,
        b"null",
        b"",
        b"{}",
        b'{"prompt_tokens":5}',
        b'{"completion_tokens":5}',
        b'{"prompt_tokens":5,"completion_tokens":null}',
        b'{"prompt_tokens":null,"completion_tokens":5}',
    ],
)
def test_missing_is_not_zero(raw: bytes | None) -> None:
    assert read_usage(raw, bounds=BOUNDS) is None


@pytest.mark.parametrize(
    ("raw", "field"),
    [
        (b'{"prompt_tokens":-5,"completion_tokens":1}', "prompt_tokens"),
        (b'{"prompt_tokens":1,"completion_tokens":-1}', "completion_tokens"),
        (b'{"prompt_tokens":1.5,"completion_tokens":1}', "prompt_tokens"),
        (b'{"prompt_tokens":1,"completion_tokens":1e3}', "completion_tokens"),
        (b'{"prompt_tokens":1,"completion_tokens":2.0}', "completion_tokens"),
        (b'{"prompt_tokens":"7","completion_tokens":1}', "prompt_tokens"),
        (b'{"prompt_tokens":true,"completion_tokens":1}', "prompt_tokens"),
        (b'{"prompt_tokens":[1],"completion_tokens":1}', "prompt_tokens"),
        (b'{"prompt_tokens":10001,"completion_tokens":1}', "prompt_tokens"),
        (b'{"prompt_tokens":1,"completion_tokens":1000000000}', "completion_tokens"),
        (b'{"prompt_tokens":1,"completion_tokens":99999999999999999999999999}', "completion_tokens"),
        (b'{"prompt_tokens":5,"completion_tokens":1,"prompt_tokens_details":{"cached_tokens":6}}', "cached_tokens"),
        (b'{"prompt_tokens":5,"completion_tokens":1,"prompt_tokens_details":{"cached_tokens":-1}}', "cached_tokens"),
        (b'{"prompt_tokens":5,"completion_tokens":1,"prompt_tokens_details":{"cached_tokens":"1"}}', "cached_tokens"),
        (
            b'{"prompt_tokens":5,"completion_tokens":1,"prompt_tokens_details":{"cached_tokens":3,"cache_write_tokens":3}}',
            "cached_tokens",
        ),
        (
            b'{"prompt_tokens":5,"completion_tokens":1,"completion_tokens_details":{"reasoning_tokens":2}}',
            "reasoning_tokens",
        ),
        (b'{"prompt_tokens":1,"completion_tokens":1,"total_tokens":"2"}', "total_tokens"),
        (b'{"prompt_tokens":5,"completion_tokens":1,"prompt_tokens_details":7}', "usage"),
        (b'"lots"', "usage"),
        (b"[]", "usage"),
        (b"{", "usage"),
    ],
)
def test_what_cannot_be_is_refused_by_name(raw: bytes, field: str) -> None:
    with pytest.raises(ImplausibleUsage, match=f"^{field}:"):
        read_usage(raw, bounds=BOUNDS)


def test_cached_input_and_cache_writes_are_taken_out_of_the_prompt() -> None:
    raw = b"""{"prompt_tokens":100,"completion_tokens":20,"total_tokens":120,
        "prompt_tokens_details":{"cached_tokens":60,"cache_write_tokens":30},
        "completion_tokens_details":{"reasoning_tokens":5}}"""
    assert read_usage(raw, bounds=BOUNDS) == report(
        input_tokens=10, cached_input_tokens=60, cache_write_tokens=30, output_tokens=20, reasoning_tokens=5
    )


def test_portkey_counts_anthropic_cache_beside_the_prompt() -> None:
    assert read_usage(PORTKEY_ANTHROPIC_USAGE, bounds=BOUNDS) == report(
        input_tokens=10, cached_input_tokens=1000, cache_write_tokens=50, output_tokens=20
    )


def test_cache_beside_the_prompt_counts_towards_the_bound() -> None:
    with pytest.raises(ImplausibleUsage, match="prompt_tokens"):
        read_usage(PORTKEY_ANTHROPIC_USAGE, bounds=UsageBounds(max_input_tokens=1059, max_output_tokens_total=99))


def test_reasoning_beside_the_completion_is_charged_as_output() -> None:
    raw = b"""{"prompt_tokens":10,"completion_tokens":20,"total_tokens":330,
        "completion_tokens_details":{"reasoning_tokens":300}}"""
    assert read_usage(raw, bounds=BOUNDS) == report(input_tokens=10, output_tokens=320, reasoning_tokens=300)


def test_null_details_are_no_details() -> None:
    raw = b'{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3,"prompt_tokens_details":null,"cost":null}'
    assert read_usage(raw, bounds=BOUNDS) == report(input_tokens=1, output_tokens=2)


def test_wrong_total_changes_nothing() -> None:
    raw = b'{"prompt_tokens":10,"completion_tokens":2,"total_tokens":999,"prompt_tokens_details":{"cached_tokens":4}}'
    assert read_usage(raw, bounds=BOUNDS) == report(input_tokens=6, cached_input_tokens=4, output_tokens=2)


@given(st.integers(0, 5000), st.integers(0, 5000), st.integers(0, 500), st.integers(0, 500))
def test_encoded_usage_reads_back(plain: int, cached: int, output: int, reasoning: int) -> None:
    counted = report(
        input_tokens=plain, cached_input_tokens=cached, output_tokens=output, reasoning_tokens=min(reasoning, output)
    )
    assert read_usage(encode_usage(counted), bounds=BOUNDS) == counted


@pytest.mark.parametrize(
    ("text", "nanos"),
    [
        (b"0", 0),
        (b"0.000007765", 7765),
        (b"7.765e-06", 7765),
        (b"1E-9", 1),
        (b"0.0000000001", 1),
        (b"0.1", 100_000_000),
        (b"10000", 10_000_000_000_000),
        (b"-0", 0),
        (b"-0.1", None),
        (b"10000.1", None),
        (b"1e999", None),
        (b"1e99999999", None),
        (b"NaN", None),
        (b"Infinity", None),
        (b'"0.1"', None),
        (b"null", None),
        (b"", None),
        (b"1" * 65, None),
    ],
)
def test_reported_cost_is_exact_or_nothing(text: bytes, nanos: int | None) -> None:
    assert read_cost(text) == nanos


def test_a_cost_is_read_although_the_quantities_cannot_be_believed() -> None:
    assert read_reported_cost(b'{"prompt_tokens":-5,"completion_tokens":"many","cost":0.25}') == 250_000_000


@pytest.mark.parametrize("usage", [None, b"null", b"[]", b"{", b"{}", b'{"cost":{}}', b'{"cost":-1}'])
def test_a_cost_that_is_not_there_is_none(usage: bytes | None) -> None:
    assert read_reported_cost(usage) is None


FIELDS = st.sampled_from(["prompt_tokens", "completion_tokens", "total_tokens", "cost"])


@given(st.dictionaries(FIELDS, st.none() | st.booleans() | st.integers() | st.floats() | st.text()))
def test_nothing_but_a_refusal_comes_of_anything(usage: dict[str, object]) -> None:
    try:
        read = read_usage(json.dumps(usage).encode(), bounds=BOUNDS)
    except ImplausibleUsage:
        return
    assert read is None or 0 <= read.output_tokens <= 1_000
