"""Responses requests and the items that they are made of."""

from typing import Any

from shared.providers.responses.request import to_chat

MODEL = "openai/gpt-4o-mini"
TOOL = {"type": "function", "name": "f", "parameters": {"type": "object"}, "strict": True, "description": "F."}
CHAT_TOOL = {
    "type": "function",
    "function": {"name": "f", "parameters": {"type": "object"}, "strict": True, "description": "F."},
}
CALL = {"type": "function_call", "id": "fc_1", "call_id": "c1", "name": "f", "arguments": "{}", "status": "completed"}
OUTPUT = {"type": "function_call_output", "call_id": "c1", "output": "42"}
CHAT_CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}


def body(given: object = "hi", **fields: object) -> dict[str, Any]:
    return {"model": MODEL, "input": given, **fields}


def chat(given: object = "hi", **fields: object) -> dict[str, Any]:
    return to_chat(body(given, **fields)).chat_body


def messages(*items: object) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = chat(list(items))["messages"]
    return listed


def said(text: str, item_id: str = "msg_1") -> dict[str, Any]:
    content = [{"type": "output_text", "text": text, "annotations": [], "logprobs": []}]
    return {"type": "message", "id": item_id, "role": "assistant", "status": "completed", "content": content}
