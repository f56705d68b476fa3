"""OpenRouter's record of a generation, as it comes and as it must not."""

import json
from typing import Any

import pytest

from shared.core.money import Nanos
from shared.providers.generation import GenerationReport, read_generation
from shared.providers.raw_json import MalformedAnswer
from shared.providers.usage import ImplausibleUsage, UsageBounds, UsageReport

BOUNDS = UsageBounds(max_input_tokens=100_000, max_output_tokens_total=10_000)
# Of https://github.com/can1357/oh-my-pi/issues/6956, which shows it in the activity's shape, put into the endpoint's.
# At 5 and 25 dollars per million its sum proves that completion includes reasoning and that prompt includes what was
# written to the cache: 93,500 * 5 + 9,052 * 25, and a quarter more for 93,498 of the prompt's.
RECORDED = {
    "id": "gen-1785301746-y5WK0lm6e59yRx8tqg2u",
    "streamed": True,
    "cancelled": False,
    "generation_time": 132529,
    "tokens_prompt": 57169,
    "tokens_completion": 4424,
    "native_tokens_prompt": 93500,
    "native_tokens_completion": 9052,
    "native_tokens_completion_images": None,
    "native_tokens_reasoning": 2499,
    "native_tokens_cached": 0,
    "usage": 0.8106725,
    "total_cost": 0.8106725,
    "finish_reason": "stop",
}


def body(**changes: Any) -> bytes:
    return json.dumps({"data": {**RECORDED, **changes}}).encode()


def usage(**changes: int) -> UsageReport:
    counts = {
        "input_tokens": 93_500,
        "cached_input_tokens": 0,
        "cache_write_tokens": 0,
        "output_tokens": 9_052,
        "reasoning_tokens": 2_499,
    }
    return UsageReport(**{**counts, **changes})


def test_the_native_counts_and_the_cost_are_read() -> None:
    report = read_generation(body(), bounds=BOUNDS)
    assert report == GenerationReport(usage=usage(), reported_cost_nanos=Nanos(810_672_500), is_cancelled=False)


def test_what_came_from_the_cache_is_taken_out_of_the_prompt() -> None:
    report = read_generation(body(native_tokens_cached=93_000, cancelled=True), bounds=BOUNDS)
    assert report is not None
    assert report.usage == usage(input_tokens=500, cached_input_tokens=93_000)
    assert report.is_cancelled


def test_zero_is_zero() -> None:
    nothing = {"native_tokens_prompt": 0, "native_tokens_completion": 0, "native_tokens_reasoning": 0, "total_cost": 0}
    report = read_generation(body(**nothing), bounds=BOUNDS)
    assert report is not None
    assert (report.usage.input_tokens, report.usage.output_tokens, report.reported_cost_nanos) == (0, 0, 0)


@pytest.mark.parametrize("missing", ["native_tokens_prompt", "native_tokens_completion"])
def test_a_record_without_counts_is_not_there_yet(missing: str) -> None:
    without = {name: value for name, value in RECORDED.items() if name != missing}
    for text in (body(**{missing: None}), json.dumps({"data": without}).encode(), b'{"data": null}', b"{}"):
        assert read_generation(text, bounds=BOUNDS) is None


@pytest.mark.parametrize("cost", [None, -1, "much", 10_001, True, "NaN"])
def test_a_cost_that_cannot_be_is_not_believed_and_the_counts_are(cost: object) -> None:
    report = read_generation(body(total_cost=cost), bounds=BOUNDS)
    assert report == GenerationReport(usage=usage(), reported_cost_nanos=None, is_cancelled=False)


def test_a_tiny_cost_is_exact() -> None:
    text = body().replace(b'"total_cost": 0.8106725', b'"total_cost": 4.9e-6')
    report = read_generation(text, bounds=BOUNDS)
    assert report is not None
    assert report.reported_cost_nanos == 4_900


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"native_tokens_prompt": -1}, "prompt_tokens"),
        ({"native_tokens_prompt": 100_001}, "prompt_tokens"),
        ({"native_tokens_prompt": 1.5}, "prompt_tokens"),
        ({"native_tokens_completion": "many"}, "completion_tokens"),
        ({"native_tokens_completion": 10_001}, "completion_tokens"),
        ({"native_tokens_completion": 10**30}, "completion_tokens"),
        ({"native_tokens_reasoning": 9_053}, "reasoning_tokens"),
        ({"native_tokens_cached": 93_501}, "cached_tokens"),
    ],
)
def test_counts_that_cannot_be_are_refused_by_name(changes: dict[str, object], named: str) -> None:
    with pytest.raises(ImplausibleUsage, match=named):
        read_generation(body(**changes), bounds=BOUNDS)


@pytest.mark.parametrize("text", [b"", b"<html>", b"[]", b"null", b'{"data": 7}', b'{"data": "x"}', b"\xff"])
def test_what_is_no_record_is_malformed(text: bytes) -> None:
    with pytest.raises(MalformedAnswer):
        read_generation(text, bounds=BOUNDS)
