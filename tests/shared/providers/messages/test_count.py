"""The estimate of count_tokens is the one that admission makes."""

from typing import Any

from shared.providers.messages.count import IMAGE_TOKENS, estimate_tokens
from shared.providers.messages.request import to_chat
from shared.providers.request_counts import count_request

BODY: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "hello " * 100}]}
IMAGE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "QUJD" * 10_000}}


def test_estimate_is_marked_and_is_what_a_hold_is_made_for() -> None:
    translated = to_chat(BODY, is_counted_only=True)
    held = count_request(to_chat(BODY | {"max_tokens": 10}).chat_body).prompt_tokens
    counted = estimate_tokens(translated)
    assert counted["is_estimate"] is True
    # The bound itself is a number in the request, and weighs a little.
    assert 0 <= held - counted["input_tokens"] < 20


def test_image_weighs_what_its_model_takes_for_one_and_not_its_bytes() -> None:
    body = {"model": "m", "messages": [{"role": "user", "content": [{"type": "text", "text": "x"}, IMAGE, IMAGE]}]}
    translated = to_chat(body, is_counted_only=True)
    without = estimate_tokens(translated, image_tokens=0)["input_tokens"]
    assert without < 300
    assert estimate_tokens(translated)["input_tokens"] == without + 2 * IMAGE_TOKENS


def test_system_and_tools_count() -> None:
    tools = [{"name": "f", "input_schema": {"type": "object", "description": "d" * 1000}}]
    plain = estimate_tokens(to_chat(BODY, is_counted_only=True))["input_tokens"]
    full = estimate_tokens(to_chat(BODY | {"system": "s" * 1000, "tools": tools}, is_counted_only=True))
    assert full["input_tokens"] > plain + 1000
