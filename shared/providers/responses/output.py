"""What a response is made of: its object, its items and their ids, how it ended, what it used."""

import json
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

import msgspec

from shared.providers.priced import CostPlace, Priced
from shared.providers.usage import UsageReport

IncompleteReason = Literal["max_output_tokens", "content_filter"]
ItemStatus = Literal["in_progress", "completed", "incomplete"]
ResponseStatus = Literal["in_progress", "completed", "incomplete", "failed"]
CallKind = Literal["function", "custom"]
Item = dict[str, Any]

# What other dialects say for OpenAI's finish reasons, as OpenRouter, Portkey and vLLM pass it on. Any other word, known
# (stop, tool_calls, end_turn) or not, means that the model ended by itself.
_INCOMPLETE_REASONS: Mapping[str, IncompleteReason] = {
    "length": "max_output_tokens",
    "max_tokens": "max_output_tokens",
    "max_output_tokens": "max_output_tokens",
    "model_length": "max_output_tokens",
    "model_context_window_exceeded": "max_output_tokens",
    "content_filter": "content_filter",
    "content_filtered": "content_filter",
    "guardrail_intervened": "content_filter",
    "safety": "content_filter",
    "recitation": "content_filter",
    "prohibited_content": "content_filter",
    "blocklist": "content_filter",
    "spii": "content_filter",
    "refusal": "content_filter",
}
_ITEM_PREFIXES = {"message": "msg", "reasoning": "rs", "function": "fc", "custom": "ctc"}


class Opening(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a response when it begins. created_at: seconds since 1970; model: the one that answers."""

    response_id: str
    created_at: int
    model: str

    def item_id(self, kind: str, output_index: int) -> str:
        """Return the id of an item: it follows from the response's, so that it is the same streamed and whole."""
        return f"{_ITEM_PREFIXES[kind]}_{self._suffix}_{output_index}"

    def call_id(self, output_index: int) -> str:
        """Return the id of a call that the provider gave none."""
        return f"call_{self._suffix}_{output_index}"

    @property
    def _suffix(self) -> str:
        return self.response_id.removeprefix("resp_")


class Call(NamedTuple):
    """A tool call, or a piece of one: every field may be missing in a piece, but not in all of them."""

    kind: CallKind
    call_id: str
    name: str
    text: str


class Ending(msgspec.Struct, frozen=True, kw_only=True):
    """How a response ended."""

    status: ResponseStatus
    completed_at: int | None = None
    incomplete_reason: IncompleteReason | None = None
    error: dict[str, Any] | None = None
    usage: UsageReport | None = None


def incomplete_reason(finish_reason: object) -> IncompleteReason | None:
    """Return why an answer is not all that it would have been; None when the model ended it by itself."""
    return _INCOMPLETE_REASONS.get(finish_reason.lower()) if isinstance(finish_reason, str) else None


def response_object(opening: Opening, echo: Mapping[str, Any], output: list[Item], ending: Ending) -> dict[str, Any]:
    """Return a response as the API shows it, without its usage."""
    reason = ending.incomplete_reason
    return {
        "id": opening.response_id,
        "object": "response",
        "created_at": opening.created_at,
        "completed_at": ending.completed_at,
        "status": ending.status,
        "incomplete_details": None if reason is None else {"reason": reason},
        "error": ending.error,
        "model": opening.model,
        "output": output,
        **echo,
        "usage": None,
    }


def usage_object(report: UsageReport) -> dict[str, Any]:
    """Return what was used as a response says it: exactly what was charged."""
    input_tokens = report.input_tokens + report.cached_input_tokens + report.cache_write_tokens
    return {
        "input_tokens": input_tokens,
        "input_tokens_details": {
            "cached_tokens": report.cached_input_tokens,
            "cache_write_tokens": report.cache_write_tokens,
        },
        "output_tokens": report.output_tokens,
        "output_tokens_details": {"reasoning_tokens": report.reasoning_tokens},
        "total_tokens": input_tokens + report.output_tokens,
    }


def priced_json(response: dict[str, Any], usage: UsageReport | None, *, around: tuple[bytes, bytes]) -> Priced:
    """Encode a response, with a place for its cost in its usage; without usage no cost is named."""
    shown = None if usage is None else usage_object(usage)
    return priced_object({**response, "usage": shown}, around=around)


def priced_object(response: Mapping[str, Any], *, around: tuple[bytes, bytes] = (b"", b"")) -> Priced:
    """Encode a response that has its usage, with a place for its cost there."""
    if response["usage"] is None:
        return Priced(around[0] + encode_json(response) + around[1])
    place = CostPlace()
    # A plain number, because json, which writes halves of emoji, knows no raw values.
    shown = response["usage"] | {"cost": int(bytes(place.value))}
    return place.split(around[0] + encode_json({**response, "usage": shown}) + around[1])


def encode_json(value: object) -> bytes:
    """Encode as JSON on one line.

    policy  UTF-8, but escaped where it holds halves of emoji, which JavaScript upstreams cut between two chunks, or
            integers of more than 64 bits
    """
    try:
        return msgspec.json.encode(value)
    except (UnicodeEncodeError, OverflowError):
        return json.dumps(value, separators=(",", ":")).encode()


def call_item(call: Call, item_id: str, status: ItemStatus) -> Item:
    """Return the item of a tool call."""
    if call.kind == "custom":
        return {
            "type": "custom_tool_call",
            "id": item_id,
            "status": status,
            "call_id": call.call_id,
            "name": call.name,
            "input": call.text,
        }
    return {
        "type": "function_call",
        "id": item_id,
        "status": status,
        "call_id": call.call_id,
        "name": call.name,
        "arguments": call.text,
    }


def message_item(item_id: str, content: list[Item], status: ItemStatus) -> Item:
    """Return the item of a message."""
    return {"type": "message", "id": item_id, "status": status, "role": "assistant", "content": content}


def reasoning_item(item_id: str, thoughts: list[Item], sealed: str | None, status: ItemStatus) -> Item:
    """Return the item of reasoning; thoughts are its parts of both kinds."""
    item: Item = {
        "type": "reasoning",
        "id": item_id,
        "status": status,
        "summary": [part for part in thoughts if part["type"] == "summary_text"],
        "content": [part for part in thoughts if part["type"] == "reasoning_text"],
    }
    if sealed is not None:
        item["encrypted_content"] = sealed
    return item


def text_part(text: str, annotations: list[Item], logprobs: list[Item]) -> Item:
    """Return the content part of a text."""
    return {"type": "output_text", "text": text, "annotations": annotations, "logprobs": logprobs}
