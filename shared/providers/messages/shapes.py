"""The objects that whole answers and streams share, and their JSON."""

import json
from collections.abc import Mapping
from typing import Any

from shared.providers.priced import CostPlace
from shared.providers.usage import UsageReport

_JSON = json.JSONEncoder(separators=(",", ":"))


def write(value: object) -> bytes:
    """Return compact ASCII JSON: escapes keep lone surrogates, which UTF-8 could not carry."""
    return _JSON.encode(value).encode()


def write_event(fields: Mapping[str, Any]) -> bytes:
    """Return an event of the stream, named by its type as Anthropic's clients expect."""
    return b"event: %s\ndata: %s\n\n" % (fields["type"].encode(), write(fields))


def empty_message(message_id: str, model: str) -> dict[str, Any]:
    """Return a message with nothing in it yet."""
    return {"id": message_id, "type": "message", "role": "assistant", "model": model, "content": []}


def usage_fields(usage: UsageReport, place: CostPlace) -> dict[str, Any]:
    """Return `usage`, with the place of what was charged as its last field.

    source  https://platform.claude.com/docs/en/api/messages (input_tokens is what neither came from a cache nor went
            into one)
    """
    return {
        "input_tokens": usage.input_tokens,
        "cache_creation_input_tokens": usage.cache_write_tokens,
        "cache_read_input_tokens": usage.cached_input_tokens,
        "cache_creation": {
            "ephemeral_5m_input_tokens": usage.cache_write_tokens,
            "ephemeral_1h_input_tokens": 0,
        },
        "output_tokens": usage.output_tokens,
        "output_tokens_details": {"thinking_tokens": usage.reasoning_tokens},
        "service_tier": "standard",
        "cost": int(bytes(place.value)),
    }
