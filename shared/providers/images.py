"""OpenAI's images dialect: requests written, answers read and written again with what they cost."""

import base64
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec

from shared.core.money import Nanos
from shared.providers.priced import CostPlace, Priced
from shared.providers.raw_json import MalformedAnswer, decode, is_absent
from shared.providers.record import Provider
from shared.providers.usage import read_reported_cost

ResponseFormat = Literal["url", "b64_json"]
# A token of a provider's usage that is shown; more was misreported.
MAX_SHOWN_TOKENS = 2_000_000_000
MAX_URL_CHARACTERS = 8_192
MAX_REVISED_PROMPT_CHARACTERS = 64_000
# How a file of each begins.
IMAGE_HEADS = {
    "image/png": re.compile(rb"\x89PNG"),
    "image/jpeg": re.compile(rb"\xff\xd8\xff"),
    "image/webp": re.compile(rb"RIFF.{4}WEBP", re.DOTALL),
    "image/gif": re.compile(rb"GIF8[79]a"),
}
# A text that may begin in many ways: its provider's word is taken for it.
SVG = "image/svg+xml"
# What a client may ask for is checked where it is read; what a provider knows, its record says.
SENT_FIELDS = (
    "prompt",
    "n",
    "response_format",
    "output_format",
    "output_compression",
    "background",
    "style",
    "moderation",
    "user",
)
_BASE64 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_MAX_PADDING = 2
# Twelve bytes tell what an image is.
_HEAD_CHARACTERS = 16
_WEB_ADDRESS = re.compile(r"https://([0-9A-Za-z][0-9A-Za-z._-]*|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?([/?#][!-~]*)?")
_MISSING = msgspec.Raw(b"")


class Image(msgspec.Struct, frozen=True, kw_only=True):
    """One image that can be used: as base64 or where it lies, one of the two.

    media_type: what its bytes are, None where they did not come
    """

    b64_json: str | None = None
    url: str | None = None
    revised_prompt: str | None = None
    media_type: str | None = None


class Images(msgspec.Struct, frozen=True, kw_only=True):
    """What a provider answered, as far as it can be used.

    size, quality, background: as the provider names them, None where it does not; output_format: what the images are,
    or what the provider calls those whose bytes did not come, None where they are not alike; usage: its tokens
    units   created_at_s: seconds since 1970, None where the provider does not say
    """

    images: tuple[Image, ...]
    created_at_s: int | None
    size: str | None
    quality: str | None
    output_format: str | None
    background: str | None
    usage: Mapping[str, Any]
    reported_cost_nanos: Nanos | None
    error: bytes | None


class _Datum(msgspec.Struct):
    b64_json: str | None = None
    url: str | None = None
    revised_prompt: str | None = None
    media_type: msgspec.Raw = _MISSING


class _Tokens(msgspec.Struct):
    input_tokens: int | None = None
    output_tokens: int | None = None
    total_tokens: int | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    input_tokens_details: dict[str, int | None] | None = None


class _Answer(msgspec.Struct):
    """What is only told is read leniently: an image that came is not lost for a word about it."""

    created: msgspec.Raw = _MISSING
    data: list[msgspec.Raw] | None = None
    size: msgspec.Raw = _MISSING
    quality: msgspec.Raw = _MISSING
    output_format: msgspec.Raw = _MISSING
    background: msgspec.Raw = _MISSING
    usage: msgspec.Raw = _MISSING
    error: msgspec.Raw = _MISSING


_ANSWER = msgspec.json.Decoder(_Answer)
_DATUM = msgspec.json.Decoder(_Datum)
_TOKENS = msgspec.json.Decoder(_Tokens)
# Of a format, a size, a quality: one that is none could be anything.
_WORD = re.compile(rb'"([0-9A-Za-z:._-]{1,40})"')
_SECONDS = re.compile(rb"[1-9][0-9]{0,11}")


def build_image_request(
    body: Mapping[str, Any], *, provider: Provider, upstream_model: str, size: str | None, quality: str | None
) -> bytes:
    """Write what goes to a provider: the size and quality that are held for, and what else it knows of the body.

    shape   compact ASCII JSON: escapes keep lone surrogates, which UTF-8 could not carry
    """
    known = SENT_FIELDS if provider.image_fields is None else provider.image_fields
    request: dict[str, Any] = {"model": upstream_model}
    request |= {name: body[name] for name in SENT_FIELDS if name in known and body.get(name) is not None}
    if size is not None:
        request["size"] = size
    if quality is not None:
        request["quality"] = quality
    return json.dumps(request, separators=(",", ":"), allow_nan=False).encode()


def read_images(body: bytes, *, count: int, response_format: ResponseFormat | None, is_cost_reported: bool) -> Images:
    """Read an answer; of what it brings, those images count that can be used, in the form asked for, up to count.

    raises  MalformedAnswer
    policy  an image as base64 is also one by its URL, a data URL; one by its URL is never fetched
    """
    answer = decode(_ANSWER, body)
    usable: list[Image] = []
    for datum in answer.data or ():
        if len(usable) < count and (image := _usable(bytes(datum), response_format)) is not None:
            usable.append(image)
    usage = None if is_absent(answer.usage) else bytes(answer.usage)
    return Images(
        images=tuple(usable),
        created_at_s=int(bytes(answer.created)) if _SECONDS.fullmatch(bytes(answer.created)) else None,
        size=_word(answer.size),
        quality=_word(answer.quality),
        output_format=_format_of(usable, _word(answer.output_format)),
        background=_word(answer.background),
        usage=_shown_tokens(usage),
        reported_cost_nanos=read_reported_cost(usage) if is_cost_reported else None,
        error=None if is_absent(answer.error) else bytes(answer.error),
    )


def write_images(answer: Images, *, created_at_s: int, size: str | None, quality: str | None) -> Priced:
    """Write the whole answer, with the place of what it cost; size and quality are those that were held for."""
    place = CostPlace()
    facts = {
        "background": answer.background,
        "output_format": answer.output_format,
        "quality": quality or answer.quality,
        "size": size or answer.size,
    }
    fields = {
        "created": answer.created_at_s or created_at_s,
        "data": [_without_nones(_datum_of(image)) for image in answer.images],
        **_without_nones(facts),
        "usage": {**answer.usage, "images": len(answer.images), "cost": place.value},
    }
    return place.split(msgspec.json.encode(fields))


def _datum_of(image: Image) -> dict[str, Any]:
    # A data URL names its type itself.
    return msgspec.structs.asdict(image) | ({"media_type": None} if image.url else {})


def _format_of(images: Sequence[Image], told: str | None) -> str | None:
    media_types = {image.media_type for image in images}
    if media_types <= {None}:
        return told
    (media_type,) = media_types if len(media_types) == 1 else (None,)
    return None if media_type is None else media_type.removeprefix("image/").removesuffix("+xml")


def _usable(data: bytes, response_format: ResponseFormat | None) -> Image | None:
    try:
        datum = decode(_DATUM, data)
    except MalformedAnswer:
        return None
    revised_prompt = (datum.revised_prompt or "")[:MAX_REVISED_PROMPT_CHARACTERS] or None
    if datum.b64_json and _is_base64(datum.b64_json) and (media_type := _media_type(datum)) is not None:
        if response_format != "url":
            return Image(b64_json=datum.b64_json, revised_prompt=revised_prompt, media_type=media_type)
        address = f"data:{media_type};base64,{datum.b64_json}"
        return Image(url=address, revised_prompt=revised_prompt, media_type=media_type)
    if datum.url and response_format != "b64_json" and _is_web_address(datum.url):
        return Image(url=datum.url, revised_prompt=revised_prompt)
    return None


def _word(value: msgspec.Raw) -> str | None:
    found = _WORD.fullmatch(bytes(value))
    return None if found is None else found[1].decode()


def _is_base64(text: str) -> bool:
    """Tell by its characters: to decode ten images would hold up everybody else for seven times as long."""
    data = text.encode()
    plain = data.rstrip(b"=")
    return len(data) % 4 == 0 and len(data) - len(plain) <= _MAX_PADDING and not plain.translate(None, _BASE64)


def _media_type(datum: _Datum) -> str | None:
    """Return what an image is by its first bytes, whatever its provider calls it; None where it is none."""
    head = base64.b64decode((datum.b64_json or "")[:_HEAD_CHARACTERS])
    for media_type, beginning in IMAGE_HEADS.items():
        if beginning.match(head):
            return media_type
    return SVG if bytes(datum.media_type) == msgspec.json.encode(SVG) else None


def _is_web_address(url: str) -> bool:
    return len(url) <= MAX_URL_CHARACTERS and _WEB_ADDRESS.fullmatch(url) is not None


def _shown_tokens(usage: bytes | None) -> dict[str, Any]:
    """Return the tokens that a provider reports, under OpenAI's names for images; nothing that cannot be."""
    if usage is None:
        return {}
    try:
        tokens = decode(_TOKENS, usage)
    except MalformedAnswer:
        return {}
    shown: dict[str, Any] = {
        "input_tokens": tokens.prompt_tokens if tokens.input_tokens is None else tokens.input_tokens,
        "output_tokens": tokens.completion_tokens if tokens.output_tokens is None else tokens.output_tokens,
        "total_tokens": tokens.total_tokens,
    }
    shown = {name: count for name, count in shown.items() if _is_plausible(count)}
    details = {name: count for name, count in (tokens.input_tokens_details or {}).items() if _is_plausible(count)}
    return {**shown, "input_tokens_details": details} if shown and details else shown


def _is_plausible(count: int | None) -> bool:
    return count is not None and 0 <= count <= MAX_SHOWN_TOKENS


def _without_nones(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}
