"""The content of a Responses message, as chat's content parts."""

from collections.abc import Mapping
from typing import Any

from shared.providers.responses.checks import (
    cache_mark,
    read_choice,
    read_objects,
    read_text,
    refuse_malformed,
    refuse_others,
    refuse_unsupported,
)

Parts = list[dict[str, Any]]

_IMAGE_SCHEMES = ("https://", "http://", "data:image/")
_DETAILS = ("low", "high", "auto", "original")
# What only an answer says of its text.
_TEXT_FIELDS = ("type", "text", "annotations", "logprobs", "cache_control")
_IMAGE_FIELDS = ("type", "image_url", "detail", "cache_control")


def read_parts(content: object, path: str, *, role: str) -> Parts | str:
    """Translate a message's or an output's content.

    shape   role: user, assistant, system, developer, or tool for the output of a call
    raises  InvalidRequest, UnpricedField
    """
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        refuse_malformed(path, "must be a string or a list of parts")
    return [_part(part, part_path, role) for part_path, part in read_objects(content, path)]


def _part(part: Mapping[str, Any], path: str, role: str) -> dict[str, Any]:
    kind = part.get("type")
    if kind in ("input_text", "output_text", "text"):
        refuse_others(part, path, _TEXT_FIELDS)
        return {"type": "text", "text": read_text(part.get("text"), f"{path}.text"), **cache_mark(part, path)}
    if kind == "input_image":
        if role not in ("user", "tool"):
            refuse_unsupported(f"{path}.type", "chat takes images from the user and from tools only")
        return _image(part, path)
    if kind == "refusal" and role == "assistant":
        return {"type": "refusal", "refusal": read_text(part.get("refusal"), f"{path}.refusal")}
    return refuse_unsupported(f"{path}.type", "only texts and images have a price here")


def _image(part: Mapping[str, Any], path: str) -> dict[str, Any]:
    if part.get("file_id") is not None:
        refuse_unsupported(f"{path}.file_id", "no files are kept here; give image_url")
    refuse_others(part, path, _IMAGE_FIELDS)
    url = part.get("image_url")
    if not isinstance(url, str) or not url[:16].lower().startswith(_IMAGE_SCHEMES):
        refuse_malformed(f"{path}.image_url", "must be an https address or a data URL of an image")
    image = {"url": url}
    if part.get("detail") is not None:
        image["detail"] = read_choice(part["detail"], f"{path}.detail", _DETAILS)
    return {"type": "image_url", "image_url": image, **cache_mark(part, path)}
