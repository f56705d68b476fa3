"""What a chat request asked for, as far as the simulator honours it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

BYTES_PER_TOKEN = 4
MAX_CHOICES = 128
MAX_TOP_LOGPROBS = 20
# What is answered where JSON of no particular shape was asked for.
ANY_OBJECT: Mapping[str, Any] = {"type": "object", "properties": {"answer": {"type": "string"}}}


class MalformedRequestError(ValueError):
    """The body is not a chat request; the message becomes a 400."""


@dataclass(frozen=True, slots=True)
class Tool:
    """One function the answer may call."""

    name: str
    parameters: object


@dataclass(frozen=True, slots=True)
class Asked:
    """One chat request.

    shape   top_logprobs is None where no logprobs were asked for; json_schema where no JSON was
    """

    model: str
    is_streamed: bool
    wants_usage: bool
    n: int
    max_tokens: int | None
    top_logprobs: int | None
    tools: tuple[Tool, ...]
    json_schema: object | None
    prompt_tokens: int
    image_parts: int


def parse_body(raw: bytes) -> dict[str, Any]:
    """Decode a JSON object.

    raises  MalformedRequestError
    """
    try:
        body = json.loads(raw)
    except ValueError as error:
        raise MalformedRequestError("the body is not JSON") from error
    if not isinstance(body, dict):
        raise MalformedRequestError("the body is not a JSON object")
    return body


def read_asked(body: Mapping[str, Any]) -> Asked:
    """Read the fields that shape the answer; every other field is ignored.

    raises  MalformedRequestError, naming the field
    """
    model = body.get("model")
    if not isinstance(model, str) or not model:
        raise MalformedRequestError("`model` must be a string")
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise MalformedRequestError("`messages` must be a list that is not empty")
    text_bytes, image_parts = _measure(messages)
    limits = [_whole(body, name, 1, 10**9) for name in ("max_tokens", "max_completion_tokens")]
    options = body.get("stream_options")
    return Asked(
        model=model,
        is_streamed=body.get("stream") is True,
        wants_usage=isinstance(options, dict) and options.get("include_usage") is True,
        n=_whole(body, "n", 1, MAX_CHOICES) or 1,
        max_tokens=min((limit for limit in limits if limit is not None), default=None),
        top_logprobs=(_whole(body, "top_logprobs", 0, MAX_TOP_LOGPROBS) or 0) if body.get("logprobs") is True else None,
        tools=_read_tools(body.get("tools")),
        json_schema=_read_json_schema(body.get("response_format")),
        prompt_tokens=max(1, -(-text_bytes // BYTES_PER_TOKEN)),
        image_parts=image_parts,
    )


def _whole(body: Mapping[str, Any], name: str, minimum: int, maximum: int) -> int | None:
    value = body.get(name)
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or not minimum <= value <= maximum:
        raise MalformedRequestError(f"`{name}` must be a whole number, {minimum} to {maximum}")
    return value


def _measure(messages: list[Any]) -> tuple[int, int]:
    """Count the bytes of text and the image parts of all messages."""
    text_bytes = image_parts = 0
    for message in messages:
        content = message.get("content") if isinstance(message, dict) else None
        if isinstance(content, str):
            text_bytes += len(content) if content.isascii() else len(content.encode())
        elif isinstance(content, list):
            for part in content:
                kind = part.get("type") if isinstance(part, dict) else None
                if kind == "text":
                    text_bytes += len(str(part.get("text", "")).encode())
                elif kind == "image_url":
                    image_parts += 1
    return text_bytes, image_parts


def _read_tools(tools: object) -> tuple[Tool, ...]:
    if not isinstance(tools, list):
        return ()
    functions = [tool.get("function") for tool in tools if isinstance(tool, dict)]
    return tuple(
        Tool(str(function.get("name", "")), function.get("parameters"))
        for function in functions
        if isinstance(function, dict)
    )


def _read_json_schema(response_format: object) -> object | None:
    if not isinstance(response_format, dict):
        return None
    if response_format.get("type") == "json_schema":
        wrapper = response_format.get("json_schema")
        return (wrapper.get("schema") if isinstance(wrapper, dict) else None) or ANY_OBJECT
    return ANY_OBJECT if response_format.get("type") == "json_object" else None
