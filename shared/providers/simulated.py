"""The provider that answers inside the function: for test keys and documentation, deterministic and free."""

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

import msgspec

from shared.core.ids import ProviderSlug
from shared.core.money import ceil_div
from shared.providers.openai_chat import DONE
from shared.providers.record import Provider
from shared.providers.request_counts import count_request

SIMULATED = Provider(slug=ProviderSlug("simulated"), name="Simulated", url="", base_url="", chat_path="")

MAX_CHOICES = 128
MAX_ECHO_CHARACTERS = 1_000
BYTES_PER_TOKEN = 4
_MAX_SCHEMA_DEPTH = 8
# Whatever a schema asks for, the answer stays small: it is made while other requests wait.
_MAX_SCHEMA_NODES = 200
_MAX_CONSTANT_CHARACTERS = 100
_MAX_STREAMED_TOKENS = 2_000
_TOKEN = re.compile(r"\s*\S+")


class _Reply(msgspec.Struct, frozen=True, kw_only=True):
    """One answer, before it is put into a shape; every choice says the same."""

    tokens: list[str]
    tool_call: dict[str, Any] | None
    finish_reason: str
    choices: int
    usage: dict[str, Any]
    facts: dict[str, Any]


def answer(body: Mapping[str, Any]) -> bytes:
    """Return the completion that body asks for: the last user message again, or the tool call that it requires.

    policy  never raises: what is wrong in a body that passed the edge is read as absent
    """
    reply = _reply_to(body)
    message: dict[str, Any] = {"role": "assistant", "content": "".join(reply.tokens), "refusal": None}
    if reply.tool_call is not None:
        message |= {"content": None, "tool_calls": [reply.tool_call]}
    choices = [
        {"index": index, "message": message, "logprobs": None, "finish_reason": reply.finish_reason}
        for index in range(reply.choices)
    ]
    return _encode({**reply.facts, "object": "chat.completion", "choices": choices, "usage": reply.usage})


def answer_events(body: Mapping[str, Any]) -> list[bytes]:
    """Return the same answer as a stream: a role, a token per event, a finish, the usage chunk and [DONE]."""
    reply = _reply_to(body)
    facts = {**reply.facts, "object": "chat.completion.chunk"}
    # Many choices come in few pieces each: the whole stream is made at once.
    piece = max(1, ceil_div(len(reply.tokens) * reply.choices, _MAX_STREAMED_TOKENS))
    pieces = ["".join(reply.tokens[start : start + piece]) for start in range(0, len(reply.tokens), piece)]
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
    deltas += [{"content": text} for text in pieces]
    if reply.tool_call is not None:
        deltas.append({"tool_calls": [{"index": 0, **reply.tool_call}]})
    chunks = [
        {**facts, "choices": [{"index": index, "delta": delta, "logprobs": None, "finish_reason": None}]}
        for index in range(reply.choices)
        for delta in deltas
    ]
    chunks += [
        {**facts, "choices": [{"index": index, "delta": {}, "logprobs": None, "finish_reason": reply.finish_reason}]}
        for index in range(reply.choices)
    ]
    chunks.append({**facts, "choices": [], "usage": reply.usage})
    return [*(b"data: " + _encode(chunk) + b"\n\n" for chunk in chunks), DONE]


def _reply_to(body: Mapping[str, Any]) -> _Reply:
    called = _required_function(body)
    tool_call = None if called is None else _tool_call(called)
    tokens = [] if tool_call else _TOKEN.findall(_content(body)[:MAX_ECHO_CHARACTERS])
    bound = _positive(body.get("max_completion_tokens")) or _positive(body.get("max_tokens"))
    is_cut = tool_call is None and bound is not None and len(tokens) > bound
    tokens = tokens[:bound] if is_cut else tokens
    choices = min(_positive(body.get("n")) or 1, MAX_CHOICES)
    output_tokens = choices * (len(_TOKEN.findall(tool_call["function"]["arguments"])) if tool_call else len(tokens))
    prompt_tokens = ceil_div(count_request(body).text_bytes, BYTES_PER_TOKEN) + 1
    digest = hashlib.sha256(_encode(body)).hexdigest()
    model = body.get("model")
    return _Reply(
        tokens=tokens,
        tool_call=tool_call,
        finish_reason="tool_calls" if tool_call else "length" if is_cut else "stop",
        choices=choices,
        usage={
            "prompt_tokens": prompt_tokens,
            "completion_tokens": output_tokens,
            "total_tokens": prompt_tokens + output_tokens,
        },
        facts={
            "id": f"chatcmpl-simulated-{digest[:24]}",
            "created": 0,
            "model": model if isinstance(model, str) else "simulated",
        },
    )


def _content(body: Mapping[str, Any]) -> str:
    response_format = body.get("response_format")
    kind = response_format.get("type") if isinstance(response_format, dict) else None
    if kind == "json_schema" and isinstance(response_format, dict):
        return json.dumps(_Instance().of(_child(_child(response_format, "json_schema"), "schema")))
    if kind == "json_object":
        return json.dumps({"said": _last_user_text(body)})
    return f"You said: {_last_user_text(body)}"


def _last_user_text(body: Mapping[str, Any]) -> str:
    messages = body.get("messages")
    for message in reversed(messages if isinstance(messages, list) else []):
        content = message.get("content") if isinstance(message, dict) and message.get("role") == "user" else None
        if isinstance(content, str):
            return content[:MAX_ECHO_CHARACTERS]
        if isinstance(content, list):
            texts = [part.get("text") for part in content if isinstance(part, dict)]
            return " ".join(text for text in texts if isinstance(text, str))[:MAX_ECHO_CHARACTERS]
    return "nothing"


def _required_function(body: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the function that tool_choice forces; the first one for "required"."""
    tools = body.get("tools")
    functions = [_child(tool, "function") for tool in (tools if isinstance(tools, list) else [])]
    choice = body.get("tool_choice")
    if choice == "required":
        return functions[0] if functions else None
    if isinstance(choice, dict):
        wanted = _child(choice, "function").get("name")
        return next((function for function in functions if function.get("name") == wanted), None)
    return None


def _tool_call(function: Mapping[str, Any]) -> dict[str, Any]:
    name = str(function.get("name", ""))
    arguments = json.dumps(_Instance().of(_child(function, "parameters") or {"type": "object"}))
    call_id = hashlib.sha256(f"{name}{arguments}".encode(errors="surrogatepass")).hexdigest()[:24]
    return {"id": f"call_{call_id}", "type": "function", "function": {"name": name, "arguments": arguments}}


class _Instance:
    """Makes a small value that a plain JSON schema accepts; references and combinations are not followed."""

    def __init__(self) -> None:
        self._nodes_left = _MAX_SCHEMA_NODES

    def of(self, schema: Mapping[str, Any], depth: int = 0) -> Any:
        """Return the value; past the budget of nodes or the depth, null."""
        self._nodes_left -= 1
        if self._nodes_left < 0 or depth > _MAX_SCHEMA_DEPTH:
            return None
        named = schema["const"] if "const" in schema else _first(schema.get("enum"))
        if isinstance(named, str | int | float | bool):
            return named[:_MAX_CONSTANT_CHARACTERS] if isinstance(named, str) else named
        kind = schema.get("type")
        kind = _first(kind) if isinstance(kind, list) else kind
        if kind == "object" or (kind is None and depth == 0):
            properties = _child(schema, "properties")
            return {name: self.of(_child(properties, name), depth + 1) for name in self._required(schema)}
        if kind == "array":
            return [self.of(_child(schema, "items"), depth + 1)] if _positive(schema.get("minItems")) else []
        plain: dict[object, object] = {"integer": 0, "number": 0, "boolean": False, "null": None}
        return plain.get(kind, "text") if isinstance(kind, str) else "text"

    def _required(self, schema: Mapping[str, Any]) -> list[str]:
        required = schema.get("required")
        names = [name for name in required if isinstance(name, str)] if isinstance(required, list) else []
        return list(dict.fromkeys(names))[: max(0, self._nodes_left)]


def _first(values: object) -> object:
    return values[0] if isinstance(values, list) and values else None


def _child(holder: object, name: str) -> dict[str, Any]:
    child = holder.get(name) if isinstance(holder, dict) else None
    return child if isinstance(child, dict) else {}


def _positive(value: object) -> int | None:
    return value if type(value) is int and value > 0 else None


def _encode(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
