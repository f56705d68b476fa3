"""A conversation's messages and their content blocks, as chat messages."""

import itertools
import json
from collections.abc import Callable

from shared.providers.messages.checks import (
    Object,
    invalid,
    read_cache_control,
    read_flag,
    read_list,
    read_name,
    read_object,
    read_text,
    refuse_unknown_keys,
    unsayable,
)
from shared.providers.messages.thinking import restore_reasoning

# source  https://platform.claude.com/docs/en/build-with-claude/vision
IMAGE_TYPES = ("image/jpeg", "image/png", "image/gif", "image/webp")
_TURN = {"user", "assistant", "system"}
# Said to the model in words, since a chat message has no field for it.
_FAILED = "Error:"

_Block = tuple[Object, str]


def translate_system(value: object) -> list[Object]:
    """Return the system prompt as chat's first message, none where it is empty.

    raises  UnpricedField, InvalidRequest
    """
    content = None if value is None else _translate_content(value, "system", {"text": _translate_text})
    return [{"role": "system", "content": content}] if content else []


def translate_messages(value: object) -> list[Object]:
    """Return a conversation as chat messages; a message with tool results becomes several.

    raises  UnpricedField for blocks that chat cannot say, InvalidRequest
    """
    messages = read_list(value, "messages")
    if not messages:
        raise invalid("messages", "must hold at least one message")
    translated: list[Object] = []
    for index, message in enumerate(messages):
        translated += _translate_message(read_object(message, f"messages[{index}]"), f"messages[{index}]")
    return translated


def _translate_message(message: Object, path: str) -> list[Object]:
    role = message.get("role")
    if not isinstance(role, str) or role not in _TURN:
        raise invalid(f"{path}.role", "must be 'user', 'assistant' or 'system'")
    refuse_unknown_keys(message, ("role", "content"), path)
    content, content_path = message.get("content"), f"{path}.content"
    if role == "assistant":
        return [_translate_assistant(content, content_path)]
    if role == "user" and not isinstance(content, str):
        return _translate_user(_read_blocks(content, content_path), content_path)
    return [{"role": role, "content": _translate_content(content, content_path, {"text": _translate_text})}]


def _translate_user(blocks: list[_Block], path: str) -> list[Object]:
    """Return a message for each tool result, as each answers a call of its own, and one for all else."""
    if not blocks:
        raise invalid(path, "must hold at least one block")
    results = list(itertools.takewhile(_is_result, blocks))
    others = blocks[len(results) :]
    misplaced = next(filter(_is_result, others), None)
    if misplaced is not None:
        raise invalid(misplaced[1], "tool results must stand before everything else in a message")
    translated = [_translate_result(block, block_path) for block, block_path in results]
    if others:
        parts = [_translate_block(block, _USER_BLOCKS) for block in others]
        translated.append({"role": "user", "content": _shortest(parts)})
    return translated


def _is_result(block: _Block) -> bool:
    return bool(block[0]["type"] == "tool_result")


def _translate_assistant(content: object, path: str) -> Object:
    """Return one message: chat keeps reasoning, text and calls apart, so only the order within each is kept."""
    if isinstance(content, str):
        return {"role": "assistant", "content": content}
    blocks = _read_blocks(content, path)
    thoughts = [block for block in blocks if block[0]["type"] in {"thinking", "redacted_thinking"}]
    calls = [_translate_call(block, path) for block, path in blocks if block["type"] == "tool_use"]
    spoken = [block for block in blocks if block[0]["type"] not in {"thinking", "redacted_thinking", "tool_use"}]
    text = _shortest([_translate_block(block, {"text": _translate_text}) for block in spoken])
    message: Object = {"role": "assistant", "content": text or (None if calls else "")}
    message |= restore_reasoning(thoughts)
    return {**message, "tool_calls": calls} if calls else message


def _translate_call(block: Object, path: str) -> Object:
    # A breakpoint on a call has no place in chat; it is dropped, which costs at most a cache hit.
    refuse_unknown_keys(block, ("type", "id", "name", "input", "caller", "cache_control"), path)
    read_cache_control(block, path)
    if block.get("caller") not in (None, {"type": "direct"}):
        raise unsayable(f"{path}.caller", "tools can only be called by the model itself")
    arguments = read_object(block.get("input"), f"{path}.input")
    try:
        written = json.dumps(arguments, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    except (ValueError, RecursionError) as unwritable:
        raise invalid(f"{path}.input", "holds a value that JSON cannot carry") from unwritable
    name = read_name(block.get("name"), f"{path}.name")
    call_id = read_name(block.get("id"), f"{path}.id")
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": written}}


def _translate_result(block: Object, path: str) -> Object:
    refuse_unknown_keys(block, ("type", "tool_use_id", "content", "is_error", "cache_control"), path)
    call_id = read_name(block.get("tool_use_id"), f"{path}.tool_use_id")
    content = block.get("content")
    text: str | list[Object] = ""
    if content is not None:
        text = _translate_content(content, f"{path}.content", _USER_BLOCKS)
    if read_flag(block.get("is_error"), f"{path}.is_error"):
        text = f"{_FAILED} {text}".strip() if isinstance(text, str) else [{"type": "text", "text": _FAILED}, *text]
    cache_control = read_cache_control(block, path)
    if cache_control is not None and text:
        parts: list[Object] = [{"type": "text", "text": text}] if isinstance(text, str) else text
        text = [*parts[:-1], {**parts[-1], "cache_control": cache_control}]
    return {"role": "tool", "tool_call_id": call_id, "content": text}


def _translate_content(value: object, path: str, known: "_Known") -> str | list[Object]:
    if isinstance(value, str):
        return value
    return _shortest([_translate_block(block, known) for block in _read_blocks(value, path)])


def _shortest(parts: list[Object]) -> str | list[Object]:
    """Return a lone text as a text: chat writes it so, and some providers read nothing else in every role."""
    if not parts:
        return ""
    return parts[0]["text"] if len(parts) == 1 and parts[0].keys() == {"type", "text"} else parts


def _read_blocks(value: object, path: str) -> list[_Block]:
    if not isinstance(value, list):
        raise invalid(path, "must be a text or a list of blocks")
    blocks: list[_Block] = []
    for index, item in enumerate(value):
        block = read_object(item, f"{path}[{index}]")
        if not isinstance(block.get("type"), str):
            raise invalid(f"{path}[{index}].type", "must be the name of a kind of block")
        blocks.append((block, f"{path}[{index}]"))
    return blocks


def _translate_block(item: _Block, known: "_Known") -> Object:
    block, path = item
    if len(block) == 2 and block["type"] == "text" and isinstance(block.get("text"), str):
        return block  # as chat writes it; a conversation may have ten thousands of these
    translate = known.get(block["type"])
    if translate is not None:
        part = translate(block, path)
        cache_control = read_cache_control(block, path)
        return part if cache_control is None else {**part, "cache_control": cache_control}
    if block["type"] in _BLOCKS:
        raise invalid(f"{path}.type", "a block of this kind has no place here")
    raise unsayable(f"{path}.type", "only text, images, thinking and your own tools can be said to every model")


def _translate_text(block: Object, path: str) -> Object:
    # Citations point into documents, which are refused; in an answer given back they change nothing.
    refuse_unknown_keys(block, ("type", "text", "cache_control", "citations"), path)
    return {"type": "text", "text": read_text(block.get("text"), f"{path}.text")}


def _translate_image(block: Object, path: str) -> Object:
    refuse_unknown_keys(block, ("type", "source", "cache_control", "transformations"), path)
    if block.get("transformations") not in (None, {}, {"oversized_image": "downsize"}):
        raise unsayable(f"{path}.transformations", "the provider fits images as it does")
    source = read_object(block.get("source"), f"{path}.source")
    return {"type": "image_url", "image_url": {"url": _read_address(source, f"{path}.source")}}


def _read_address(source: Object, path: str) -> str:
    kind = source.get("type")
    if kind == "base64":
        refuse_unknown_keys(source, ("type", "media_type", "data"), path)
        if source.get("media_type") not in IMAGE_TYPES:
            raise invalid(f"{path}.media_type", f"must be one of {', '.join(IMAGE_TYPES)}")
        return f"data:{source['media_type']};base64,{read_name(source.get('data'), f'{path}.data')}"
    if kind == "url":
        refuse_unknown_keys(source, ("type", "url"), path)
        url = read_name(source.get("url"), f"{path}.url")
        if not url.lower().startswith(("https://", "http://")):
            raise invalid(f"{path}.url", "must begin with https://")
        return url
    if kind == "file":
        raise unsayable(f"{path}.type", "files are not stored here; send the image itself or its address")
    raise invalid(f"{path}.type", "must be 'base64' or 'url'")


_Known = dict[str, Callable[[Object, str], Object]]
_USER_BLOCKS: _Known = {"text": _translate_text, "image": _translate_image}
_BLOCKS = frozenset({"text", "image", "tool_use", "tool_result", "thinking", "redacted_thinking"})
