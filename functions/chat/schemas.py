"""The fields of a chat request that we read; every other field passes through untouched."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    FailFast,
    Field,
    StrictBool,
    StrictInt,
    ValidationError,
    WithJsonSchema,
)

from shared.core.ids import ModelId
from shared.flows.call import AnswerStorage
from shared.flows.chat_request import ChatRequest
from shared.ledger.types import Claim
from shared.providers.chat_dialect import ChatDialect
from shared.providers.dialect import Dialect
from shared.web.errors import invalid_request
from shared.web.openapi import OnDemand, body_of, once
from shared.web.routing_fields import MAX_FALLBACKS, ModelName, ProviderField, read_preferences

MAX_CHOICES = 128
# More than any model writes; what a client may name without a number overflowing anywhere.
MAX_OUTPUT_TOKENS = 10_000_000
MAX_MESSAGES = 10_000
# By these a client turns on reasoning that need not be seen: OpenRouter's, OpenAI's, Anthropic's, vLLM's and Qwen's.
REASONING_FIELDS = (
    "reasoning",
    "reasoning_effort",
    "include_reasoning",
    "thinking",
    "thinking_budget",
    "enable_thinking",
    "chat_template_kwargs",
)

OutputBound = Annotated[StrictInt, Field(ge=1, le=MAX_OUTPUT_TOKENS)]


def _check_content(content: object) -> object:
    """Let text and lists of parts pass as they are: JavaScript sends halves of emoji that no typed string may hold."""
    is_parts = isinstance(content, list) and all(isinstance(part, dict) for part in content)
    if content is None or isinstance(content, str) or is_parts:
        return content
    raise ValueError("must be a text or a list of parts")


Content = Annotated[
    Any,
    AfterValidator(_check_content),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "object"}}, {"type": "null"}]}),
]


class _Fields(BaseModel):
    model_config = ConfigDict(extra="allow", strict=True)


class Message(_Fields):
    """One message; its content is the provider's to read."""

    role: str
    content: Content = None


class StreamOptions(_Fields):
    """OpenAI's stream_options."""

    include_usage: StrictBool | None = None


class Reasoning(_Fields):
    """OpenRouter's reasoning; its budget counts as output."""

    max_tokens: OutputBound | None = None


class Thinking(_Fields):
    """Anthropic's thinking; its budget counts as output."""

    budget_tokens: OutputBound | None = None


class ChatBody(_Fields):
    """POST /v1/chat/completions."""

    model: ModelName
    messages: Annotated[list[Message], Field(min_length=1, max_length=MAX_MESSAGES), FailFast()]
    models: Annotated[list[ModelName], Field(max_length=MAX_FALLBACKS)] | None = None
    provider: ProviderField | None = None
    stream: StrictBool | None = None
    stream_options: StreamOptions | None = None
    n: Annotated[StrictInt, Field(ge=1, le=MAX_CHOICES)] | None = None
    max_tokens: OutputBound | None = None
    max_completion_tokens: OutputBound | None = None
    max_output_tokens: OutputBound | None = None
    reasoning: Reasoning | None = None
    thinking: Thinking | None = None
    session_id: str | None = None


CHAT_OPENAPI = OnDemand(lambda: once(body_of(ChatBody)))


def read_chat_request(
    body: Mapping[str, Any],
    claim: Claim | None,
    dialect: Dialect | None = None,
    storage: AnswerStorage | None = None,
) -> ChatRequest:
    """Check the fields that we read; claim is how the request is known again.

    dialect: the client's, None where it is chat; storage: where its answer is stored for later requests

    raises  InvalidRequest naming the first field that is not as the contract has it
    """
    try:
        fields = ChatBody.model_validate(body)
    except ValidationError as error:
        raise invalid_request([dict(problem) for problem in error.errors(include_url=False)]) from None
    named = (fields.max_tokens, fields.max_completion_tokens, fields.max_output_tokens)
    bounds = [bound for bound in named if bound is not None]
    return ChatRequest(
        body=body,
        models=tuple(dict.fromkeys(ModelId(model) for model in (fields.model, *(fields.models or ())))),
        preferences=read_preferences(fields.provider),
        choices=fields.n or 1,
        max_output_tokens=min(bounds) if bounds else None,
        is_reasoning_asked=any(body.get(name) is not None for name in REASONING_FIELDS),
        thinking_tokens=max(
            fields.reasoning.max_tokens or 0 if fields.reasoning else 0,
            fields.thinking.budget_tokens or 0 if fields.thinking else 0,
        ),
        is_stream=bool(fields.stream),
        claim=claim,
        dialect=dialect or ChatDialect(is_usage_wanted=_is_usage_wanted(fields.stream_options)),
        storage=storage,
    )


def _is_usage_wanted(options: StreamOptions | None) -> bool:
    return options is not None and bool(options.include_usage)
