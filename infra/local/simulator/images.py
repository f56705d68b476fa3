"""Images as providers answer them: what was asked, and the JSON of what comes. Pure."""

import base64
import json
import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from infra.local.simulator.answers import SECRET_DETAIL
from infra.local.simulator.asked import MalformedRequestError
from infra.local.simulator.catalog import CREATED_AT_S
from infra.local.simulator.log import Served
from infra.local.simulator.script import ImageForm, Script, UsageMode

MAX_IMAGES = 10
PNG_HEAD = b"\x89PNG\r\n\x1a\n"
REVISED_PROMPT = "a revised prompt"
PROMPT_TOKENS, TOKENS_PER_IMAGE = 10, 1_056
_TEXTS = ("model", "prompt", "size", "quality", "response_format", "output_format", "background", "style")


@dataclass(frozen=True, slots=True)
class ImageAsked:
    """One request for images; fields: all of it but the prompt."""

    count: int
    fields: Mapping[str, Any]


def read_image_asked(body: Mapping[str, Any]) -> ImageAsked:
    """Read the fields that shape the answer.

    raises  MalformedRequestError, naming the field
    """
    for name in _TEXTS:
        if not isinstance(body.get(name, "" if name not in ("model", "prompt") else None), str):
            raise MalformedRequestError(f"`{name}` must be a string")
    count = body.get("n", 1)
    if type(count) is not int or not 1 <= count <= MAX_IMAGES:
        raise MalformedRequestError(f"`n` must be a whole number, 1 to {MAX_IMAGES}")
    return ImageAsked(count, {name: value for name, value in body.items() if name != "prompt"})


def image_answer(asked: ImageAsked, script: Script, served: Served) -> bytes:
    """Return the answer and note in the record what is billed for it: the images that can be used."""
    count = asked.count if script.images is None else script.images
    odd = count if script.image_forms is None else min(script.image_forms, count)
    forms = [script.image_form] * odd + [ImageForm.BASE64] * (count - odd)
    served.image_request = asked.fields
    served.images_sent = sum(form in (ImageForm.BASE64, ImageForm.URL) for form in forms)
    answer: dict[str, Any] = {
        "created": CREATED_AT_S,
        "data": [_datum(form, index, script, asked) for index, form in enumerate(forms)],
    }
    if script.error_event:
        answer = {"error": {"code": 502, "message": f"Provider disconnected: {SECRET_DETAIL}"}}
    if script.usage is not UsageMode.MISSING:
        answer["usage"] = _usage(script, served)
    return json.dumps(answer, separators=(",", ":")).encode()


def _datum(form: ImageForm, index: int, script: Script, asked: ImageAsked) -> dict[str, Any]:
    match form:
        case ImageForm.BASE64 if asked.fields.get("response_format") == "url":
            return {"url": f"https://images.example/{index}.png", "revised_prompt": REVISED_PROMPT}
        case ImageForm.BASE64:
            picture = _noise(script, index)
            return {"b64_json": base64.b64encode(picture).decode(), "revised_prompt": REVISED_PROMPT}
        case ImageForm.URL:
            return {"url": f"https://images.example/{index}.png", "revised_prompt": REVISED_PROMPT}
        case ImageForm.BROKEN:
            return {"b64_json": "this is not base64!"}
        case ImageForm.BAD_URL:
            return {"url": f"http://169.254.169.254/{index}"}
        case ImageForm.NOTHING:
            return {}


def _noise(script: Script, index: int) -> bytes:
    """Return what looks like a PNG and is noise: an image does not compress, and the same one comes from everywhere."""
    noise = random.Random(f"{script.image_bytes} {index}").randbytes(max(0, script.image_bytes - len(PNG_HEAD)))
    return PNG_HEAD + noise


def _usage(script: Script, served: Served) -> dict[str, Any]:
    """Return usage as OpenRouter names it, or as OpenAI does, which Portkey passes on."""
    made = served.images_sent * TOKENS_PER_IMAGE
    if script.usage is UsageMode.GARBAGE:
        return {"prompt_tokens": "many", "cost": "much"}
    if served.provider == "openrouter":
        counts = {"prompt_tokens": PROMPT_TOKENS, "completion_tokens": made, "total_tokens": PROMPT_TOKENS + made}
        return {**counts, "cost": float(served.cost), "is_byok": False}
    counts = {"input_tokens": PROMPT_TOKENS, "output_tokens": made, "total_tokens": PROMPT_TOKENS + made}
    return {**counts, "input_tokens_details": {"text_tokens": PROMPT_TOKENS, "image_tokens": 0}}
