"""The size of a request, from above."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.providers.request_counts import (
    MESSAGE_OVERHEAD_TOKENS,
    REQUEST_OVERHEAD_TOKENS,
    TOOLS_OVERHEAD_TOKENS,
    count_request,
)

IMAGE = "data:image/png;base64," + "A" * 100_000


def test_text_is_halved_and_each_message_weighs_something() -> None:
    counts = count_request({"messages": [{"role": "user", "content": "x" * 1000}]})
    assert 1000 <= counts.text_bytes <= 1050
    least = 500 + MESSAGE_OVERHEAD_TOKENS + REQUEST_OVERHEAD_TOKENS
    assert least <= counts.prompt_tokens <= least + 30


@pytest.mark.parametrize("text", ["7" * 1000, "{}[]!?" * 200])
def test_digits_and_punctuation_weigh_a_token_each(text: str) -> None:
    assert count_request({"messages": [{"content": text}]}).prompt_tokens >= len(text)


def test_text_beyond_ascii_counts_its_bytes() -> None:
    assert count_request({"messages": [{"content": "é€😀"}]}).text_bytes >= 9
    assert count_request({"messages": [{"content": "\ud83d"}]}).text_bytes >= 3


@pytest.mark.parametrize("part", [{"type": "image_url", "image_url": {"url": IMAGE}}, {"image_url": IMAGE}])
def test_image_is_counted_as_an_image_and_not_as_text(part: dict[str, Any]) -> None:
    counts = count_request({"messages": [{"role": "user", "content": [part, {"type": "text", "text": "hi"}, part]}]})
    assert counts.image_count == 2
    assert counts.text_bytes < 200


def test_data_url_inside_a_text_is_text() -> None:
    counts = count_request({"messages": [{"content": IMAGE}, {"content": [{"type": "text", "text": IMAGE}]}]})
    assert counts.image_count == 0
    assert counts.text_bytes > 200_000


def test_text_hidden_beside_an_image_counts() -> None:
    part = {"type": "image_url", "image_url": {"url": IMAGE, "alt": "x" * 5000}, "text": "y" * 5000}
    counts = count_request({"messages": [{"content": [part]}]})
    assert 10_000 < counts.text_bytes < 10_200


def test_property_named_image_url_in_a_tool_is_no_image() -> None:
    tool = {"type": "function", "function": {"parameters": {"properties": {"image_url": {"description": "d" * 900}}}}}
    counts = count_request({"messages": [], "tools": [tool]})
    assert (counts.image_count, counts.has_tools) == (0, True)
    assert counts.prompt_tokens > 450 + TOOLS_OVERHEAD_TOKENS


@pytest.mark.parametrize("field", ["tools", "functions", "response_format", "documents", "chat_template", "made_up"])
def test_text_counts_wherever_it_stands(field: str) -> None:
    assert count_request({"messages": [], field: [{"x": ["t" * 3000]}]}).text_bytes >= 3000


@pytest.mark.parametrize(
    "body", [{}, {"messages": None}, {"messages": "x"}, {"messages": [1, None, "x", [], {"content": {}}]}]
)
def test_wrong_shapes_are_counted_and_not_judged(body: dict[str, Any]) -> None:
    assert count_request(body).image_count == 0


def test_depth_costs_no_recursion() -> None:
    deep: list[Any] = []
    for _ in range(50_000):
        deep = [deep]
    assert count_request({"messages": [{"content": [{"text": deep}]}], "tools": deep}).text_bytes > 100_000


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(st.lists(JSON, max_size=4), JSON)
def test_count_is_never_below_the_text_that_is_there(messages: list[Any], tools: object) -> None:
    def text_of(value: object) -> int:
        if isinstance(value, str):
            return len(value.encode(errors="surrogatepass"))
        if isinstance(value, dict):
            return sum(text_of(key) + text_of(item) for key, item in value.items())
        if isinstance(value, list):
            return sum(text_of(item) for item in value)
        return 0 if value is None else len(json.dumps(value))

    assert (
        count_request({"messages": messages, "tools": tools}).text_bytes >= text_of(messages) + text_of(tools) - 5 * 20
    )
