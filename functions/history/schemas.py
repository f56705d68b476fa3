"""What is sent to keep a chat, and to find what was said in one."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from shared.core.errors import InvalidRequest
from shared.web.errors import invalid_request

MAX_TITLE_LENGTH = 200
MAX_MODEL_LENGTH = 200
MAX_QUERY_LENGTH = 200
MAX_PARTS = 100


def _storable(text: str) -> str:
    if "\x00" in text:
        raise ValueError("must not have null characters")
    try:
        text.encode()
    except UnicodeEncodeError:
        # JSON can name one half of a pair.
        raise ValueError("must not have halves of characters") from None
    return text


def _title(text: str) -> str:
    stripped = _storable(text).strip()
    if not stripped:
        raise ValueError("must have at least one character that can be seen")
    return stripped


Text = Annotated[str, AfterValidator(_storable)]
Title = Annotated[str, Field(max_length=MAX_TITLE_LENGTH), AfterValidator(_title)]
Model = Annotated[str, Field(pattern=rf"^[!-~]{{1,{MAX_MODEL_LENGTH}}}$")]
Query = Annotated[str, Field(min_length=1, max_length=MAX_QUERY_LENGTH), AfterValidator(_storable)]


class _Fields(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class NewSession(_Fields):
    """POST /v1/chat/sessions."""

    title: Title | None = None
    model: Model | None = None


class SessionChanges(_Fields):
    """PATCH /v1/chat/sessions/{id}: what is absent stays, null takes it away."""

    title: Title | None = None
    model: Model | None = None


class TextPart(_Fields):
    """A piece of a message's text."""

    type: Literal["text"]
    text: Text


class ImageAddress(_Fields):
    """Where an image is, or the image itself as a data URL."""

    url: Annotated[Text, Field(min_length=1)]
    detail: Literal["auto", "low", "high"] = "auto"


class ImagePart(_Fields):
    """An image in a message."""

    type: Literal["image_url"]
    image_url: ImageAddress


class NewMessage(_Fields):
    """POST /v1/chat/sessions/{id}/messages: a message as the chat dialect has it."""

    role: Literal["system", "developer", "user", "assistant"]
    content: (
        Annotated[Text, Field(min_length=1)]
        | Annotated[list[TextPart | ImagePart], Field(min_length=1, max_length=MAX_PARTS)]
    )
    model: Model | None = None


class SearchBody(_Fields):
    """POST /v1/chat/search."""

    query: Query


def read_new_session(body: Mapping[str, Any]) -> dict[str, str | None]:
    """Return a new session in the database's words.

    raises  InvalidRequest naming the field at fault
    """
    given = _read(NewSession, body)
    return {"title": given.title, "model_id": given.model}


def read_session_changes(body: Mapping[str, Any]) -> dict[str, str | None]:
    """Return what is to change, in the database's words.

    raises  InvalidRequest; also where nothing is to change
    """
    given = _read(SessionChanges, body).model_dump(exclude_unset=True)
    if not given:
        raise InvalidRequest("Name what is to change: title or model.")
    return {{"model": "model_id"}.get(name, name): value for name, value in given.items()}


def read_new_message(body: Mapping[str, Any]) -> tuple[dict[str, Any], str | None]:
    """Return a message as the chat dialect has it, and the model that it is by.

    raises  InvalidRequest naming the field at fault
    """
    given = _read(NewMessage, body)
    return given.model_dump(include={"role", "content"}, exclude_unset=True), given.model


def read_search(body: Mapping[str, Any]) -> str:
    """Return the words to look for.

    raises  InvalidRequest
    """
    return _read(SearchBody, body).query


def read_words(text: str | None) -> str:
    """Return the words to look for, of a request's query.

    raises  InvalidRequest
    """
    if text is None or not 1 <= len(text) <= MAX_QUERY_LENGTH or "\x00" in text:
        raise InvalidRequest(f"q: the words to look for, 1 to {MAX_QUERY_LENGTH} characters.", param="q")
    return text


def _read[Body: BaseModel](model: type[Body], body: Mapping[str, Any]) -> Body:
    try:
        return model.model_validate(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        problem = dict(first)
        if first["loc"][:1] == ("content",):
            # pydantic names the kinds of content, which are no fields.
            problem |= {
                "loc": ("content",),
                "msg": f"must be a text, or a list of 1 to {MAX_PARTS} parts of the types text and image_url, "
                "without null characters and halves of characters",
            }
        raise invalid_request([problem]) from None
