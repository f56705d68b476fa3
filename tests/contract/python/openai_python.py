"""The package `openai`, newest and older: chat completions, Responses, embeddings and images."""

import asyncio
from collections.abc import Callable
from typing import Any

import openai
from openai import AsyncOpenAI, OpenAI

from tests.contract.python.prompts import HELLO, PIXEL, SUNNY, WEATHER, City, call, cancel_when_heard, said

MESSAGES: list[Any] = [{"role": "user", "content": HELLO}]
TOOLS: list[Any] = [{"type": "function", "function": {"name": "get_weather", "parameters": WEATHER}}]
FUNCTIONS: list[Any] = [{"type": "function", "name": "get_weather", "parameters": WEATHER, "strict": True}]


def text(asked: dict[str, Any]) -> dict[str, Any]:
    """Ask for a whole answer."""
    return _completed(_chat(asked).create(model=asked["model"], messages=MESSAGES, **_fields(asked)))


def stream(asked: dict[str, Any]) -> dict[str, Any]:
    """Read a stream, piece by piece."""
    chunks = _chat(asked).create(
        model=asked["model"], messages=MESSAGES, stream=True, stream_options={"include_usage": True}, **_fields(asked)
    )
    pieces, stop, usage = [], None, None
    for chunk in chunks:
        for choice in chunk.choices:
            pieces.append(choice.delta.content or "")
            stop = choice.finish_reason or stop
        usage = chunk.usage or usage
    return said("".join(pieces), stop=stop, usage=_usage(usage))


def tools(asked: dict[str, Any]) -> list[dict[str, Any]]:
    """Have tools called, and send their results."""
    first = _chat(asked).create(model=asked["model"], messages=MESSAGES, tools=TOOLS)
    then = _chat(asked).create(model=asked["then"], messages=_turns_after(first), tools=TOOLS)
    return [_completed(first), _completed(then)]


def streamed_tools(asked: dict[str, Any]) -> list[dict[str, Any]]:
    """Do the same over streams, put together by the client."""
    with _chat(asked).stream(model=asked["model"], messages=MESSAGES, tools=TOOLS) as opened:
        first = opened.get_final_completion()
    with _chat(asked).stream(model=asked["then"], messages=_turns_after(first), tools=TOOLS) as opened:
        then = opened.get_final_completion()
    return [_completed(first), _completed(then)]


def structured(asked: dict[str, Any]) -> Any:
    """Have an answer parsed."""
    answer = _chat(asked).parse(model=asked["model"], messages=MESSAGES, response_format=City)
    parsed = answer.choices[0].message.parsed
    return parsed and parsed.model_dump()


def streamed_structured(asked: dict[str, Any]) -> Any:
    """Have a stream parsed at its end."""
    with _chat(asked).stream(model=asked["model"], messages=MESSAGES, response_format=City) as opened:
        parsed = opened.get_final_completion().choices[0].message.parsed
    return parsed and parsed.model_dump()


def vision(asked: dict[str, Any]) -> dict[str, Any]:
    """Show a picture."""
    picture = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}}
    messages: list[Any] = [{"role": "user", "content": [{"type": "text", "text": HELLO}, picture]}]
    return _completed(_chat(asked).create(model=asked["model"], messages=messages))


def cancel(asked: dict[str, Any]) -> dict[str, Any]:
    """Leave a stream after so many pieces."""
    pieces = 0
    with _chat(asked).create(model=asked["model"], messages=MESSAGES, stream=True) as chunks:
        for chunk in chunks:
            pieces += bool(chunk.choices and chunk.choices[0].delta.content)
            if pieces == asked["pieces"]:
                break
    return {"pieces": pieces}


def cancel_task(asked: dict[str, Any]) -> dict[str, Any]:
    """Cancel the task in which a stream is read."""
    pieces: list[str] = []

    async def read(has_heard: asyncio.Event) -> None:
        async with AsyncOpenAI(base_url=f"{asked['url']}/v1", api_key=asked["apiKey"]) as client:
            async for chunk in await client.chat.completions.create(
                model=asked["model"], messages=MESSAGES, stream=True
            ):
                pieces.extend(choice.delta.content for choice in chunk.choices if choice.delta.content)
                if len(pieces) >= asked["pieces"]:
                    has_heard.set()

    cancel_when_heard(read)
    return {"pieces": len(pieces)}


def embeddings(asked: dict[str, Any]) -> dict[str, Any]:
    """Have texts turned into vectors; the client asks for base64 and decodes it."""
    answer = _client(asked).embeddings.create(model=asked["model"], input=asked["inputs"])
    usage = {"input": answer.usage.prompt_tokens, "cost": (answer.usage.model_extra or {}).get("cost")}
    return {"vectors": [each.embedding for each in answer.data], "usage": usage}


def images(asked: dict[str, Any]) -> dict[str, Any]:
    """Have images made."""
    answer = _client(asked).images.generate(model=asked["model"], prompt=HELLO, n=asked["n"])
    cost = ((answer.usage and answer.usage.model_extra) or {}).get("cost")
    return {"images": [each.b64_json for each in answer.data or ()], "cost": cost}


def responses(asked: dict[str, Any]) -> dict[str, Any]:
    """Have a response stored, continue it with the results of its tools, read it again and delete it."""
    client = _client(asked)
    first = client.responses.create(model=asked["model"], input=HELLO, tools=FUNCTIONS)
    calls = [item for item in first.output if item.type == "function_call"]
    results: list[Any] = [{"type": "function_call_output", "call_id": each.call_id, "output": SUNNY} for each in calls]
    with client.responses.stream(
        model=asked["then"], previous_response_id=first.id, input=results, tools=FUNCTIONS
    ) as opened:
        numbers = [event.sequence_number for event in opened]
        then = opened.get_final_response()
    read = client.responses.retrieve(then.id)
    client.responses.delete(then.id)
    assert then.usage is not None
    return {
        "calls": [call(each.name, each.arguments) for each in calls],
        "numbers": numbers,
        "text": then.output_text,
        "readText": read.output_text,
        "usage": {
            "input": then.usage.input_tokens,
            "output": then.usage.output_tokens,
            "cost": (then.usage.model_extra or {}).get("cost"),
        },
        "left": _error_of(lambda: client.responses.retrieve(then.id)),
    }


def structured_response(asked: dict[str, Any]) -> Any:
    """Have a response parsed."""
    parsed = _client(asked).responses.parse(model=asked["model"], input=HELLO, text_format=City).output_parsed
    return parsed and parsed.model_dump()


def models(asked: dict[str, Any]) -> dict[str, Any]:
    """List the models and find one."""
    client = _client(asked)
    return {"ids": [each.id for each in client.models.list()], "found": client.models.retrieve(asked["model"]).id}


def describe(error: Exception) -> dict[str, Any] | None:
    """Tell an error of the client; None for one that is not its own."""
    if not isinstance(error, openai.OpenAIError):
        return None
    return {
        "name": type(error).__name__,
        "status": getattr(error, "status_code", None),
        "code": getattr(error, "code", None),
        "requestId": getattr(error, "request_id", None),
    }


SCENARIOS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "text": text,
    "stream": stream,
    "tools": tools,
    "streamedTools": streamed_tools,
    "structured": structured,
    "streamedStructured": streamed_structured,
    "vision": vision,
    "cancel": cancel,
    "cancelTask": cancel_task,
    "embeddings": embeddings,
    "images": images,
    "responses": responses,
    "structuredResponse": structured_response,
    "models": models,
}


def _client(asked: dict[str, Any]) -> OpenAI:
    options = {"max_retries": asked["maxRetries"]} if "maxRetries" in asked else {}
    return OpenAI(
        base_url=f"{asked['url']}/v1", api_key=asked["apiKey"], default_headers=asked.get("headers"), **options
    )


def _chat(asked: dict[str, Any]) -> Any:
    return _client(asked).chat.completions


def _fields(asked: dict[str, Any]) -> Any:
    return asked.get("fields") or {}


def _turns_after(first: Any) -> list[Any]:
    message = first.choices[0].message
    results = [{"role": "tool", "tool_call_id": each.id, "content": SUNNY} for each in message.tool_calls]
    return [*MESSAGES, message, *results]


def _completed(answer: Any) -> dict[str, Any]:
    (choice,) = answer.choices
    calls = [call(each.function.name, each.function.arguments) for each in choice.message.tool_calls or ()]
    return said(choice.message.content, calls=calls, stop=choice.finish_reason, usage=_usage(answer.usage))


def _usage(usage: Any) -> dict[str, Any] | None:
    return usage and {
        "input": usage.prompt_tokens,
        "cached": usage.prompt_tokens_details and usage.prompt_tokens_details.cached_tokens,
        "output": usage.completion_tokens,
        "reasoning": usage.completion_tokens_details and usage.completion_tokens_details.reasoning_tokens,
        "cost": usage.model_extra["cost"],
    }


def _error_of(attempt: Callable[[], object]) -> dict[str, Any] | None:
    try:
        attempt()
    except openai.OpenAIError as error:
        return describe(error)
    return None
