"""The three dialects in which the same may be asked, and how each one's answer is read and checked."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from tests.functions.chat.client import PATH, Answer, post
from tests.harness.gateways import RunningGateway
from tests.harness.tenants import Tenant, TestModel
from tests.shared.providers.chat_grammar import read_payloads
from tests.shared.providers.messages import grammar as messages_grammar
from tests.shared.providers.responses import grammar as responses_grammar

SYSTEM = "You are terse."
PROMPT = "Say something."
MAX_TOKENS = 60
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}


@dataclass(frozen=True, slots=True)
class Said:
    """What an answer comes to, whichever dialect told it."""

    text: str
    calls: list[tuple[str, str, Any]]
    cost: float
    tokens: tuple[int, int]
    has_ended_by_itself: bool


@dataclass(frozen=True, slots=True)
class Speaker:
    """One dialect."""

    name: str
    path: str

    def body(self, model: TestModel | str, *, has_tools: bool = False, **fields: Any) -> dict[str, Any]:
        """Ask the same in the dialect's words."""
        body: dict[str, Any] = {"model": model if isinstance(model, str) else model.id}
        if self.name == "chat":
            body["messages"] = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": PROMPT}]
            body |= {"max_tokens": MAX_TOKENS, "temperature": 0.5}
            if fields.get("stream"):
                body["stream_options"] = {"include_usage": True}
            tool: dict[str, Any] = {"type": "function", "function": {"name": "get_weather", "parameters": SCHEMA}}
        elif self.name == "responses":
            body |= {"instructions": SYSTEM, "input": PROMPT, "max_output_tokens": MAX_TOKENS, "temperature": 0.5}
            tool = {"type": "function", "name": "get_weather", "parameters": SCHEMA}
        else:
            body |= {"system": SYSTEM, "messages": [{"role": "user", "content": PROMPT}]}
            body |= {"max_tokens": MAX_TOKENS, "temperature": 0.5}
            tool = {"name": "get_weather", "input_schema": SCHEMA}
        return body | ({"tools": [tool]} if has_tools else {}) | fields

    async def ask(
        self,
        gateway: RunningGateway,
        tenant: Tenant,
        model: TestModel | str,
        *,
        headers: Mapping[str, str] | None = None,
        has_tools: bool = False,
        **fields: Any,
    ) -> Answer:
        """Ask in the dialect's words, with what its SDK sends beside."""
        sent = {**tenant.headers, **(headers or {})}
        if self.name == "messages":
            sent = {"x-api-key": tenant.api_key, "anthropic-version": "2023-06-01", **(headers or {})}
        return await post(gateway.url, self.body(model, has_tools=has_tools, **fields), sent, self.path)

    def read(self, answer: Answer, *, is_stream: bool) -> Said:
        """Check an answer that came to its end, by the dialect's own grammar, and say what it comes to."""
        assert answer.status == 200, answer.raw
        if self.name == "chat":
            return _chat_said(answer, is_stream=is_stream)
        if self.name == "responses":
            raw = answer.raw.replace(b": ping\n", b"")
            response = responses_grammar.check_stream(raw) if is_stream else answer.json
            responses_grammar.check_response(response)
            assert response["id"] == "resp_" + answer.generation_id.removeprefix("gen_")
            return _response_said(response)
        message = messages_grammar.check_stream(answer.raw) if is_stream else answer.json
        assert message["id"] == "msg_" + answer.generation_id.removeprefix("gen_")
        return _message_said(message)

    def read_failed(self, answer: Answer) -> dict[str, Any]:
        """Check a stream that ended with an error event, and return the error's code and message."""
        assert answer.status == 200, answer.raw
        if self.name == "chat":
            payloads = read_payloads(answer.raw)
            assert payloads[-1] != "[DONE]"
            error: dict[str, Any] = json.loads(payloads[-1])["error"]
            return {"code": error["code"], "message": error["message"]}
        if self.name == "responses":
            raw = answer.raw.replace(b": ping\n", b"")
            response = responses_grammar.check_stream(raw)
            assert response["status"] == "failed"
            events = responses_grammar.read_events(raw)
            (failure,) = [event for event in events if event["type"] == "error"]
            return {"code": failure["code"], "message": failure["message"]}
        checker = messages_grammar.StreamChecker()
        checker.feed(answer.raw)
        assert checker.error is not None
        told = checker.error["error"]
        return {"code": told["details"]["error_code"], "message": told["message"]}


CHAT = Speaker("chat", PATH)
RESPONSES = Speaker("responses", "/v1/responses")
MESSAGES = Speaker("messages", "/v1/messages")
SPEAKERS = (CHAT, RESPONSES, MESSAGES)
EACH = pytest.mark.parametrize("speaker", SPEAKERS, ids=lambda speaker: speaker.name)
TRANSLATED = pytest.mark.parametrize("speaker", (RESPONSES, MESSAGES), ids=lambda speaker: speaker.name)
STREAMED = pytest.mark.parametrize("is_stream", [False, True], ids=["whole", "stream"])


def _chat_said(answer: Answer, *, is_stream: bool) -> Said:
    if not is_stream:
        (choice,) = answer.json["choices"]
        message, usage = choice["message"], answer.json["usage"]
        calls = [
            (call["id"], call["function"]["name"], call["function"]["arguments"])
            for call in message.get("tool_calls") or ()
        ]
        text, finish = message["content"] or "", choice["finish_reason"]
    else:
        assert answer.payloads[-1] == "[DONE]"
        usage, text, finish = answer.chunks[-1]["usage"], answer.text, answer.chunks[-2]["choices"][0]["finish_reason"]
        calls = _joined_calls(answer.chunks)
    tokens = (usage["prompt_tokens"], usage["completion_tokens"])
    read = [(call_id, name, json.loads(arguments)) for call_id, name, arguments in calls]
    return Said(text, read, usage["cost"], tokens, finish != "length")


def _joined_calls(chunks: list[dict[str, Any]]) -> list[tuple[str, str, str]]:
    calls: dict[int, list[str]] = {}
    for chunk in chunks:
        for choice in chunk["choices"]:
            for piece in choice["delta"].get("tool_calls") or ():
                call = calls.setdefault(piece["index"], ["", "", ""])
                call[0] += piece.get("id") or ""
                call[1] += piece["function"].get("name") or ""
                call[2] += piece["function"].get("arguments") or ""
    return [(call[0], call[1], call[2]) for call in calls.values()]


def _response_said(response: Mapping[str, Any]) -> Said:
    items, usage = response["output"], response["usage"]
    parts = [part for item in items if item["type"] == "message" for part in item["content"]]
    calls = [
        (item["call_id"], item["name"], json.loads(item["arguments"]))
        for item in items
        if item["type"] == "function_call"
    ]
    text = "".join(part["text"] for part in parts)
    tokens = (usage["input_tokens"], usage["output_tokens"])
    return Said(text, calls, usage["cost"], tokens, response["status"] == "completed")


def _message_said(message: Mapping[str, Any]) -> Said:
    blocks, usage = message["content"], message["usage"]
    text = "".join(block["text"] for block in blocks if block["type"] == "text")
    calls = [(block["id"], block["name"], block["input"]) for block in blocks if block["type"] == "tool_use"]
    assert (message["stop_reason"] == "tool_use") == bool(calls)
    tokens = (usage["input_tokens"], usage["output_tokens"])
    return Said(text, calls, usage["cost"], tokens, message["stop_reason"] != "max_tokens")
