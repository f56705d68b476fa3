"""Thoughts come back to their model as they left it, whoever made it and whatever the client was shown of them."""

from typing import Any

import pytest

from shared.providers.messages.request import Echo, to_chat
from tests.shared.providers.messages.asking import delta, streamed, whole

CLAUDE, OPENAI, GEMINI = "anthropic-claude-v1", "openai-responses-v1", "google-gemini-v1"
DETAILS: dict[str, list[dict[str, Any]]] = {
    "Claude": [
        {"type": "reasoning.text", "text": "one", "signature": "S1", "format": CLAUDE, "index": 0},
        {"type": "reasoning.encrypted", "data": "DD", "format": CLAUDE, "index": 1},
        {"type": "reasoning.text", "text": "two", "signature": "S2", "format": CLAUDE, "index": 2},
    ],
    # Two details of one thought: they share its index.
    "OpenAI": [
        {"type": "reasoning.summary", "summary": "sum", "format": OPENAI, "index": 0},
        {"type": "reasoning.encrypted", "data": "EE", "id": "rs_9", "format": OPENAI, "index": 0},
    ],
    "Gemini": [{"type": "reasoning.encrypted", "data": "TS1", "id": "tool_1", "format": GEMINI, "index": 0}],
}


def given_back(message: dict[str, Any]) -> Any:
    """Return what the model reads of its own answer, when the client sends that back as it came."""
    said = {"role": "user", "content": "x"}
    messages = [said, {"role": "assistant", "content": message["content"]}, said]
    body = to_chat({"model": "m", "max_tokens": 50, "messages": messages}).chat_body
    return body["messages"][1]["reasoning_details"]


@pytest.mark.parametrize("maker", DETAILS)
@pytest.mark.parametrize("is_omitted", [False, True], ids=["shown", "omitted"])
def test_thoughts_come_back_as_they_were(maker: str, *, is_omitted: bool) -> None:
    echo, details = Echo(is_thinking_omitted=is_omitted), DETAILS[maker]
    assert given_back(whole({"content": "hi", "reasoning_details": details}, echo)) == details
    chunks = [*(delta(reasoning_details=[detail]) for detail in details), delta(content="hi"), delta("stop")]
    assert given_back(streamed(chunks, echo)) == details
