"""A conversation that is kept: what stands before a request's messages, and what a request and its answer leave."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from shared.core.errors import InvalidRequest
from shared.providers.responses.conversation import Conversation

Message = Mapping[str, Any]

ROLES = ("system", "developer", "user", "assistant", "tool")
_INSTRUCTIONS = ("system", "developer")
# What a later request needs of a message beside its content. Thoughts are not kept: another model cannot read them.
_KEPT = ("name", "tool_calls", "tool_call_id", "refusal")
# An image takes megabytes, and is paid for again each time that it is read.
IMAGE_LEFT_OUT: Mapping[str, str] = {"type": "text", "text": "[An image, which is not kept.]"}
_NULL_CHARACTER = re.compile(rb"(?<!\\)((?:\\\\)*)\\u0000")


class KeptMessage(msgspec.Struct, frozen=True):
    """A message as it is stored: JSON text, and its tokens as its provider counted them, None for an estimate."""

    message: msgspec.Raw
    tokens: int | None

    @property
    def size_bytes(self) -> int:
        """How much room it takes, near enough."""
        return len(bytes(self.message))


class NewMessages(msgspec.Struct, frozen=True):
    """A request's own messages: the instructions that it begins with, and what is said."""

    instructions: tuple[Message, ...]
    said: tuple[Message, ...]


def split_messages(messages: Sequence[Message]) -> NewMessages:
    """Take the instructions off that a request begins with."""
    count = next((place for place, one in enumerate(messages) if one["role"] not in _INSTRUCTIONS), len(messages))
    return NewMessages(tuple(messages[:count]), tuple(messages[count:]))


def continue_conversation(stored: Sequence[Message], new: NewMessages) -> list[Message]:
    """Put the stored messages before new ones; a request's own instructions stand for those that are stored."""
    earlier = split_messages(stored)
    return [*(new.instructions or earlier.instructions), *_go_on(earlier.said, new.said)]


def keep_messages(messages: Iterable[Message]) -> list[KeptMessage]:
    """Return messages as they are stored: without images that are in them, marks for caches, and thoughts.

    raises  InvalidRequest for one that cannot be stored
    """
    return [_keep(message) for message in messages]


def keep_answer(output: Iterable[Message], tokens: int | None) -> list[KeptMessage]:
    """Return an answer, in the items of a response, as it is stored; nothing where nothing was said.

    tokens: as its provider counted them
    """
    conversation = Conversation(None)
    for item in output:
        conversation.add(item, "output")
    spoken = [message for message in conversation.messages if message.get("content") or message.get("tool_calls")]
    kept = keep_messages(spoken)
    return [KeptMessage(kept[0].message, tokens)] if len(kept) == 1 and tokens is not None else kept


def _go_on(stored: Sequence[Message], new: Sequence[Message]) -> list[Message]:
    """Put new messages behind stored ones, and every stored call right before its results.

    Calls that nobody has answered are left out, and answers to no call: providers refuse a conversation with one. What
    is new is said as it is.
    """
    messages = (*stored, *new)
    results = _results_of_calls(messages, len(stored))
    callers = {place: caller for caller, places in results.items() for place in places}
    said: list[Message] = []
    for place, message in enumerate(messages):
        if place in callers:
            places = results[callers[place]]
            if place == places[0]:
                said += _with_results(messages[callers[place]], [messages[each] for each in places])
        elif place >= len(stored):
            said.append(message)
        elif message["role"] != "tool" and place not in results and message.get("content"):
            said.append({name: value for name, value in message.items() if name != "tool_calls"})
    return said


def _results_of_calls(messages: Sequence[Message], stored_count: int) -> dict[int, list[int]]:
    """Return by the place of each stored message that calls the places of its results."""
    results: dict[int, list[int]] = {}
    open_calls: dict[object, int] = {}
    for place, message in enumerate(messages):
        caller = open_calls.pop(message.get("tool_call_id"), None) if message["role"] == "tool" else None
        if caller is not None and caller < stored_count:
            results.setdefault(caller, []).append(place)
        # Providers give an id again: results are of the latest call that has it.
        open_calls |= dict.fromkeys(_call_ids(message), place)
    return results


def _call_ids(message: Message) -> list[str]:
    calls = message.get("tool_calls")
    return [call["id"] for call in calls] if calls and _has_named_calls(message) else []


def _with_results(caller: Message, results: Sequence[Message]) -> list[Message]:
    answered = {result["tool_call_id"] for result in results}
    return [{**caller, "tool_calls": [call for call in caller["tool_calls"] if call["id"] in answered]}, *results]


def _keep(message: Message) -> KeptMessage:
    if message["role"] not in ROLES or not _has_named_calls(message):
        raise InvalidRequest(
            f"messages: a session has messages of the roles {', '.join(ROLES)}, and each call in them has an id.",
            param="messages",
        )
    kept = {"role": message["role"], "content": _keep_content(message.get("content"))}
    kept |= {name: message[name] for name in _KEPT if message.get(name) is not None}
    text = _storable_json(kept)
    return KeptMessage(msgspec.Raw(text), None)


def _has_named_calls(message: Message) -> bool:
    calls = message.get("tool_calls") or []
    is_answer_named = message["role"] != "tool" or isinstance(message.get("tool_call_id"), str)
    is_list = isinstance(calls, list) and all(isinstance(call, Mapping) for call in calls)
    return is_answer_named and is_list and all(isinstance(call.get("id"), str) for call in calls)


def _keep_content(content: object) -> object:
    return [_keep_part(part) for part in content] if isinstance(content, list) else content


def _keep_part(part: Message) -> Message:
    image = part.get("image_url")
    address = image.get("url") if isinstance(image, Mapping) else image
    if isinstance(address, str) and address[:5].lower() == "data:":
        return IMAGE_LEFT_OUT
    return {name: value for name, value in part.items() if name != "cache_control"}


def _storable_json(message: Message) -> bytes:
    """Write JSON that the database takes: no null characters, and no halves of emoji."""
    try:
        text = json.dumps(message, ensure_ascii=False, allow_nan=False).encode("utf-8", "replace")
    except (ValueError, RecursionError):
        raise InvalidRequest("messages: a message holds a value that cannot be stored.", param="messages") from None
    return _NULL_CHARACTER.sub(rb"\1\\ufffd", text)
