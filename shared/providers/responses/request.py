"""A Responses request as the chat request that asks for the same."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import msgspec

from shared.providers.responses.checks import (
    read_choice,
    read_flag,
    read_name,
    read_number,
    read_object,
    read_objects,
    read_text,
    read_whole,
    refuse_malformed,
    refuse_others,
    refuse_unsupported,
)
from shared.providers.responses.conversation import Conversation, item_type
from shared.providers.responses.fields import passed_fields, refuse_unsupported_fields
from shared.providers.responses.stored_items import stored_form
from shared.providers.responses.tools import read_tools

Item = Mapping[str, Any]

MAX_OUTPUT_TOKENS = 10_000_000
MAX_METADATA_PAIRS = 16
MAX_METADATA_KEY_LENGTH = 64
MAX_METADATA_VALUE_LENGTH = 512
_EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
_SUMMARIES = ("auto", "concise", "detailed")
_VERBOSITIES = ("low", "medium", "high")
_LOGPROBS = "message.output_text.logprobs"
# The others show more of what hosted tools did, and there are none.
_INCLUDABLE = (
    _LOGPROBS,
    "reasoning.encrypted_content",
    "file_search_call.results",
    "web_search_call.results",
    "web_search_call.action.sources",
    "message.input_image.image_url",
    "computer_call_output.output.image_url",
    "code_interpreter_call.outputs",
)
_NONE: Mapping[str, Item] = MappingProxyType({})


class References(msgspec.Struct, frozen=True, kw_only=True):
    """What a request names of what was stored before."""

    previous_response_id: str | None
    item_ids: tuple[str, ...]

    @property
    def are_any(self) -> bool:
        """Whether anything is named."""
        return self.previous_response_id is not None or bool(self.item_ids)


class Translated(msgspec.Struct, frozen=True, kw_only=True):
    """A request in chat's dialect.

    chat_body: what a chat client would have sent; echo: the fields that the response object repeats, `store` among
    them; input_items: this request's own input, references filled in, as it is stored
    """

    chat_body: dict[str, Any]
    echo: dict[str, Any]
    input_items: tuple[Item, ...]


def read_references(body: Mapping[str, Any]) -> References:
    """Return what has to be looked up before the request can be translated.

    raises  InvalidRequest
    """
    previous = body.get("previous_response_id")
    item_ids = []
    given = body.get("input")
    for path, item in read_objects(given, "input") if isinstance(given, list) else ():
        if item_type(item) == "item_reference":
            item_ids.append(read_name(item.get("id"), f"{path}.id"))
    return References(
        previous_response_id=None if previous is None else read_name(previous, "previous_response_id"),
        item_ids=tuple(item_ids),
    )


def to_chat(
    body: Mapping[str, Any],
    *,
    earlier_items: Sequence[Item] = (),
    stored_items: Mapping[str, Item] = _NONE,
    is_continued: bool = False,
) -> Translated:
    """Translate a request.

    shape   earlier_items: input and output of the previous response and of those before it, oldest first; stored_items:
            what item references may name, by id; is_continued: other messages come before these, and calls in them
    raises  InvalidRequest, UnpricedField, each with the path of the field in the client's own request
    """
    refuse_unsupported_fields(body)
    instructions = body.get("instructions")
    if instructions is not None:
        read_text(instructions, "instructions")
    previous = read_references(body).previous_response_id
    items = _input_items(body.get("input"), earlier_items, stored_items)
    conversation = Conversation(instructions, is_continued=is_continued)
    for item in earlier_items:
        conversation.add(item, "previous_response_id")
    for path, item in items:
        conversation.add(item, path)
    if not items and not earlier_items:
        refuse_malformed("input", "must be a text or a list of items that is not empty")
    tools = read_tools(body)
    text_fields, text_echo = _text(body.get("text"))
    effort_fields, reasoning_echo = _reasoning(body.get("reasoning"))
    sampling_echo = _sampling(body)
    chat_body = {
        **passed_fields(body),
        "model": read_name(body.get("model"), "model"),
        "messages": conversation.messages,
        **tools.chat,
        **text_fields,
        **effort_fields,
        **_logprobs(body),
    }
    echo = {
        **sampling_echo,
        **_notes(body),
        **tools.echo,
        "instructions": instructions,
        "previous_response_id": previous,
        "text": text_echo,
        "reasoning": reasoning_echo,
    }
    return Translated(chat_body=chat_body, echo=echo, input_items=tuple(stored_form(item) for _, item in items))


def _input_items(
    given: object, earlier_items: Sequence[Item], stored_items: Mapping[str, Item]
) -> list[tuple[str, Item]]:
    """Return the input's items with their paths; a reference to what is said anyway adds nothing."""
    if given is None:
        return []
    if isinstance(given, str):
        return [("input", {"type": "message", "role": "user", "content": given})]
    if not isinstance(given, list):
        refuse_malformed("input", "must be a text or a list of items")
    said_ids = {item.get("id") for item in earlier_items}
    items: list[tuple[str, Item]] = []
    for path, item in read_objects(given, "input"):
        item_id = None if item.get("id") is None else read_name(item["id"], f"{path}.id")
        if item_type(item) != "item_reference":
            items.append((path, item))
        elif item_id not in said_ids:
            items.append((path, _stored_item(item_id, path, stored_items)))
        said_ids.add(item_id)
    return items


def _stored_item(item_id: str | None, path: str, stored_items: Mapping[str, Item]) -> Item:
    item = stored_items.get(read_name(item_id, f"{path}.id"))
    return item or refuse_malformed(f"{path}.id", "names no item that is stored; send the item itself")


def _text(text: object) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return chat's fields for `text`, and its echo."""
    given = {} if text is None else read_object(text, "text")
    refuse_others(given, "text", ("format", "verbosity"))
    chat: dict[str, Any] = {}
    asked = given.get("format")
    form = read_object({"type": "text"} if asked is None else asked, "text.format")
    echo: dict[str, Any] = {"format": form}
    kind = read_choice(form.get("type"), "text.format.type", ("text", "json_object", "json_schema"))
    if kind == "json_object":
        chat["response_format"] = {"type": kind}
    elif kind == "json_schema":
        schema = _json_schema(form)
        chat["response_format"] = {"type": kind, kind: schema}
        echo["format"] = {"type": kind, "description": None, "strict": False, **schema}
    if given.get("verbosity") is not None:
        verbosity = read_choice(given["verbosity"], "text.verbosity", _VERBOSITIES)
        chat["verbosity"] = echo["verbosity"] = verbosity
    return chat, echo


def _json_schema(form: Item) -> dict[str, Any]:
    refuse_others(form, "text.format", ("type", "name", "schema", "description", "strict"))
    schema: dict[str, Any] = {
        "name": read_name(form.get("name"), "text.format.name"),
        "schema": read_object(form.get("schema"), "text.format.schema"),
    }
    if form.get("description") is not None:
        schema["description"] = read_text(form["description"], "text.format.description")
    if form.get("strict") is not None:
        schema["strict"] = read_flag(form["strict"], "text.format.strict")
    return schema


def _reasoning(reasoning: object) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return chat's fields for `reasoning`, and its echo.

    policy  a summary is shown where the provider gives one: chat can neither ask for it nor say how long it should be
    """
    given = {} if reasoning is None else read_object(reasoning, "reasoning")
    refuse_others(given, "reasoning", ("effort", "summary", "generate_summary", "mode", "context"))
    for name, harmless in (("mode", "standard"), ("context", "auto")):
        if given.get(name) not in (None, harmless):
            refuse_unsupported(f"reasoning.{name}", f"chat can only say '{harmless}'")
    effort = given.get("effort")
    if effort is not None:
        read_choice(effort, "reasoning.effort", _EFFORTS)
    summary = None
    for name in ("summary", "generate_summary"):
        if given.get(name) is not None:
            summary = summary or read_choice(given[name], f"reasoning.{name}", _SUMMARIES)
    return {} if effort is None else {"reasoning_effort": effort}, {"effort": effort, "summary": summary}


def _logprobs(body: Mapping[str, Any]) -> dict[str, Any]:
    include = body.get("include")
    if include is not None and not isinstance(include, list):
        refuse_malformed("include", "must be a list")
    for index, name in enumerate(include or ()):
        read_choice(name, f"include[{index}]", _INCLUDABLE)
    top = body.get("top_logprobs") or 0
    if not top and _LOGPROBS not in (include or ()):
        return {}
    return {"logprobs": True, "top_logprobs": top} if top else {"logprobs": True}


def _sampling(body: Mapping[str, Any]) -> dict[str, Any]:
    """Check the fields that are numbers and return them, or what holds without them."""
    echo: dict[str, Any] = {"max_output_tokens": None, "max_tool_calls": None, "top_logprobs": 0}
    bounds = {"max_output_tokens": (1, MAX_OUTPUT_TOKENS), "max_tool_calls": (1, 1_000_000), "top_logprobs": (0, 20)}
    for name, (least, most) in bounds.items():
        if body.get(name) is not None:
            echo[name] = read_whole(body[name], name, least=least, most=most)
    ranges = {
        "temperature": (1.0, 0, 2),
        "top_p": (1.0, 0, 1),
        "presence_penalty": (0.0, -2, 2),
        "frequency_penalty": (0.0, -2, 2),
    }
    for name, (default, least, most) in ranges.items():
        given = body.get(name)
        echo[name] = default if given is None else read_number(given, name, least=least, most=most)
    return echo


def _notes(body: Mapping[str, Any]) -> dict[str, Any]:
    """Check the fields that say nothing to the model and return them, or what holds without them."""
    for name in ("stream", "store"):
        if body.get(name) is not None:
            read_flag(body[name], name)
    for name in ("safety_identifier", "prompt_cache_key", "user"):
        if body.get(name) is not None:
            read_text(body[name], name, max_length=512)
    truncation = body.get("truncation")
    if truncation is not None:
        read_choice(truncation, "truncation", ("auto", "disabled"))
    return {
        "store": body.get("store") is not False,
        "background": False,
        "service_tier": "default",
        "truncation": truncation or "disabled",
        "metadata": _metadata(body.get("metadata")),
        "safety_identifier": body.get("safety_identifier"),
        "prompt_cache_key": body.get("prompt_cache_key"),
        "user": body.get("user"),
    }


def _metadata(metadata: object) -> dict[str, str]:
    pairs = {} if metadata is None else read_object(metadata, "metadata")
    if len(pairs) > MAX_METADATA_PAIRS or any(len(key) > MAX_METADATA_KEY_LENGTH for key in pairs):
        rule = f"must have at most {MAX_METADATA_PAIRS} keys of at most {MAX_METADATA_KEY_LENGTH} characters"
        refuse_malformed("metadata", rule)
    for value in pairs.values():
        read_text(value, "metadata", max_length=MAX_METADATA_VALUE_LENGTH)
    return dict(pairs)
