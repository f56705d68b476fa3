"""How large a request is, from above and without a tokenizer, so that its hold pays for its prompt."""

from collections.abc import Mapping
from typing import Any

import msgspec

from shared.core.money import ceil_div

# Role markers and separators of a chat template: ChatML takes 4 to 5 per message, Llama 3 five; doubled and more.
MESSAGE_OVERHEAD_TOKENS = 16
# Default system prompts that templates add unasked: Llama 3.1's dates, Qwen's greeting.
REQUEST_OVERHEAD_TOKENS = 64
# Tool instructions that the provider adds when there are tools: Anthropic documents up to 735.
# source  https://docs.anthropic.com/en/docs/agents-and-tools/tool-use/overview#pricing
TOOLS_OVERHEAD_TOKENS = 800

# Words take two bytes a token at the least; digits and punctuation may be a token each, as in Llama 2's vocabulary.
BYTES_PER_TOKEN = 2
_DENSE_BYTES = bytes(byte for byte in range(0x21, 0x7F) if not chr(byte).isalpha())

# Fields that no provider puts into a prompt, and that may be long.
_NOT_PROMPT = frozenset(
    {
        "messages",
        "model",
        "models",
        "provider",
        "session_id",
        "metadata",
        "user",
        "logit_bias",
        "stop",
        "stream",
        "stream_options",
    }
)
# Quotes, colon and comma around a key or an item, where JSON itself reaches the prompt (tools, schemas).
_PUNCTUATION_BYTES = 4
_FLOAT_BYTES = 24


class RequestCounts(msgspec.Struct, frozen=True, kw_only=True):
    """What one request holds. Images are priced by their model's own rule, so they stand apart.

    dense_bytes: those of text_bytes that may be a token each
    """

    text_bytes: int
    dense_bytes: int
    message_count: int
    image_count: int
    has_tools: bool

    @property
    def prompt_tokens(self) -> int:
        """Return the upper estimate of the prompt's tokens, images excluded."""
        overhead = REQUEST_OVERHEAD_TOKENS + self.message_count * MESSAGE_OVERHEAD_TOKENS
        if self.has_tools:
            overhead += TOOLS_OVERHEAD_TOKENS
        return estimate_text(self.text_bytes, self.dense_bytes) + overhead


def count_request(body: Mapping[str, Any]) -> RequestCounts:
    """Count the text and the images of a chat request in one walk, without recursion.

    policy  from above: every string counts, in fields that we do not know too. Only the address of an image part
            (a base64 data URL or a link) is not text; a data URL inside a text is, because the model reads it as such
    """
    pending: list[object] = [value for name, value in body.items() if name not in _NOT_PROMPT]
    messages = body.get("messages")
    messages = messages if isinstance(messages, list) else []
    image_count = 0
    for message in messages:
        content = message.get("content") if isinstance(message, dict) else None
        if not isinstance(content, list):
            pending.append(message)
            continue
        pending += [value for name, value in message.items() if name != "content"]
        for part in content:
            if isinstance(part, dict) and part.get("image_url") is not None:
                image_count += 1
                pending += _beside_address(part)
            else:
                pending.append(part)
    text_bytes, dense_bytes = _text_bytes(pending)
    return RequestCounts(
        text_bytes=text_bytes,
        dense_bytes=dense_bytes,
        message_count=len(messages),
        image_count=image_count,
        has_tools=bool(body.get("tools") or body.get("functions")),
    )


def weigh_text(text: str) -> tuple[int, int]:
    """Return the bytes of a text, and those of them that may be a token each."""
    data = text.encode("utf-8", "surrogatepass")
    return len(data), len(data) - len(data.translate(None, _DENSE_BYTES))


def estimate_text(text_bytes: int, dense_bytes: int) -> int:
    """Return the most tokens that we expect of a text, by what it weighs."""
    return ceil_div(text_bytes - dense_bytes, BYTES_PER_TOKEN) + dense_bytes


def _beside_address(part: Mapping[str, Any]) -> list[object]:
    """Return the values of an image part that are not the image's address."""
    image = part["image_url"]
    others: list[object] = [value for name, value in part.items() if name != "image_url"]
    if isinstance(image, dict):
        others += [value for name, value in image.items() if not (name == "url" and isinstance(value, str))]
    elif not isinstance(image, str):
        others.append(image)
    return others


def _text_bytes(pending: list[object]) -> tuple[int, int]:
    """Add up the bytes of everything pending, and the dense ones among them, emptying it."""
    total = dense = 0
    while pending:
        value = pending.pop()
        if isinstance(value, str):
            text_bytes, dense_bytes = weigh_text(value)
            total += text_bytes
            dense += dense_bytes
        elif isinstance(value, dict):
            total += len(value) * _PUNCTUATION_BYTES
            pending += value.keys()
            pending += value.values()
        elif isinstance(value, list):
            total += len(value) * _PUNCTUATION_BYTES
            pending += value
        elif isinstance(value, float):
            total += _FLOAT_BYTES
            dense += _FLOAT_BYTES
        elif isinstance(value, int):
            digits = value.bit_length() // 3 + 2
            total += digits
            dense += digits
    return total, dense
