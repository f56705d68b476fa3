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
    said = _without_open_calls(earlier.said, new.said)
    return [*(new.instructions or earlier.instructions), *said, *new.said]


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


def _without_open_calls(stored: Sequence[Message], new: Sequence[Message]) -> list[Message]:
    """Leave out calls that nobody has answered, and answers to no call: providers refuse a conversation with one."""
    answered = {str(one.get("tool_call_id")) for one in (*stored, *new) if one["role"] == "tool"}
    called: set[str] = set()
    left: list[Message] = []
    for message in stored:
        calls = [call for call in message.get("tool_calls", ()) if call["id"] in answered]
        called |= {call["id"] for call in calls}
        is_empty = not message.get("content") and not calls
        if is_empty if message["role"] != "tool" else message["tool_call_id"] not in called:
            continue
        others = {name: value for name, value in message.items() if name != "tool_calls"}
        left.append({**others, "tool_calls": calls} if calls else others)
    return left


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
