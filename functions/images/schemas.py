"""The fields of an images request; one that is not here is refused, since nobody has priced it."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StrictBool,
    StrictInt,
    ValidationError,
    WithJsonSchema,
)

from shared.core.errors import GatewayError
from shared.core.ids import ModelId
from shared.flows.generate_image import ImageRequest
from shared.ledger.types import Claim
from shared.routing.types import DataCollection
from shared.web.errors import invalid_request
from shared.web.openapi import OnDemand, body_of, once
from shared.web.routing_fields import MAX_FALLBACKS, ModelName, ProviderField, read_preferences

MAX_PROMPT_CHARACTERS = 32_000
MAX_COUNT = 10
# What OpenAI's clients send to leave the choice to the model.
AUTOMATIC = "auto"
# What asks for nothing.
HARMLESS: Mapping[str, tuple[object, ...]] = {"stream": (False,), "partial_images": (0,)}


class UnsupportedField(GatewayError):
    """The request asks for something that images are not offered with."""

    code = "unsupported_parameter"


def _check_prompt(prompt: object) -> object:
    """Let a text pass as it is: JavaScript sends halves of emoji that no typed string may hold."""
    if isinstance(prompt, str) and 0 < len(prompt) <= MAX_PROMPT_CHARACTERS:
        return prompt
    raise ValueError(f"must be a text of 1 to {MAX_PROMPT_CHARACTERS} characters")


Prompt = Annotated[
    Any,
    AfterValidator(_check_prompt),
    WithJsonSchema({"type": "string", "minLength": 1, "maxLength": MAX_PROMPT_CHARACTERS}),
]
Size = Annotated[str, Field(pattern=r"^[0-9A-Za-z:]{1,20}$")]
Quality = Annotated[str, Field(pattern=r"^[0-9a-z-]{1,20}$")]
Word = Annotated[str, Field(min_length=1, max_length=40)]


class ImageBody(BaseModel):
    """POST /v1/images/generations."""

    model_config = ConfigDict(extra="ignore", strict=True)

    model: ModelName
    prompt: Prompt
    models: Annotated[list[ModelName], Field(max_length=MAX_FALLBACKS)] | None = None
    provider: ProviderField | None = None
    n: Annotated[StrictInt, Field(ge=1, le=MAX_COUNT)] | None = None
    size: Size | None = None
    quality: Quality | None = None
    response_format: Literal["url", "b64_json"] | None = None
    output_format: Literal["png", "jpeg", "webp"] | None = None
    output_compression: Annotated[StrictInt, Field(ge=0, le=100)] | None = None
    background: Literal["auto", "transparent", "opaque"] | None = None
    style: Word | None = None
    moderation: Literal["auto", "low"] | None = None
    user: Annotated[str, Field(max_length=512)] | None = None
    stream: StrictBool | None = None


IMAGE_OPENAPI = OnDemand(lambda: once(body_of(ImageBody)))


def read_image_request(body: Mapping[str, Any], claim: Claim | None) -> ImageRequest:
    """Check the fields; claim is how the request is known again.

    raises  UnsupportedField, InvalidRequest naming the first field that is not as the contract has it
    """
    _refuse_unsupported(body)
    try:
        fields = ImageBody.model_validate(body)
    except ValidationError as error:
        raise invalid_request([dict(problem) for problem in error.errors(include_url=False)]) from None
    preferences = read_preferences(fields.provider)
    if preferences.data_collection is DataCollection.DENY:
        raise UnsupportedField(
            "'provider.data_collection' cannot be 'deny' here: no provider of images can be told so.",
            param="provider.data_collection",
        )
    return ImageRequest(
        body=body,
        models=tuple(dict.fromkeys(ModelId(model) for model in (fields.model, *(fields.models or ())))),
        preferences=preferences,
        count=fields.n or 1,
        size=_chosen(fields.size),
        quality=_chosen(fields.quality),
        response_format=fields.response_format,
        prompt_bytes=len(str(fields.prompt).encode(errors="surrogatepass")),
        claim=claim,
    )


def _refuse_unsupported(body: Mapping[str, Any]) -> None:
    if body.get("stream") is True:
        raise UnsupportedField("'stream' cannot be used here: images are answered in one piece.", param="stream")
    for name, value in body.items():
        if name in ImageBody.model_fields or value is None or _is_harmless(name, value):
            continue
        param = name[:40] if name[:40].replace("_", "").isalnum() and name.isascii() else None
        raise UnsupportedField(
            f"{f"'{param}'" if param else 'A field of the request'} cannot be used here: images have no price for it.",
            param=param,
        )


def _is_harmless(name: str, value: object) -> bool:
    return any(value == harmless and type(value) is type(harmless) for harmless in HARMLESS.get(name, ()))


def _chosen(named: str | None) -> str | None:
    return None if named == AUTOMATIC else named
