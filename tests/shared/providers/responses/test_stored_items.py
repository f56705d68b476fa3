"""What is stored of an item says the same to a model as the item did, and no more than that."""

import json
from typing import Any

import pytest

from shared.providers.responses.request import to_chat
from shared.providers.responses.stored_items import stored_form

JUNK = [{"a": 0}] * 100
MARK = {"type": "ephemeral"}
CALL = {"type": "function_call", "id": "fc_1", "call_id": "c", "name": "f", "arguments": "{}", "status": "completed"}
ITEMS: list[dict[str, Any]] = [
    {"role": "user", "content": "words", "id": "mine", "status": "completed"},
    {"role": "user", "content": [{"type": "input_text", "text": "a", "cache_control": MARK, "logprobs": JUNK}]},
    {"role": "user", "content": [{"type": "input_image", "image_url": "https://x/y.png", "detail": "low"}]},
    {"role": "assistant", "content": [{"type": "output_text", "text": "a", "annotations": JUNK}], "phase": "final"},
    {"role": "assistant", "content": [{"type": "refusal", "refusal": "no"}]},
    {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "s", "junk": JUNK}]},
    {"type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": "t", "junk": JUNK}]},
    CALL,
    {"type": "custom_tool_call", "call_id": "d", "name": "g", "input": "free text"},
    {"type": "function_call_output", "call_id": "c", "output": "42"},
    {"type": "function_call_output", "call_id": "c", "output": [{"type": "input_text", "text": "42"}]},
    {
        "type": "custom_tool_call_output",
        "call_id": "c",
        "output": [{"type": "input_text", "text": "", "logprobs": JUNK}],
    },
]


@pytest.mark.parametrize("item", ITEMS, ids=range(len(ITEMS)))
def test_an_item_says_the_same_when_it_is_read_back(item: dict[str, Any]) -> None:
    kept = stored_form(item)
    asked, again = (to_chat({"model": "m", "input": [CALL, each]}).chat_body for each in (item, kept))
    assert again == asked
    assert kept.get("id") == item.get("id")
    assert stored_form(kept) == kept
    assert len(json.dumps(kept)) < 200
