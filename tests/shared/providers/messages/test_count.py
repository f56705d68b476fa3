"""The estimate of count_tokens is the one that admission makes."""

from typing import Any

from shared.providers.messages.count import IMAGE_TOKENS, estimate_tokens
from shared.providers.messages.request import to_chat
from shared.providers.request_counts import count_request

BODY: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "hello " * 100}]}
IMAGE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "QUJD" * 10_000}}

SMALL_IMAGE = {"type": "image", "source": {"type": "url", "url": "https://x/y.png"}}


def test_estimate_is_marked_and_is_what_a_hold_is_made_for() -> None:
    translated = to_chat(BODY, is_counted_only=True)
    held = count_request(to_chat(BODY | {"max_tokens": 10}).chat_body).prompt_tokens
    counted = estimate_tokens(translated)
    assert counted["is_estimate"] is True
    # The bound itself is a number in the request, and weighs a little.
    assert 0 <= held - counted["input_tokens"] < 20


def test_an_image_weighs_the_same_whatever_its_bytes() -> None:
    text = {"type": "text", "text": "x"}
    two, three = (
        estimate_tokens(
            to_chat({"model": "m", "messages": [{"role": "user", "content": [text, *images]}]}, is_counted_only=True)
        )["input_tokens"]
        for images in ([IMAGE, SMALL_IMAGE], [IMAGE] * 3)
    )
    assert 2 * IMAGE_TOKENS < two < 2 * IMAGE_TOKENS + 300
    assert IMAGE_TOKENS <= three - two < IMAGE_TOKENS + 100


def test_system_and_tools_count() -> None:
    tools = [{"name": "f", "input_schema": {"type": "object", "description": "d" * 1000}}]
    plain = estimate_tokens(to_chat(BODY, is_counted_only=True))["input_tokens"]
    full = estimate_tokens(to_chat(BODY | {"system": "s" * 1000, "tools": tools}, is_counted_only=True))
    assert full["input_tokens"] > plain + 1000
