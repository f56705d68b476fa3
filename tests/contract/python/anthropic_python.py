"""The package `anthropic`: Messages."""

import asyncio
from collections.abc import Callable
from typing import Any

import anthropic
from anthropic import Anthropic, AsyncAnthropic, beta_tool

from tests.contract.python.prompts import HELLO, PIXEL, SUNNY, WEATHER, City, call, cancel_when_heard, said

MESSAGES: list[Any] = [{"role": "user", "content": HELLO}]
TOOLS: list[Any] = [{"name": "get_weather", "input_schema": WEATHER}]
MAX_TOKENS = 200


def text(asked: dict[str, Any]) -> dict[str, Any]:
    """Ask for a whole answer."""
    return _answered(_messages(asked).create(**_request(asked)))


def stream(asked: dict[str, Any]) -> dict[str, Any]:
    """Read a stream, piece by piece, and what the client puts together of it."""
    pieces, cost = [], None
    with _messages(asked).stream(**_request(asked)) as opened:
        for event in opened:
            if event.type == "text":
                pieces.append(event.text)
            # What the client puts together leaves out what Anthropic does not name.
            if event.type == "message_delta":
                cost = event.usage.model_extra["cost"]
        final = _answered(opened.get_final_message())
    assert "".join(pieces) == final["text"]
    return {**final, "usage": {**final["usage"], "cost": cost}}


def tools(asked: dict[str, Any]) -> list[dict[str, Any]]:
    """Have tools called, and send their results."""
    first = _messages(asked).create(**_request(asked, tools=TOOLS))
    then = _messages(asked).create(**_request(asked, model=asked["then"], messages=_turns_after(first), tools=TOOLS))
    return [_answered(first), _answered(then)]


def streamed_tools(asked: dict[str, Any]) -> list[dict[str, Any]]:
    """Do the same over streams, put together by the client."""
    with _messages(asked).stream(**_request(asked, tools=TOOLS)) as opened:
        first = opened.get_final_message()
    turns = _request(asked, model=asked["then"], messages=_turns_after(first), tools=TOOLS)
    with _messages(asked).stream(**turns) as opened:
        then = opened.get_final_message()
    return [_answered(first), _answered(then)]


def tool_loop(asked: dict[str, Any]) -> dict[str, Any]:
    """Let the client's own loop run the tool and ask again."""
    inputs, loop = _loop(asked)
    return {"inputs": inputs, "stops": [message.stop_reason for message in loop]}


def streamed_tool_loop(asked: dict[str, Any]) -> dict[str, Any]:
    """Do the same over streams."""
    inputs, loop = _loop(asked, stream=True)
    return {"inputs": inputs, "stops": [opened.get_final_message().stop_reason for opened in loop]}


def structured(asked: dict[str, Any]) -> Any:
    """Have an answer parsed."""
    parsed = _messages(asked).parse(**_request(asked), output_format=City).parsed_output
    return parsed and parsed.model_dump()


def streamed_structured(asked: dict[str, Any]) -> Any:
    """Have a stream parsed at its end."""
    with _messages(asked).stream(**_request(asked), output_format=City) as opened:
        parsed = opened.get_final_message().parsed_output
    return parsed and parsed.model_dump()


def vision(asked: dict[str, Any]) -> dict[str, Any]:
    """Show a picture."""
    picture = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PIXEL}}
    messages = [{"role": "user", "content": [{"type": "text", "text": HELLO}, picture]}]
    return _answered(_messages(asked).create(**_request(asked, messages=messages)))


def cancel(asked: dict[str, Any]) -> dict[str, Any]:
    """Leave a stream after so many pieces."""
    pieces = 0
    with _messages(asked).create(**_request(asked, max_tokens=16_000), stream=True) as events:
        for event in events:
            pieces += event.type == "content_block_delta"
            if pieces == asked["pieces"]:
                break
    return {"pieces": pieces}


def cancel_task(asked: dict[str, Any]) -> dict[str, Any]:
    """Cancel the task in which a stream is read."""
    pieces: list[str] = []

    async def read(has_heard: asyncio.Event) -> None:
        async with (
            AsyncAnthropic(base_url=asked["url"], api_key=asked["apiKey"]) as client,
            client.messages.stream(**_request(asked, max_tokens=16_000)) as events,
        ):
            async for piece in events.text_stream:
                pieces.append(piece)
                if len(pieces) >= asked["pieces"]:
                    has_heard.set()

    cancel_when_heard(read)
    return {"pieces": len(pieces)}


def count_tokens(asked: dict[str, Any]) -> dict[str, Any]:
    """Have a prompt's tokens counted."""
    counted = _messages(asked).count_tokens(model=asked["model"], messages=MESSAGES)
    return {"input_tokens": counted.input_tokens, **(counted.model_extra or {})}


def describe(error: Exception) -> dict[str, Any] | None:
    """Tell an error of the client; None for one that is not its own."""
    if not isinstance(error, anthropic.AnthropicError):
        return None
    body: Any = getattr(error, "body", None)
    found = body["error"] if isinstance(body, dict) and "error" in body else {}
    return {
        "name": type(error).__name__,
        "status": getattr(error, "status_code", None),
        "code": found.get("details", {}).get("error_code"),
        "type": found.get("type"),
        "requestId": getattr(error, "request_id", None),
    }


SCENARIOS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "text": text,
    "stream": stream,
    "tools": tools,
    "streamedTools": streamed_tools,
    "toolLoop": tool_loop,
    "streamedToolLoop": streamed_tool_loop,
    "structured": structured,
    "streamedStructured": streamed_structured,
    "vision": vision,
    "cancel": cancel,
    "cancelTask": cancel_task,
    "countTokens": count_tokens,
}


def _client(asked: dict[str, Any]) -> Anthropic:
    options = {"max_retries": asked["maxRetries"]} if "maxRetries" in asked else {}
    return Anthropic(base_url=asked["url"], api_key=asked["apiKey"], default_headers=asked.get("headers"), **options)


def _messages(asked: dict[str, Any]) -> Any:
    return _client(asked).messages


def _loop(asked: dict[str, Any], **options: Any) -> tuple[list[Any], Any]:
    """Return what the tool will have been called with, and the loop; it opens a thread first, and leaves it."""
    inputs: list[Any] = []

    @beta_tool
    def get_weather(city: str) -> str:
        """The weather of a city."""
        inputs.append({"city": city})
        return SUNNY

    runner = _client(asked).beta.messages.tool_runner
    return inputs, runner(**_request(asked, tools=[get_weather], max_iterations=2, **options))


def _request(asked: dict[str, Any], **fields: Any) -> dict[str, Any]:
    common = {"model": asked["model"], "max_tokens": MAX_TOKENS, "messages": MESSAGES}
    return {**common, **(asked.get("fields") or {}), **fields}


def _turns_after(first: Any) -> list[Any]:
    results = [
        {"type": "tool_result", "tool_use_id": block.id, "content": SUNNY}
        for block in first.content
        if block.type == "tool_use"
    ]
    return [*MESSAGES, {"role": "assistant", "content": first.content}, {"role": "user", "content": results}]


def _answered(message: Any) -> dict[str, Any]:
    return said(
        "".join(block.text for block in message.content if block.type == "text"),
        calls=[call(block.name, block.input) for block in message.content if block.type == "tool_use"],
        stop=message.stop_reason,
        usage=_usage(message.usage),
    )


def _usage(usage: Any) -> dict[str, Any]:
    """Anthropic counts what came from the cache apart, and hidden reasoning as output."""
    details = getattr(usage, "output_tokens_details", None)
    return {
        "input": usage.input_tokens + (usage.cache_read_input_tokens or 0),
        "cached": usage.cache_read_input_tokens,
        "output": usage.output_tokens,
        "reasoning": details and details.thinking_tokens,
        "cost": usage.model_extra.get("cost"),
    }
