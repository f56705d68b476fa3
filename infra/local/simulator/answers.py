"""The text of an answer and its JSON: tokens, chunks, completions, usage, errors. Pure."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from infra.local.simulator.asked import ANY_OBJECT, Asked, Tool
from infra.local.simulator.catalog import CREATED_AT_S, Provider
from infra.local.simulator.log import Served
from infra.local.simulator.schema import example_of
from infra.local.simulator.script import Script, UsageMode

# Every error carries it, so that a test can prove that a provider's own words are not passed on.
SECRET_DETAIL = "secret-provider-detail"
UPSTREAM_LABEL = "SimUpstream"
# A token of a JSON document or of a tool call's arguments.
FRAGMENT_CHARS = 8
HUGE_TOKENS = 10**9
NEGATIVE_TOKENS = -5
WIDE_SUFFIXES = ("é", "🙂", "漢", "👩‍👩‍👧")
FINISH_STOP = "stop"
FINISH_LENGTH = "length"
FINISH_TOOLS = "tool_calls"
FINISH_ERROR = "error"


@dataclass(frozen=True, slots=True)
class Token:
    """One chunk's worth of an answer; call is the tool call it belongs to, name is set on that call's first token."""

    text: str
    call: int | None = None
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What will be said; every choice says the same.

    units   reasoning_tokens: of all choices together, part of max_tokens and never shown
    """

    id: str
    asked: Asked
    script: Script
    provider: Provider
    tokens: Sequence[Token]
    finish_reason: str
    reasoning_tokens: int

    @property
    def head(self) -> str:
        """The fields that every chunk and the whole completion begin with, after the object's name."""
        label = f'"provider":"{UPSTREAM_LABEL}",' if self.provider.publishes_cost else ""
        return f'"created":{CREATED_AT_S},"model":{json.dumps(self.asked.model)},{label}'


def plan_answer(answer_id: str, asked: Asked, script: Script, provider: Provider) -> Answer:
    """Decide what to say, cut where max_tokens ends; hidden reasoning is spent first."""
    tokens, finish_reason = _speak(asked, script)
    reasoning_tokens = script.reasoning_tokens
    if asked.max_tokens is not None:
        reasoning_tokens = min(reasoning_tokens, asked.max_tokens)
        visible_tokens = asked.max_tokens - reasoning_tokens
        if len(tokens) > visible_tokens:
            tokens, finish_reason = tokens[:visible_tokens], FINISH_LENGTH
    return Answer(answer_id, asked, script, provider, tokens, finish_reason, reasoning_tokens * asked.n)


def token_chunks(answer: Answer) -> Iterator[str]:
    """Yield the JSON of one chunk a token; the choices take turns."""
    head = f'{{"id":"{answer.id}","object":"chat.completion.chunk",{answer.head}"choices":[{{"index":'
    choices = range(answer.asked.n)
    wants_logprobs = answer.asked.top_logprobs is not None
    for index, token in enumerate(answer.tokens):
        role = '"role":"assistant",' if index == 0 else ""
        delta = _tool_delta(answer, token) if token.call is not None else f'"content":{_quote(token.text)}'
        logprobs = _quote({"content": [_logprob(answer, index)], "refusal": None}) if wants_logprobs else "null"
        for choice in choices:
            yield f'{head}{choice},"delta":{{{role}{delta}}},"logprobs":{logprobs},"finish_reason":null}}]}}'


def last_chunks(answer: Answer, served: Served) -> Iterator[str]:
    """Yield the JSON of the chunks after the last token: a finish per choice, and usage where it is due."""
    usage = usage_of(answer, served)
    rides_along = answer.script.usage is UsageMode.IN_LAST_CHUNK
    native = f',"native_finish_reason":"{answer.finish_reason}"' if answer.provider.publishes_cost else ""
    head = f'{{"id":"{answer.id}","object":"chat.completion.chunk",{answer.head}'
    for choice in range(answer.asked.n):
        is_last = choice == answer.asked.n - 1
        tail = f',"usage":{_quote(usage)}' if rides_along and is_last else ""
        finish = f'"delta":{{}},"logprobs":null,"finish_reason":"{answer.finish_reason}"{native}'
        yield f'{head}"choices":[{{"index":{choice},{finish}}}]{tail}}}'
    is_due = answer.asked.wants_usage or answer.provider.publishes_cost
    if usage is not None and is_due and not rides_along:
        yield f'{head}"choices":[],"usage":{_quote(usage)}}}'


def error_chunk(answer: Answer) -> str:
    """Return the event by which OpenRouter ends a stream that failed after its headers.

    source  openrouter.ai/docs, "Errors: mid-stream"
    """
    error = _quote({"code": 502, "message": f"Provider disconnected: {SECRET_DETAIL}"})
    choice = f'{{"index":0,"delta":{{"content":""}},"finish_reason":"{FINISH_ERROR}"}}'
    return f'{{"id":"{answer.id}","object":"chat.completion.chunk",{answer.head}"error":{error},"choices":[{choice}]}}'


def completion(answer: Answer, served: Served) -> str:
    """Return the JSON of an answer that is not streamed."""
    fails = answer.script.error_event
    choice: dict[str, Any] = {
        "message": _message(answer),
        "logprobs": None,
        "finish_reason": FINISH_ERROR if fails else answer.finish_reason,
    }
    if answer.asked.top_logprobs is not None:
        content = [_logprob(answer, index) for index in range(len(answer.tokens))]
        choice["logprobs"] = {"content": content, "refusal": None}
    if answer.provider.publishes_cost:
        choice["native_finish_reason"] = choice["finish_reason"]
    choices = _quote([{"index": index, **choice} for index in range(answer.asked.n)])
    usage = usage_of(answer, served)
    tail = "" if usage is None else f',"usage":{_quote(usage)}'
    if fails:
        tail += f',"error":{_quote({"code": 502, "message": f"Provider disconnected: {SECRET_DETAIL}"})}'
    return f'{{"id":"{answer.id}","object":"chat.completion",{answer.head}"choices":{choices}{tail}}}'


def usage_of(answer: Answer, served: Served) -> dict[str, Any] | None:
    """Return the usage that the answer reports: what is billed, unless the script asks for a lie."""
    prompt, completed = served.prompt_tokens, served.completion_tokens
    usage: dict[str, Any] = {
        "prompt_tokens": prompt,
        "completion_tokens": completed,
        "total_tokens": prompt + completed,
        "prompt_tokens_details": {"cached_tokens": served.cached_tokens},
        "completion_tokens_details": {"reasoning_tokens": served.reasoning_tokens},
    }
    if answer.provider.publishes_cost:
        usage["cost"] = float(served.cost)
    return usage_fault(usage, answer.script.usage)


def usage_fault(usage: dict[str, Any], mode: UsageMode) -> dict[str, Any] | None:
    """Return a usage as it is reported, None where it is not."""
    match mode:
        case UsageMode.MISSING:
            return None
        case UsageMode.ZERO:
            return _with_numbers(usage, 0) | ({"cost": 0} if "cost" in usage else {})
        case UsageMode.NEGATIVE:
            return _with_numbers(usage, NEGATIVE_TOKENS)
        case UsageMode.HUGE:
            return _with_numbers(usage, HUGE_TOKENS)
        case UsageMode.GARBAGE:
            return _with_numbers(usage, "many") | ({"cost": "much"} if "cost" in usage else {})
        case UsageMode.NORMAL | UsageMode.IN_LAST_CHUNK:
            return usage


def error_body(status: int, message: str, *, code: str | None = None) -> dict[str, Any]:
    """Return an error in OpenAI's shape."""
    kind = {401: "authentication_error", 429: "rate_limit_error"}.get(status)
    kind = kind or ("server_error" if status >= 500 else "invalid_request_error")
    return {"error": {"message": f"{message} ({SECRET_DETAIL})", "type": kind, "param": None, "code": code}}


def _speak(asked: Asked, script: Script) -> tuple[list[Token], str]:
    if script.tool_calls:
        return list(_tool_tokens(asked.tools, script.tool_calls)), FINISH_TOOLS
    if asked.json_schema is not None or script.json:
        document = json.dumps(example_of(asked.json_schema or ANY_OBJECT))
        return [Token(text) for text in _fragments(document)], FINISH_STOP
    return [Token(text) for text in words(script.tokens, is_wide=script.wide or script.split > 0)], FINISH_STOP


def words(count: int, *, is_wide: bool = False) -> Iterator[str]:
    """Yield the tokens of a plain answer: `tok0`, ` tok1`, …; wide ones end in characters of two to eighteen bytes."""
    for index in range(count):
        suffix = WIDE_SUFFIXES[index % len(WIDE_SUFFIXES)] if is_wide else ""
        yield f"{' ' if index else ''}tok{index}{suffix}"


def _tool_tokens(tools: Sequence[Tool], calls: int) -> Iterator[Token]:
    for call in range(calls):
        tool = tools[call % len(tools)] if tools else Tool(f"tool_{call}", None)
        yield Token("", call, tool.name)
        for text in _fragments(json.dumps(example_of(tool.parameters or {"type": "object"}))):
            yield Token(text, call)


def _fragments(text: str) -> Iterator[str]:
    for start in range(0, len(text), FRAGMENT_CHARS):
        yield text[start : start + FRAGMENT_CHARS]


def _tool_delta(answer: Answer, token: Token) -> str:
    call: dict[str, Any] = {"index": token.call}
    if token.name is not None:
        call |= {"id": _call_id(answer, token.call), "type": "function"}
        call["function"] = {"name": token.name, "arguments": ""}
    else:
        call["function"] = {"arguments": token.text}
    return f'"tool_calls":{_quote([call])}'


def _message(answer: Answer) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": None, "refusal": None}
    calls: dict[int, dict[str, Any]] = {}
    for token in answer.tokens:
        if token.call is None:
            continue
        if token.name is not None:
            function = {"name": token.name, "arguments": ""}
            calls[token.call] = {"id": _call_id(answer, token.call), "type": "function", "function": function}
        calls[token.call]["function"]["arguments"] += token.text
    if calls:
        message["tool_calls"] = list(calls.values())
    else:
        message["content"] = "".join(token.text for token in answer.tokens)
    return message


def _call_id(answer: Answer, call: int | None) -> str:
    return f"call-{answer.id}-{call}"


def _logprob(answer: Answer, index: int) -> dict[str, Any]:
    entry = _scored(answer.tokens[index].text, rank=index % 10)
    top = answer.asked.top_logprobs or 0
    alternatives = [
        _scored(answer.tokens[index].text if rank == 0 else f" alt{rank}", rank=rank) for rank in range(top)
    ]
    return entry | {"top_logprobs": alternatives}


def _scored(text: str, *, rank: int) -> dict[str, Any]:
    return {"token": text, "logprob": -0.125 * (rank + 1), "bytes": list(text.encode())}


def _with_numbers(usage: Mapping[str, Any], value: int | str) -> dict[str, Any]:
    """Replace every count, nested ones too, but not the cost."""
    return {
        name: number if name == "cost" else _with_numbers(number, value) if isinstance(number, dict) else value
        for name, number in usage.items()
    }


def _quote(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
