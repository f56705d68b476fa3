"""Of the shared set of requests those about stored chats."""

import functools
from collections.abc import Iterator, Mapping
from dataclasses import replace

from tests.deploy.cast import Cast
from tests.deploy.same_answers import COMPLETION, JSON, RESPONSE, SESSION, Question
from tests.functions.chat.speakers import CHAT, MESSAGES, RESPONSES

Headers = Mapping[str, str]

SESSIONS, SEARCH, STATS = "/v1/chat/sessions", "/v1/chat/search", "/v1/chat/stats"
NO_SESSION = f"{SESSIONS}/sess_999999999999"
TURN = SESSION | {"generation_id"}
SAID = {"role": "user", "content": "Der Quetzal, 世界 👋"}
# What comes of the questions that change something, and of those that find it.
HISTORY_STATUSES = {
    "a chat is begun": 201,
    "the same chat is begun again": 201,
    "another chat under the same Idempotency-Key": 409,
    "a chat at the other path": 201,
    "a message is put into a chat": 201,
    "the chat with its message": 200,
    "the messages that say it": 200,
    "a chat is renamed": 200,
    "a completion in a chat": 200,
    "a completion in a chat named in the query": 200,
    "a completion in a chat named in a header": 200,
    "a response in a chat": 200,
    "a completion in two chats": 400,
    "a completion in a chat with a key that may not": 403,
    "a chat is deleted": 204,
    "a chat that was deleted": 404,
}


def history_questions(cast: Cast) -> Iterator[Question]:
    """Return the questions; only the writer's key may see chats."""
    path = f"{SESSIONS}/{cast.session}"
    yield from _refused_questions(cast.rich)
    yield from _listed_questions(cast.writer)
    yield from _message_questions(cast.writer, path)
    yield from _search_questions(cast.writer)
    yield from _continued_questions(cast)
    yield from _last_questions(cast.writer, path)


def _refused_questions(rich: Headers) -> Iterator[Question]:
    for path in (SESSIONS, "/chat/sessions", NO_SESSION, f"{SEARCH}?q=a", STATS):
        yield Question(f"{path} without a key", "GET", path)
        yield Question(f"{path} with a key that may not", "GET", path, rich)
        yield Question(f"{path} by PUT with a key that may not", "PUT", path, {**JSON, **rich}, {})
    for method, path in (("POST", SESSIONS), ("PATCH", NO_SESSION), ("POST", SEARCH)):
        asked = {"Origin": "https://app.example", "Access-Control-Request-Headers": "authorization, content-type"}
        preflight = {**asked, "Access-Control-Request-Method": method}
        yield Question(f"preflight of {method} {path}", "OPTIONS", path, preflight)
    for path in ("/v1/chat", "/v1/chat/nothing", f"{NO_SESSION}/nothing", f"{SEARCH}/more", "/chat/sessions/sess_1"):
        yield Question(f"the unknown path {path}", "GET", path, rich)


def _listed_questions(writer: Headers) -> Iterator[Question]:
    sent = {**JSON, **writer}
    once = {**sent, "Idempotency-Key": "one-chat", "Origin": "https://app.example"}
    begin = functools.partial(Question, method="POST", path=SESSIONS, headers=sent, varying=SESSION)
    new = {"title": "Grüße aus 世界", "model": "test/one"}
    yield begin("a chat is begun", headers=once, body=new)
    yield begin("the same chat is begun again", headers=once, body=new)
    yield begin("another chat under the same Idempotency-Key", headers=once, body={"title": "other"})
    yield begin("a chat at the other path", path="/chat/sessions", body=None)
    yield begin("a chat with a field too many", body={"owner": 1})
    yield begin("a chat with a title too long", body={"title": "x" * 201})
    yield begin("a chat that is no JSON", body=b"{not json")
    yield Question("the chats", "GET", SESSIONS, writer, varying=SESSION)
    yield Question("the chats at the other path", "GET", "/chat/sessions?limit=1", writer, varying=SESSION)
    yield Question("the chats, a wrong query", "GET", f"{SESSIONS}?limit=0", writer)


def _message_questions(writer: Headers, path: str) -> Iterator[Question]:
    sent = {**JSON, **writer}
    once = {**sent, "Idempotency-Key": "one-message"}
    say = functools.partial(Question, method="POST", path=f"{path}/messages", headers=sent, varying=SESSION)
    yield say("a message is put into a chat", headers=once, body=SAID)
    yield say("the same message is put into a chat again", headers=once, body=SAID)
    image = {"type": "image_url", "image_url": {"url": "https://example.com/quetzal.png"}}
    yield say("an image is put into a chat", body={"role": "user", "content": [image]})
    yield say("a message of nobody", body={"role": "tool", "content": "x"})
    yield say("a message in a chat that is not there", path=f"{NO_SESSION}/messages", body=SAID)
    yield Question("the chat with its message", "GET", path, writer, varying=SESSION)
    yield Question("a page of the chat", "GET", f"{path}?limit=1", writer, varying=SESSION)
    for name, method in (("a chat is renamed", "PATCH"), ("a chat is renamed by PUT", "PUT")):
        yield Question(name, method, path, sent, {"title": method}, varying=SESSION)
    yield Question("nothing of a chat is changed", "PATCH", path, sent, {})
    for method in ("GET", "PATCH", "DELETE"):
        body = {"title": "t"} if method == "PATCH" else None
        yield Question(f"{method} a chat that is not there", method, NO_SESSION, sent, body)
        yield Question(f"{method} what is no chat", method, f"{SESSIONS}/none", sent, body)


def _search_questions(writer: Headers) -> Iterator[Question]:
    sent = {**JSON, **writer}
    yield Question("the messages that say it", "POST", SEARCH, sent, {"query": "quetzal 世界"}, varying=SESSION)
    yield Question("the messages that say it, by GET", "GET", f"{SEARCH}?q=Quetzal", writer, varying=SESSION)
    yield Question("the messages that say something else", "GET", f"{SEARCH}?q=%22kein+Vogel%22", writer)
    yield Question("a search for nothing", "POST", SEARCH, sent, {})
    yield Question("a search without words", "GET", SEARCH, writer)
    yield Question("what all chats come to", "GET", STATS, writer)


def _continued_questions(cast: Cast) -> Iterator[Question]:
    sent, body = {**JSON, **cast.writer}, CHAT.body(cast.model)
    named = {"session_id": cast.session}
    completion = functools.partial(Question, method="POST", path=CHAT.path, headers=sent, body=body, varying=COMPLETION)
    yield completion("a completion in a chat", body={**body, **named})
    in_query = f"{CHAT.path}?session_id={cast.session}"
    yield completion("a completion in a chat named in the query", path=in_query)
    in_header = {**sent, "X-Session-Id": cast.session}
    yield completion("a completion in a chat named in a header", headers=in_header, body={**body, "stream": True})
    response = Question("a response in a chat", "POST", RESPONSES.path, sent, {**RESPONSES.body(cast.model), **named})
    yield replace(response, varying=RESPONSE)
    yield completion("a completion in two chats", path=f"{CHAT.path}?session_id=sess_999999999999", headers=in_header)
    yield completion("a completion in what is no chat", body={**body, "session_id": "none"})
    yield completion("a completion in a chat that is not there", body={**body, "session_id": "sess_999999999999"})
    yield completion("a completion in a chat with a key that may not", headers={**in_header, **cast.rich})
    yield completion("a message in a chat", path=MESSAGES.path, headers=in_header, body=MESSAGES.body(cast.model))
    yield Question("the chat with what was answered", "GET", f"{SESSIONS}/{cast.session}", sent, varying=TURN)


def _last_questions(writer: Headers, path: str) -> Iterator[Question]:
    yield Question("a chat is deleted", "DELETE", path, writer)
    yield Question("a chat is deleted again", "DELETE", path, writer)
    yield Question("a chat that was deleted", "GET", path, writer)
    yield Question("what the other chats come to", "GET", STATS, writer)
