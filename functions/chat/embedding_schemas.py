"""The fields of an embeddings request that we read; every other field passes through untouched."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictInt, ValidationError, WithJsonSchema

from shared.core.errors import InvalidRequest
from shared.core.ids import ModelId
from shared.flows.embed import EmbedRequest
from shared.ledger.types import Claim
from shared.providers.embedding_counts import Input, count_embeddings
from shared.providers.embeddings import Encoding
from shared.providers.request_fields import UnpricedField
from shared.web.errors import invalid_request
from shared.web.openapi import OnDemand, body_of, once
from shared.web.routing_fields import MAX_FALLBACKS, ModelName, ProviderField, read_preferences

# source  https://platform.openai.com/docs/api-reference/embeddings/create
MAX_INPUTS = 2_048
# Above the longest vectors that there are.
MAX_DIMENSIONS = 16_384
# Of one answer, where it is known beforehand: as many as the most inputs have with the usual longest vectors.
MAX_NUMBERS = MAX_INPUTS * 3_072
MAX_TOKEN = 2**31 - 1

_TOKENS = {"type": "array", "minItems": 1, "items": {"type": "integer", "minimum": 0, "maximum": MAX_TOKEN}}
_TEXT = {"type": "string", "minLength": 1}


def _check_input(given: object) -> object:
    """Let inputs pass as they are: JavaScript sends halves of emoji that no typed string may hold."""
    if isinstance(given, str) and given:
        return given
    if not isinstance(given, list) or not given:
        raise ValueError("must be a text or a list of texts, none of them empty, or of tokens")
    if _are_tokens(given):
        return given
    if len(given) > MAX_INPUTS:
        raise ValueError(f"must be at most {MAX_INPUTS} inputs")
    are_texts = all(isinstance(each, str) and each for each in given)
    if not are_texts and not all(isinstance(each, list) and each and _are_tokens(each) for each in given):
        raise ValueError("must hold texts alone, none of them empty, or lists of tokens alone")
    return given


def _are_tokens(values: Sequence[object]) -> bool:
    return all(type(value) is int and 0 <= value <= MAX_TOKEN for value in values)


InputField = Annotated[
    Any,
    AfterValidator(_check_input),
    WithJsonSchema(
        {
            "anyOf": [
                _TEXT,
                {"type": "array", "minItems": 1, "maxItems": MAX_INPUTS, "items": _TEXT},
                _TOKENS,
                {"type": "array", "minItems": 1, "maxItems": MAX_INPUTS, "items": _TOKENS},
            ]
        }
    ),
]


class EmbeddingBody(BaseModel):
    """POST /v1/embeddings."""

    model_config = ConfigDict(extra="ignore", strict=True)

    model: ModelName
    input: InputField
    models: Annotated[list[ModelName], Field(max_length=MAX_FALLBACKS)] | None = None
    provider: ProviderField | None = None
    encoding_format: Encoding | None = None
    dimensions: Annotated[StrictInt, Field(ge=1, le=MAX_DIMENSIONS)] | None = None


EMBEDDING_OPENAPI = OnDemand(lambda: once(body_of(EmbeddingBody)))


def read_embed_request(body: Mapping[str, Any], claim: Claim | None) -> EmbedRequest:
    """Check the fields that we read; claim is how the request is known again.

    raises  InvalidRequest naming the first field that is not as the contract has it, or that is too large;
            UnpricedField
    """
    try:
        fields = EmbeddingBody.model_validate(body)
    except ValidationError as error:
        raise invalid_request([dict(problem) for problem in error.errors(include_url=False)]) from None
    _refuse_conversation(body)
    inputs = _inputs(fields.input)
    if len(inputs) * (fields.dimensions or 1) > MAX_NUMBERS:
        raise InvalidRequest(
            f"input: {MAX_NUMBERS:,} numbers are answered at once. Send fewer inputs, or ask for fewer dimensions.",
            param="input",
        )
    return EmbedRequest(
        body=body,
        models=tuple(dict.fromkeys(ModelId(model) for model in (fields.model, *(fields.models or ())))),
        preferences=read_preferences(fields.provider),
        inputs=inputs,
        counts=count_embeddings(body, inputs),
        encoding=fields.encoding_format or "float",
        dimensions=fields.dimensions,
        claim=claim,
    )


def _refuse_conversation(body: Mapping[str, Any]) -> None:
    if body.get("stream"):
        raise UnpricedField("'stream' cannot be used here: embeddings are answered in one piece.", param="stream")
    if body.get("session_id") is not None:
        raise UnpricedField("'session_id' cannot be used here: embeddings are no turns.", param="session_id")


def _inputs(given: str | list[Any]) -> list[Input]:
    """Return the single inputs; a list of tokens is one."""
    return [given] if isinstance(given, str) or isinstance(given[0], int) else given
