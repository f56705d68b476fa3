"""Of the shared set of requests those about completions in other words: Responses, stored ones too, and Messages."""

import functools
from collections.abc import Iterator, Mapping

from tests.deploy.cast import TOO_LARGE, Cast
from tests.deploy.same_answers import COMPLETION, JSON, RESPONSE, Question
from tests.functions.chat.speakers import MESSAGES, RESPONSES

Headers = Mapping[str, str]

COUNT_TOKENS = f"{MESSAGES.path}/count_tokens"
STORED = f"{RESPONSES.path}/resp_{'0' * 32}"
UNICODE = "Grüß Gott, 世界 👋"
# What comes of some of the questions.
DIALECT_STATUSES = {
    "a response": 200,
    "a response as a stream": 200,
    "a response that calls functions": 200,
    "a response after one that never was": 400,
    "GET a stored response that never was": 404,
    "a message": 200,
    "a message as a stream": 200,
    "a message that calls functions": 200,
    "a message of an unknown version": 400,
    "a message without max_tokens": 400,
    "a count of tokens": 200,
}


def dialect_questions(cast: Cast) -> Iterator[Question]:
    """Return the questions."""
    yield from _response_questions(cast)
    yield from _refused_responses(cast)
    yield from _stored_responses(cast.rich)
    yield from _message_questions(cast)
    yield from _refused_messages(cast)
    yield from _counting_questions(cast)


def _response_questions(cast: Cast) -> Iterator[Question]:
    sent = {**JSON, **cast.rich, "Origin": "https://app.example"}
    response = functools.partial(
        Question, method="POST", path=RESPONSES.path, headers=sent, varying=RESPONSE, body=None
    )
    body = functools.partial(RESPONSES.body, cast.model)
    yield response("a response", body=body(input=UNICODE))
    yield response("a response that is not stored", body=body(store=False, metadata={"mark": UNICODE}))
    yield response("a response as a stream", body=body(stream=True))
    yield response("a response that calls functions", body=RESPONSES.body(cast.calling, has_tools=True))
    calls = RESPONSES.body(cast.calling, has_tools=True, stream=True)
    yield response("a response that calls functions as a stream", body=calls)
    yield response("a response cut short", body=RESPONSES.body(cast.cut))
    yield response("a response as a stream cut short", body=RESPONSES.body(cast.cut, stream=True))
    yield response("a response for a test key", headers={**JSON, **cast.test}, body=body())


def _refused_responses(cast: Cast) -> Iterator[Question]:
    sent, path = {**JSON, **cast.rich}, RESPONSES.path
    body = RESPONSES.body(cast.model)
    yield Question("a response without a key", "POST", path, JSON, body)
    yield Question("a response without credit", "POST", path, {**JSON, **cast.poor}, body)
    yield Question("a response that is no JSON", "POST", path, sent, b"{not json")
    yield Question("a response that is too large", "POST", path, sent, b" " * TOO_LARGE)
    yield Question("a response of an unknown model", "POST", path, sent, {**body, "model": "none/such"})
    yield Question("a response with a hosted tool", "POST", path, sent, {**body, "tools": [{"type": "web_search"}]})
    after = {**body, "previous_response_id": STORED.rpartition("/")[2]}
    yield Question("a response after one that never was", "POST", path, sent, after)
    yield Question("a response of a provider that fails", "POST", path, sent, RESPONSES.body(cast.failing))
    streamed = RESPONSES.body(cast.failing, stream=True)
    yield Question("a response as a stream of a provider that fails", "POST", path, sent, streamed)
    yield Question("a response of a provider that limits us", "POST", path, sent, RESPONSES.body(cast.limited))
    yield Question("a response by GET", "GET", path, cast.rich)
    yield Question("a response by PUT", "PUT", path, sent, body)
    yield _preflight(path, "authorization, content-type, idempotency-key")


def _stored_responses(rich: Headers) -> Iterator[Question]:
    for method in ("GET", "DELETE"):
        yield Question(f"{method} a stored response that never was", method, STORED, rich)
        yield Question(f"{method} what is no stored response", method, f"{RESPONSES.path}/none", rich)
        yield Question(f"{method} a stored response without a key", method, STORED)
    yield Question("a stored response as a stream", "GET", f"{STORED}?stream=true", rich)
    yield Question("a stored response by POST", "POST", STORED, {**JSON, **rich}, {})
    yield Question("what a stored response was asked", "GET", f"{STORED}/input_items", rich)
    yield Question("a stored response to cancel", "POST", f"{STORED}/cancel", {**JSON, **rich}, {})


def _message_questions(cast: Cast) -> Iterator[Question]:
    message = functools.partial(
        Question, method="POST", path=MESSAGES.path, headers=_anthropic_s(cast.rich), varying=COMPLETION, body=None
    )
    body = functools.partial(MESSAGES.body, cast.model)
    yield message("a message", body=body(system=UNICODE))
    yield message("a message by Authorization", headers={**JSON, **cast.rich}, body=body())
    yield message("a message as a stream", body=body(stream=True))
    yield message("a message that calls functions", body=MESSAGES.body(cast.calling, has_tools=True))
    yield message(
        "a message that calls functions as a stream", body=MESSAGES.body(cast.calling, has_tools=True, stream=True)
    )
    yield message("a message as a stream cut short", body=MESSAGES.body(cast.cut, stream=True))
    yield message("a message for a test key", headers=_anthropic_s(cast.test), body=body())


def _refused_messages(cast: Cast) -> Iterator[Question]:
    sent, path = _anthropic_s(cast.rich), MESSAGES.path
    body = MESSAGES.body(cast.model)
    yield Question("a message without a key", "POST", path, JSON, body)
    yield Question("a message with a mistyped key", "POST", path, {**JSON, "x-api-key": "gw_live_mistyped"}, body)
    yield Question("a message without credit", "POST", path, _anthropic_s(cast.poor), body)
    yield Question("a message of an unknown version", "POST", path, {**sent, "anthropic-version": "2020-01-01"}, body)
    yield Question("a message that is no JSON", "POST", path, sent, b"{not json")
    yield Question("a message that is too large", "POST", path, sent, b" " * TOO_LARGE)
    yield Question("a message without max_tokens", "POST", path, sent, {**body, "max_tokens": None})
    yield Question("a message of an unknown model", "POST", path, sent, {**body, "model": "none/such"})
    yield Question("a message of a provider that fails", "POST", path, sent, MESSAGES.body(cast.failing))
    yield Question("a message of a provider that limits us", "POST", path, sent, MESSAGES.body(cast.limited))
    yield Question("a message by GET", "GET", path, cast.rich)
    for method, unknown in (("POST", "batches"), ("GET", "batches"), ("GET", "msg_1")):
        yield Question(f"{method} {unknown} of messages", method, f"{path}/{unknown}", cast.rich)
    yield _preflight(path, "anthropic-dangerous-direct-browser-access, anthropic-version, content-type, x-api-key")


def _counting_questions(cast: Cast) -> Iterator[Question]:
    sent = _anthropic_s(cast.rich)
    body = MESSAGES.body(cast.model)
    prompt = {name: body[name] for name in ("model", "system", "messages")}
    yield Question("a count of tokens", "POST", COUNT_TOKENS, sent, prompt)
    yield Question("a count of tokens without a key", "POST", COUNT_TOKENS, JSON, prompt)
    yield Question("a count of no tokens", "POST", COUNT_TOKENS, sent, {"model": cast.model})
    yield Question("a count of tokens by GET", "GET", COUNT_TOKENS, cast.rich)
    yield Question("more than a count of tokens", "POST", f"{COUNT_TOKENS}/more", sent, prompt)


def _anthropic_s(headers: Headers) -> dict[str, str]:
    """Return what Anthropic's clients send instead of an Authorization."""
    secret = headers.get("Authorization", "").removeprefix("Bearer ")
    return {**JSON, "x-api-key": secret, "anthropic-version": "2023-06-01", "Origin": "https://app.example"}


def _preflight(path: str, headers: str) -> Question:
    asked = {"Origin": "https://app.example", "Access-Control-Request-Headers": headers}
    return Question(f"preflight of {path}", "OPTIONS", path, {**asked, "Access-Control-Request-Method": "POST"})
