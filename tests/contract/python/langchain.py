"""LangChain's package for OpenAI: ChatOpenAI over chat completions and Responses, OpenAIEmbeddings."""

from collections.abc import Callable
from typing import Any

import openai
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolMessage
from langchain_openai import ChatOpenAI, OpenAIEmbeddings

from tests.contract.python.prompts import HELLO, PIXEL, SUNNY, WEATHER, City, call, said

QUESTION = [HumanMessage(HELLO)]
TOOLS: list[Any] = [{"type": "function", "function": {"name": "get_weather", "parameters": WEATHER}}]


def text(asked: dict[str, Any]) -> dict[str, Any]:
    """Ask for a whole answer."""
    return _answered(_chat(asked).invoke(QUESTION))


def stream(asked: dict[str, Any]) -> dict[str, Any]:
    """Read a stream, its chunks put together as LangChain adds them."""
    return _answered(_sum_of(_chat(asked).stream(QUESTION)))


def tools(asked: dict[str, Any]) -> list[dict[str, Any]]:
    """Have tools called, and send their results."""
    first: Any = _chat(asked).bind_tools(TOOLS).invoke(QUESTION)
    then = _chat(asked, model=asked["then"]).bind_tools(TOOLS).invoke(_turns_after(first))
    return [_answered(first), _answered(then)]


def streamed_tools(asked: dict[str, Any]) -> list[dict[str, Any]]:
    """Do the same over streams."""
    first = _sum_of(_chat(asked).bind_tools(TOOLS).stream(QUESTION))
    then = _sum_of(_chat(asked, model=asked["then"]).bind_tools(TOOLS).stream(_turns_after(first)))
    return [_answered(first), _answered(then)]


def structured(asked: dict[str, Any]) -> Any:
    """Have an answer parsed."""
    parsed: Any = _chat(asked).with_structured_output(City).invoke(QUESTION)
    return parsed.model_dump()


def streamed_structured(asked: dict[str, Any]) -> Any:
    """Have a stream parsed."""
    parsed: Any = list(_chat(asked).with_structured_output(City).stream(QUESTION))[-1]
    return parsed.model_dump()


def vision(asked: dict[str, Any]) -> dict[str, Any]:
    """Show a picture, as LangChain writes one for every provider."""
    picture = {"type": "image", "base64": PIXEL, "mime_type": "image/png"}
    return _answered(_chat(asked).invoke([HumanMessage([{"type": "text", "text": HELLO}, picture])]))


def cancel(asked: dict[str, Any]) -> dict[str, Any]:
    """Leave a stream after so many pieces."""
    pieces = 0
    chunks: Any = _chat(asked).stream(QUESTION)
    for chunk in chunks:
        pieces += bool(chunk.content)
        if pieces == asked["pieces"]:
            break
    chunks.close()
    return {"pieces": pieces}


def embeddings(asked: dict[str, Any]) -> dict[str, Any]:
    """Have texts turned into vectors; without check_embedding_ctx_length the client would send OpenAI's own tokens."""
    model = OpenAIEmbeddings(model=asked["model"], check_embedding_ctx_length=False, **_options(asked))
    return {"vectors": model.embed_documents(asked["inputs"]), "usage": None}


def responses(asked: dict[str, Any]) -> dict[str, Any]:
    """Continue a stored response with the results of its tools; LangChain has no call that reads or deletes one."""
    speaker = _chat(asked, use_responses_api=True).bind_tools(TOOLS)
    first: Any = speaker.invoke(QUESTION)
    results = [ToolMessage(SUNNY, tool_call_id=each["id"]) for each in first.tool_calls]
    following = _chat(asked, use_responses_api=True, model=asked["then"]).bind_tools(TOOLS)
    then = _sum_of(following.stream(results, previous_response_id=first.response_metadata["id"]))
    usage: Any = then.usage_metadata
    return {
        "calls": [call(each["name"], each["args"]) for each in first.tool_calls],
        "text": str(then.text),
        "usage": {"input": usage["input_tokens"], "output": usage["output_tokens"]},
    }


def structured_response(asked: dict[str, Any]) -> Any:
    """Have a response parsed."""
    parsed: Any = _chat(asked, use_responses_api=True).with_structured_output(City).invoke(QUESTION)
    return parsed.model_dump()


def describe(error: Exception) -> dict[str, Any] | None:
    """Tell an error, which LangChain leaves as the package `openai` raised it; None for any other."""
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
    "embeddings": embeddings,
    "responses": responses,
    "structuredResponse": structured_response,
}


def _options(asked: dict[str, Any]) -> dict[str, Any]:
    retries = {"max_retries": asked["maxRetries"]} if "maxRetries" in asked else {}
    return {
        "base_url": f"{asked['url']}/v1",
        "api_key": asked["apiKey"],
        "default_headers": asked.get("headers"),
        **retries,
    }


def _chat(asked: dict[str, Any], **options: Any) -> ChatOpenAI:
    # Without stream_usage it asks for no usage of a stream whose base_url is not OpenAI's.
    common = {"model": asked["model"], "stream_usage": True, **_options(asked), **(asked.get("fields") or {})}
    return ChatOpenAI(**{**common, **options})


def _sum_of(chunks: Any) -> Any:
    total = None
    for chunk in chunks:
        total = chunk if total is None else total + chunk
    return total


def _turns_after(first: AIMessage) -> list[BaseMessage]:
    return [*QUESTION, first, *(ToolMessage(SUNNY, tool_call_id=each["id"]) for each in first.tool_calls)]


def _answered(message: Any) -> dict[str, Any]:
    told = message.response_metadata
    return said(
        str(message.text),
        calls=[call(each["name"], each["args"]) for each in message.tool_calls],
        stop=told.get("finish_reason"),
        usage=_usage(message.usage_metadata, told.get("token_usage") or {}),
    )


def _usage(counted: Any, as_it_came: dict[str, Any]) -> dict[str, Any]:
    """Of a stream LangChain keeps its own counts alone, without what the gateway adds to them."""
    return {
        "input": counted["input_tokens"],
        "cached": counted.get("input_token_details", {}).get("cache_read"),
        "output": counted["output_tokens"],
        "reasoning": counted.get("output_token_details", {}).get("reasoning"),
        "cost": as_it_came.get("cost"),
    }
