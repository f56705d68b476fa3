"""The same asked in each of the three dialects, feature by feature."""

from dataclasses import dataclass
from typing import Any

Body = dict[str, Any]

SCHEMA: Body = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "country": {"type": "string"}},
    "required": ["city", "country"],
    "additionalProperties": False,
}
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
DATA_URL = f"data:image/png;base64,{PIXEL}"
ADDRESS = "https://images.example/a.png"
ARGUMENTS = '{"city":"Z\\u00fcrich"}'
SYSTEM = "You are terse. \U0001f600"
PROMPT = "Say something of Zürich."


@dataclass(frozen=True, slots=True)
class Feature:
    """One way of asking, in each dialect's words."""

    name: str
    chat: Body
    responses: Body
    messages: Body

    def bodies(self, model: str, *, is_stream: bool) -> dict[str, Body]:
        """Return a request's body for each path; stream is only said where it is asked for in one of the two ways."""
        said: Body = {"stream": True} if is_stream else {}
        return {
            "/v1/chat/completions": {"model": model, "max_tokens": 60, **self.chat, **said},
            "/v1/responses": {"model": model, "max_output_tokens": 60, **self.responses, **said},
            "/v1/messages": {"model": model, "max_tokens": 60, **self.messages, **said},
        }


def _user(content: object) -> list[Body]:
    return [{"role": "user", "content": content}]


def _chat_tool(name: str) -> Body:
    return {"type": "function", "function": {"name": name, "description": "Tells it.", "parameters": SCHEMA}}


def _responses_tool(name: str) -> Body:
    return {"type": "function", "name": name, "description": "Tells it.", "parameters": SCHEMA}


def _messages_tool(name: str) -> Body:
    return {"name": name, "description": "Tells it.", "input_schema": SCHEMA}


def _chat_call(call_id: str, name: str) -> Body:
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": '{"city":"Zürich"}'}}


def _response_call(call_id: str, name: str) -> Body:
    return {"type": "function_call", "call_id": call_id, "name": name, "arguments": '{"city":"Zürich"}'}


def _message_call(call_id: str, name: str) -> Body:
    return {"type": "tool_use", "id": call_id, "name": name, "input": {"city": "Zürich"}}


NAMES = ("get_weather", "get_time")
FEATURES = (
    Feature(
        "text",
        {"messages": _user(PROMPT)},
        {"input": PROMPT},
        {"messages": _user(PROMPT)},
    ),
    Feature(
        "system and sampling",
        {"messages": [{"role": "system", "content": SYSTEM}, *_user(PROMPT)], "temperature": 0.5, "top_p": 0.9},
        {"instructions": SYSTEM, "input": PROMPT, "temperature": 0.5, "top_p": 0.9},
        {"system": SYSTEM, "messages": _user(PROMPT), "temperature": 0.5, "top_p": 0.9},
    ),
    Feature(
        "a conversation in parts",
        {
            "messages": [
                *_user([{"type": "text", "text": "One"}, {"type": "text", "text": "two"}]),
                {"role": "assistant", "content": "Three."},
                *_user(PROMPT),
            ]
        },
        {
            "input": [
                *_user([{"type": "input_text", "text": "One"}, {"type": "input_text", "text": "two"}]),
                {"role": "assistant", "content": "Three."},
                *_user(PROMPT),
            ]
        },
        {
            "messages": [
                *_user([{"type": "text", "text": "One"}, {"type": "text", "text": "two"}]),
                {"role": "assistant", "content": "Three."},
                *_user(PROMPT),
            ]
        },
    ),
    Feature(
        "tools, one of them at a time",
        {
            "messages": _user(PROMPT),
            "tools": [_chat_tool(name) for name in NAMES],
            "tool_choice": "required",
            "parallel_tool_calls": False,
        },
        {
            "input": PROMPT,
            "tools": [_responses_tool(name) for name in NAMES],
            "tool_choice": "required",
            "parallel_tool_calls": False,
        },
        {
            "messages": _user(PROMPT),
            "tools": [_messages_tool(name) for name in NAMES],
            "tool_choice": {"type": "any", "disable_parallel_tool_use": True},
        },
    ),
    Feature(
        "a named tool",
        {
            "messages": _user(PROMPT),
            "tools": [_chat_tool("get_time")],
            "tool_choice": {"type": "function", "function": {"name": "get_time"}},
        },
        {
            "input": PROMPT,
            "tools": [_responses_tool("get_time")],
            "tool_choice": {"type": "function", "name": "get_time"},
        },
        {
            "messages": _user(PROMPT),
            "tools": [_messages_tool("get_time")],
            "tool_choice": {"type": "tool", "name": "get_time"},
        },
    ),
    Feature(
        "parallel calls and their results",
        {
            "messages": [
                *_user(PROMPT),
                {
                    "role": "assistant",
                    "content": "Let me look.",
                    "tool_calls": [_chat_call(f"call_{name}", name) for name in NAMES],
                },
                *[{"role": "tool", "tool_call_id": f"call_{name}", "content": "sunny"} for name in NAMES],
                *_user("And?"),
            ],
            "tools": [_chat_tool(name) for name in NAMES],
        },
        {
            "input": [
                *_user(PROMPT),
                {"role": "assistant", "content": "Let me look."},
                *[_response_call(f"call_{name}", name) for name in NAMES],
                *[{"type": "function_call_output", "call_id": f"call_{name}", "output": "sunny"} for name in NAMES],
                *_user("And?"),
            ],
            "tools": [_responses_tool(name) for name in NAMES],
        },
        {
            "messages": [
                *_user(PROMPT),
                {
                    "role": "assistant",
                    "content": [
                        {"type": "text", "text": "Let me look."},
                        *[_message_call(f"call_{name}", name) for name in NAMES],
                    ],
                },
                *_user(
                    [
                        *[{"type": "tool_result", "tool_use_id": f"call_{name}", "content": "sunny"} for name in NAMES],
                        {"type": "text", "text": "And?"},
                    ]
                ),
            ],
            "tools": [_messages_tool(name) for name in NAMES],
        },
    ),
    Feature(
        "images",
        {
            "messages": _user(
                [
                    {"type": "text", "text": PROMPT},
                    {"type": "image_url", "image_url": {"url": DATA_URL}},
                    {"type": "image_url", "image_url": {"url": ADDRESS}},
                ]
            )
        },
        {
            "input": _user(
                [
                    {"type": "input_text", "text": PROMPT},
                    {"type": "input_image", "image_url": DATA_URL},
                    {"type": "input_image", "image_url": ADDRESS},
                ]
            )
        },
        {
            "messages": _user(
                [
                    {"type": "text", "text": PROMPT},
                    {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PIXEL}},
                    {"type": "image", "source": {"type": "url", "url": ADDRESS}},
                ]
            )
        },
    ),
    Feature(
        "an image that a tool made",
        {
            "messages": [
                *_user(PROMPT),
                {"role": "assistant", "content": None, "tool_calls": [_chat_call("call_1", "get_map")]},
                {
                    "role": "tool",
                    "tool_call_id": "call_1",
                    "content": [
                        {"type": "text", "text": "north is up"},
                        {"type": "image_url", "image_url": {"url": DATA_URL}},
                    ],
                },
            ],
            "tools": [_chat_tool("get_map")],
        },
        {
            "input": [
                *_user(PROMPT),
                _response_call("call_1", "get_map"),
                {
                    "type": "function_call_output",
                    "call_id": "call_1",
                    "output": [
                        {"type": "input_text", "text": "north is up"},
                        {"type": "input_image", "image_url": DATA_URL},
                    ],
                },
            ],
            "tools": [_responses_tool("get_map")],
        },
        {
            "messages": [
                *_user(PROMPT),
                {"role": "assistant", "content": [_message_call("call_1", "get_map")]},
                *_user(
                    [
                        {
                            "type": "tool_result",
                            "tool_use_id": "call_1",
                            "content": [
                                {"type": "text", "text": "north is up"},
                                {
                                    "type": "image",
                                    "source": {"type": "base64", "media_type": "image/png", "data": PIXEL},
                                },
                            ],
                        }
                    ]
                ),
            ],
            "tools": [_messages_tool("get_map")],
        },
    ),
    Feature(
        "structured",
        {
            "messages": _user(PROMPT),
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "answer", "schema": SCHEMA, "strict": True},
            },
        },
        {
            "input": PROMPT,
            "text": {"format": {"type": "json_schema", "name": "answer", "strict": True, "schema": SCHEMA}},
        },
        {"messages": _user(PROMPT), "output_config": {"format": {"type": "json_schema", "schema": SCHEMA}}},
    ),
    Feature(
        "stopped, and for a user",
        {"messages": _user(PROMPT), "stop": ["END"], "user": "u1", "top_k": 5},
        {"input": PROMPT, "stop": ["END"], "user": "u1", "top_k": 5},
        {"messages": _user(PROMPT), "stop_sequences": ["END"], "metadata": {"user_id": "u1"}, "top_k": 5},
    ),
)
