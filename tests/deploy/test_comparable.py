"""The comparison itself: what two places may differ in, and that nothing else is overlooked."""

import json

import pytest

from tests.deploy.same_answers import ANY, COMPLETION, HEALTH, comparable
from tests.functions.chat.client import Answer

HEADERS = {"Content-Type": "application/json", "X-Request-Id": "req_1", "x-ratelimit-remaining-requests": "5"}
BODY = {"id": "chatcmpl-1", "created": 1, "error": {"request_id": "req_1", "code": "no"}, "status": "ok"}
STREAM = b'data: {"id":"chatcmpl-1","created":1,"choices":[]}\n\ndata: [DONE]\n\n'


def answer(body: bytes | None = None, status: int = 200, **headers: str) -> Answer:
    raw = json.dumps(BODY).encode() if body is None else body
    return Answer(status, HEADERS | {name.replace("_", "-"): value for name, value in headers.items()}, raw)


def test_ids_and_times_of_two_answers_may_differ() -> None:
    other = json.dumps({**BODY, "id": "chatcmpl-2", "created": 2, "error": {"request_id": "req_2", "code": "no"}})
    again = answer(other.encode(), X_Request_Id="req_2", x_ratelimit_remaining_requests="4")
    assert comparable(answer(), COMPLETION) == comparable(again, COMPLETION)


@pytest.mark.parametrize(
    "other",
    [
        answer(status=201),
        answer(Content_Type="text/plain"),
        answer(x_should_retry="true"),
        answer(X_Generation_Id="gen_1"),
        answer(json.dumps({**BODY, "status": "degraded"}).encode()),
        answer(json.dumps({**BODY, "more": 1}).encode()),
        answer(json.dumps({**BODY, "error": {"request_id": "req_1", "code": "yes"}}).encode()),
        answer(json.dumps({name: BODY[name] for name in BODY if name != "created"}).encode()),
    ],
)
def test_any_other_difference_is_one(other: Answer) -> None:
    assert comparable(other, COMPLETION) != comparable(answer(), COMPLETION)


def test_what_varies_in_one_question_does_not_in_another() -> None:
    other = answer(json.dumps({**BODY, "status": "degraded"}).encode())
    assert comparable(other, ANY) != comparable(answer(), ANY)
    assert comparable(other, HEALTH) == comparable(answer(), HEALTH)


@pytest.mark.parametrize(
    ("changed", "is_same"),
    [
        (STREAM.replace(b"chatcmpl-1", b"chatcmpl-2").replace(b"1,", b"2,"), True),
        (STREAM.replace(b"[]", b"[1]"), False),
        (b": a comment\n" + STREAM, False),
        (STREAM.replace(b"\n", b"\r\n"), False),
        (STREAM[:-1], False),
    ],
)
def test_a_stream_is_compared_to_the_byte(changed: bytes, *, is_same: bool) -> None:
    streams = [answer(each, Content_Type="text/event-stream") for each in (STREAM, changed)]
    first, second = (comparable(each, COMPLETION) for each in streams)
    assert (first == second) is is_same
