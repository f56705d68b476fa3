"""What a provider says in a chat delta or message, whatever of its habits it says it by."""

import json
import sys
from collections.abc import Mapping
from typing import Any

from shared.providers.responses.output import Call, Item

_LEGACY = "function_call"
# What OpenAI says of a token that is not among the likely ones; some servers say minus infinity, which JSON cannot.
_UNLIKELY = -9999.0


def read_text(said: Mapping[str, Any]) -> str:
    """Return the text of a delta or a message; Mistral writes it as a list of parts."""
    content = said.get("content")
    if isinstance(content, list):
        texts = [part.get("text") for part in content if isinstance(part, Mapping) and part.get("type") == "text"]
        return "".join(text for text in texts if isinstance(text, str))
    return content if isinstance(content, str) else ""


def read_refusal(said: Mapping[str, Any]) -> str:
    """Return the model's refusal."""
    refusal = said.get("refusal")
    return refusal if isinstance(refusal, str) else ""


def read_calls(said: Mapping[str, Any]) -> list[tuple[int | None, Call]]:
    """Return the tool calls, or the pieces of some, each with its index where it has one."""
    calls = said.get("tool_calls")
    read = []
    for call in calls if isinstance(calls, list) else ():
        if isinstance(call, Mapping):
            index = call.get("index")
            read.append((index if type(index) is int else None, _call(call)))
    legacy = said.get(_LEGACY)
    if isinstance(legacy, Mapping) and not read:
        read.append((0, Call("function", "", _string(legacy.get("name")), _arguments(legacy.get("arguments")))))
    return read


def read_annotations(said: Mapping[str, Any]) -> list[Item]:
    """Return the addresses that a text cites, as a response shows them."""
    annotations = said.get("annotations")
    read = []
    for annotation in annotations if isinstance(annotations, list) else ():
        cited = annotation.get("url_citation") if isinstance(annotation, Mapping) else None
        if isinstance(cited, Mapping) and isinstance(cited.get("url"), str):
            read.append(
                {
                    "type": "url_citation",
                    "url": cited["url"],
                    "title": _string(cited.get("title")),
                    "start_index": _whole(cited.get("start_index")),
                    "end_index": _whole(cited.get("end_index")),
                }
            )
    return read


def read_logprobs(choice: Mapping[str, Any]) -> list[Item]:
    """Return the log probabilities of a choice's text; a response names the bytes of every token."""
    logprobs = choice.get("logprobs")
    tokens = logprobs.get("content") if isinstance(logprobs, Mapping) else None
    return [
        {**_token(token), "top_logprobs": [_token(other) for other in _tokens(token.get("top_logprobs"))]}
        for token in _tokens(tokens)
    ]


def _call(call: Mapping[str, Any]) -> Call:
    call_id = _string(call.get("id"))
    custom = call.get("custom")
    if call.get("type") == "custom" or (custom is not None and call.get("function") is None):
        called = custom if isinstance(custom, Mapping) else {}
        return Call("custom", call_id, _string(called.get("name")), _string(called.get("input")))
    function = call.get("function")
    called = function if isinstance(function, Mapping) else {}
    return Call("function", call_id, _string(called.get("name")), _arguments(called.get("arguments")))


def _arguments(arguments: object) -> str:
    """Return arguments as the JSON text they should be; some servers send the object itself."""
    if isinstance(arguments, Mapping):
        return json.dumps(arguments, separators=(",", ":"))
    return _string(arguments)


def _tokens(tokens: object) -> list[Mapping[str, Any]]:
    listed = tokens if isinstance(tokens, list) else []
    return [token for token in listed if isinstance(token, Mapping) and isinstance(token.get("token"), str)]


def _token(token: Mapping[str, Any]) -> Item:
    spelled = token.get("bytes")
    logprob = token.get("logprob")
    return {
        "token": token["token"],
        "logprob": logprob if _is_finite(logprob) else _UNLIKELY,
        "bytes": spelled if isinstance(spelled, list) else list(token["token"].encode("utf-8", "surrogatepass")),
    }


def _is_finite(value: object) -> bool:
    # An integer may be longer than any float.
    return isinstance(value, int | float) and abs(value) <= sys.float_info.max


def _string(value: object) -> str:
    return value if isinstance(value, str) else ""


def _whole(value: object) -> int:
    return value if type(value) is int else 0
