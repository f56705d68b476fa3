"""OpenAI's chat dialect, which all our providers speak: requests written, answers read and completed."""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from shared.core.errors import InvalidRequest
from shared.providers.priced import CostPlace, Priced
from shared.providers.raw_json import Fields, decode, decode_object, edit_object, is_absent
from shared.providers.record import Provider
from shared.providers.request_fields import without_listed_fields

DONE = b"data: [DONE]\n\n"
DONE_PAYLOAD = b"[DONE]"
PING = b": ping\n"

# What the provider charged us is not the customer's to read.
_PROVIDER_COST_FIELDS = ("cost", "cost_details", "is_byok")
_MISSING = msgspec.Raw(b"")


class Chunk(NamedTuple):
    """What we read of one streamed chunk.

    finished: the indexes of the choices that it ends (some providers say so twice); output_bytes: of generated
    text, near enough to estimate tokens; usage, error: JSON text, None when missing or null.
    """

    id: str
    model: str
    created: int
    finished: tuple[int, ...]
    output_bytes: int
    usage: bytes | None
    error: bytes | None
    has_choices: bool


class Completion(NamedTuple):
    """What we read of a whole completion; fields as in Chunk."""

    id: str
    model: str
    choices: int
    output_bytes: int
    usage: bytes | None
    error: bytes | None


class _Text(msgspec.Struct):
    """A delta or a message: only the lengths of its values matter."""

    content: msgspec.Raw = _MISSING
    reasoning: msgspec.Raw = _MISSING
    reasoning_content: msgspec.Raw = _MISSING
    tool_calls: msgspec.Raw = _MISSING
    function_call: msgspec.Raw = _MISSING
    refusal: msgspec.Raw = _MISSING


class _Choice(msgspec.Struct):
    index: int = 0
    delta: _Text | None = None
    message: _Text | None = None
    finish_reason: str | None = None
    error: msgspec.Raw = _MISSING


class _Answer(msgspec.Struct):
    id: str | int | None = None
    object: str | None = None
    model: str | None = None
    created: int | float | None = None
    choices: list[_Choice] | None = None
    usage: msgspec.Raw = _MISSING
    error: msgspec.Raw = _MISSING


_ANSWER = msgspec.json.Decoder(_Answer)


def build_request(
    body: Mapping[str, Any],
    *,
    provider: Provider,
    upstream_model: str,
    is_stream: bool,
    max_output_tokens: int | None,
) -> bytes:
    """Turn the client's body into what goes to the provider; what is not named here passes untouched.

    shape   compact ASCII JSON: escapes keep lone surrogates, which UTF-8 could not carry; fields by name, so that what
            is the same request in another dialect is the same bytes
    units   max_output_tokens: per choice; a smaller bound of the client's stays
    raises  InvalidRequest for what cannot be written as JSON (NaN, too deep)
    """
    request = without_listed_fields(body)
    request["model"] = upstream_model
    request["stream"] = is_stream
    options = request.pop("stream_options", None)
    if is_stream:
        kept = options if isinstance(options, dict) else {}
        # vLLM's continuous_usage_stats would put a running usage into every chunk.
        kept = {name: value for name, value in kept.items() if name != "continuous_usage_stats"}
        request["stream_options"] = {**kept, "include_usage": True}
    _bound_output(request, provider, max_output_tokens)
    preferences = body.get("provider")
    if provider.honours_data_collection and isinstance(preferences, Mapping):
        data_collection = preferences.get("data_collection")
        if data_collection in ("allow", "deny"):
            request["provider"] = {"data_collection": data_collection}
    try:
        return json.dumps(dict(sorted(request.items())), separators=(",", ":"), allow_nan=False).encode()
    except (ValueError, RecursionError, TypeError) as unwritable:
        raise InvalidRequest("The request holds a value that JSON cannot carry.") from unwritable


def read_chunk(data: bytes) -> Chunk:
    """Read one streamed chunk.

    raises  MalformedAnswer
    """
    answer = decode(_ANSWER, data)
    finished: tuple[int, ...] = ()
    output_bytes = 0
    error = answer.error
    for choice in answer.choices or ():
        if choice.delta is not None:
            output_bytes += _text_bytes(choice.delta)
        reason = choice.finish_reason
        if reason is not None:
            finished += (choice.index,)
            error = _choice_error(choice, error)
    return Chunk(
        "" if answer.id is None else str(answer.id),
        answer.model or "",
        int(answer.created or 0),
        finished,
        output_bytes,
        _present(answer.usage),
        data if answer.object == "error" else _present(error),
        bool(answer.choices),
    )


def read_completion(body: bytes) -> Completion:
    """Read a whole completion; OpenRouter sends a failed one with status 200 and `error`.

    raises  MalformedAnswer
    source  https://openrouter.ai/docs/api-reference/errors
    """
    answer = decode(_ANSWER, body)
    error = answer.error
    for choice in answer.choices or ():
        error = _choice_error(choice, error)
    return Completion(
        id="" if answer.id is None else str(answer.id),
        model=answer.model or "",
        choices=len(answer.choices or ()),
        output_bytes=sum(_text_bytes(choice.message) for choice in answer.choices or () if choice.message is not None),
        usage=_present(answer.usage),
        error=body if answer.object == "error" else _present(error),
    )


def strip_usage(data: bytes) -> bytes:
    """Return the event of a chunk without its usage, for a chunk that carries usage beside choices.

    raises  MalformedAnswer
    """

    def drop_usage(fields: Fields) -> None:
        fields.pop("usage", None)

    return _event(edit_object(data, drop_usage))


def usage_chunk(chunk: Chunk, *, usage: bytes) -> Priced:
    """Return the last event before [DONE]: no choices, the usage, and the place of what we charged for it.

    raises  MalformedAnswer when usage is not an object
    """
    place = CostPlace()
    fields = {
        "id": chunk.id,
        "object": "chat.completion.chunk",
        "created": chunk.created,
        "model": chunk.model,
        "choices": [],
        "usage": msgspec.Raw(_usage_with_place(usage, place)),
    }
    return place.split(_event(msgspec.json.encode(fields)))


def complete_answer(body: bytes, *, usage: bytes) -> Priced:
    """Put the usage that was charged, and the place of what we charged for it, into a whole completion.

    raises  MalformedAnswer
    """
    place = CostPlace()

    def put_usage(fields: Fields) -> None:
        fields["usage"] = msgspec.Raw(_usage_with_place(usage, place))

    return place.split(edit_object(body, put_usage))


def error_event(envelope: Mapping[str, Any]) -> bytes:
    """Return an error as an event, for a stream whose headers have left."""
    return _event(json.dumps(envelope, separators=(",", ":")).encode())


def _event(payload: bytes) -> bytes:
    return b"data: " + payload + b"\n\n"


def _bound_output(request: dict[str, Any], provider: Provider, max_output_tokens: int | None) -> None:
    """Set one bound, under the name that the client used where the provider knows it, else under the provider's own."""
    sent = {name: request.pop(name) for name in ("max_tokens", "max_completion_tokens") if name in request}
    asked = [value for value in sent.values() if type(value) is int and value > 0]
    names = [name for name, value in sent.items() if value is not None]
    name = names[0] if len(names) == 1 and not provider.is_output_bound_field_strict else provider.output_bound_field
    bounds = asked if max_output_tokens is None else [max_output_tokens, *asked]
    if bounds:
        request[name] = min(bounds)


def _usage_with_place(usage: bytes, place: CostPlace) -> bytes:
    fields = decode_object(usage)
    for name in _PROVIDER_COST_FIELDS:
        fields.pop(name, None)
    fields["cost"] = place.value
    encoded = msgspec.json.encode(fields)
    return msgspec.json.format(encoded, indent=-1) if b"\n" in encoded or b"\r" in encoded else encoded


def _choice_error(choice: _Choice, error: msgspec.Raw) -> msgspec.Raw:
    """Return the error that a choice ended with, if any: OpenRouter says "error", Portkey Anthropic's error type."""
    if not is_absent(error):
        return error
    if not is_absent(choice.error):
        return choice.error
    reason = choice.finish_reason or ""
    return msgspec.Raw(b"{}") if reason == "error" or reason.endswith("_error") else error


def _text_bytes(text: _Text) -> int:
    # vLLM sends its reasoning twice, under the new and the old name.
    reasoning = max(_value_bytes(text.reasoning), _value_bytes(text.reasoning_content))
    return (
        _value_bytes(text.content)
        + reasoning
        + _value_bytes(text.tool_calls)
        + _value_bytes(text.function_call)
        + _value_bytes(text.refusal)
    )


def _value_bytes(value: msgspec.Raw) -> int:
    """Return the length of a JSON value; quotes, null and empty values weigh nothing."""
    length = len(bytes(value))
    if length <= 2 or is_absent(value):
        return 0
    return length - 2


def _present(value: msgspec.Raw) -> bytes | None:
    return None if is_absent(value) else bytes(value)
