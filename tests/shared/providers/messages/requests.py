"""Messages requests and the blocks that they are made of."""

from typing import Any

from shared.providers.messages.request import to_chat

PLAIN: dict[str, Any] = {"model": "m", "max_tokens": 2000, "messages": [{"role": "user", "content": "hi"}]}
TOOL: dict[str, Any] = {"name": "f", "input_schema": {"type": "object"}}
CACHED = {"type": "ephemeral"}
LONG_CACHED = {"type": "ephemeral", "ttl": "1h"}
IMAGE: dict[str, Any] = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "QUJD"}}
IMAGE_PART = {"type": "image_url", "image_url": {"url": "data:image/png;base64,QUJD"}}
USE: dict[str, Any] = {"type": "tool_use", "id": "t1", "name": "f", "input": {"x": 1}}
RESULT: dict[str, Any] = {"type": "tool_result", "tool_use_id": "t1", "content": "42"}
THOUGHT: dict[str, Any] = {"type": "thinking", "thinking": "hm", "signature": "sig=="}


def asked(**fields: object) -> dict[str, Any]:
    return to_chat(PLAIN | fields).chat_body


def text(content: str, **fields: object) -> dict[str, Any]:
    return {"type": "text", "text": content, **fields}
