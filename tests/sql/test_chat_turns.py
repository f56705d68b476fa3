"""What a completion takes from a session and leaves in it: whole turns, in order, once."""

import threading
import uuid
from itertools import pairwise
from typing import Any

import pytest

from shared.providers.request_counts import REQUEST_OVERHEAD_TOKENS, count_request
from tests.sql.books import Books
from tests.sql.chats import append, keeper, new_session, said, say, turn, turns
from tests.sql.customers import Customer, make_customer
from tests.sql.pages import give_scopes

MAKE_SEEING = """
    insert into gateway.models (id, name, context_length, max_output_tokens, image_input_tokens)
    values (%s, 'seeing', 1000, 1000, %s)
"""


@pytest.fixture
def customer(books: Books) -> Customer:
    return keeper(books, credit=1_000_000)


def contents(told: Any) -> list[str]:
    assert told["verdict"] == "turns", told
    return [message["content"] for message in told["messages"]]


def test_turns_are_read_as_they_were_stored(customer: Customer) -> None:
    books, session_id = customer.books, new_session(customer)
    call = {"id": "call_1", "type": "function", "function": {"name": "now", "arguments": "{}"}}
    messages: list[dict[str, Any]] = [
        {"role": "user", "content": "what time is it?"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "content": "noon"},
        {"role": "assistant", "content": "It is noon."},
    ]
    assert append(books, customer.admitted(tokens=1), session_id, *messages)["outcome"] == "stored"
    told = turns(customer, session_id)
    assert (told["messages"], told["is_cut"], told["session_id"]) == (messages, False, session_id)


def test_the_newest_whole_turns_that_fit_are_read_after_the_first_instructions(customer: Customer) -> None:
    session_id = new_session(customer)
    say(customer, session_id, "be brief", "system")
    for number in range(10):
        say(customer, session_id, f"question {number}")
        say(customer, session_id, f"answer {number}", "assistant")
    whole = turns(customer, session_id)
    assert (len(whole["messages"]), whole["is_cut"]) == (21, False)
    assert contents(turns(customer, session_id, whole["tokens"])) == contents(whole)
    for budget in range(whole["tokens"]):
        told = turns(customer, session_id, budget)
        assert told["tokens"] <= budget
        assert told["is_cut"] is True
        shown = contents(told)
        if shown:
            assert shown == ["be brief", *contents(whole)[len(contents(whole)) - len(shown) + 1 :]]
            assert len(shown) % 2 == 1
    assert contents(turns(customer, session_id, 0)) == []


def test_a_session_is_read_by_who_may_read_and_write_history(books: Books, customer: Customer) -> None:
    session_id = new_session(customer)
    for held, lacking in (
        ((), "history:read"),
        (("history:read",), "history:write"),
        (("history:write",), "history:read"),
    ):
        give_scopes(customer, *held)
        answer = turns(customer, session_id)
        assert (answer["code"], answer["numbers"]) == ("missing_scope", {"scope": lacking})
    assert turns(keeper(books), session_id)["code"] == "session_not_found"


def test_a_turn_is_stored_once_however_often_and_by_how_many_at_once_it_is_brought(own_ledger: Books) -> None:
    customer = keeper(own_ledger, credit=1000)
    session_id, generation_id = new_session(customer), customer.admitted(tokens=1)
    outcomes: list[str] = []

    def bring() -> None:
        mine = Books(own_ledger.url)
        try:
            outcomes.append(append(mine, generation_id, session_id, *turn("q", "a"))["outcome"])
        finally:
            mine.close()

    threads = [threading.Thread(target=bring) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert sorted(outcomes) == ["stored"] + ["stored_before"] * 7
    assert said(own_ledger, session_id) == ["q", "a"]


def test_turns_that_end_at_once_do_not_mix(own_ledger: Books) -> None:
    customer = keeper(own_ledger, credit=1000)
    session_id = new_session(customer)
    ids = [customer.admitted(tokens=1) for _ in range(8)]

    def bring(number: int) -> None:
        mine = Books(own_ledger.url)
        try:
            append(mine, ids[number], session_id, *turn(f"q{number}", f"a{number}"))
        finally:
            mine.close()

    threads = [threading.Thread(target=bring, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    stored = said(own_ledger, session_id)
    assert len(stored) == 16
    assert [question[1:] for question in stored[::2]] == [answer[1:] for answer in stored[1::2]]


def supersede(books: Books, first: uuid.UUID, second: uuid.UUID) -> None:
    """Have a retry take the place of a request whose process has died, as admission does."""
    books.rows("update gateway.holds set superseded_by = %s where id = %s", second, first)


@pytest.mark.parametrize("retries", [1, 3])
def test_of_a_request_and_its_retries_one_turn_stays_whichever_ends_first(customer: Customer, retries: int) -> None:
    books = customer.books
    late_first, late_last = new_session(customer), new_session(customer)
    for session_id in (late_first, late_last):
        ids = [customer.admitted(tokens=1) for _ in range(retries + 1)]
        if session_id == late_first:
            assert append(books, ids[0], session_id, *turn("q", "of the first"))["outcome"] == "stored"
        for earlier, later in pairwise(ids):
            supersede(books, earlier, later)
        assert append(books, ids[-1], session_id, *turn("q", "of the retry"))["outcome"] == "stored"
        again = append(books, ids[0], session_id, *turn("q", "of the first"))
        assert again["outcome"] == "superseded"
        assert said(books, session_id) == ["q", "of the retry"]


def test_nothing_is_stored_in_another_account_s_session_or_of_an_unknown_request(
    books: Books, customer: Customer
) -> None:
    session_id, stranger = new_session(customer), make_customer(books, credit=10)
    assert append(books, stranger.admitted(tokens=1), session_id, *turn("q", "a"))["code"] == "session_not_found"
    assert append(books, uuid.uuid4(), session_id, *turn("q", "a"))["code"] == "unknown_hold"
    assert said(books, session_id) == []


def test_what_is_too_large_is_refused_and_nothing_of_its_turn_is_stored(customer: Customer) -> None:
    session_id = new_session(customer)
    answer = append(customer.books, customer.admitted(tokens=1), session_id, *turn("q", "a" * 262_144))
    assert (answer["code"], said(customer.books, session_id)) == ("message_too_large", [])


BEGINNINGS = [
    [("system", "SYSTEM"), ("developer", "DEVELOPER"), ("assistant", "GREETING"), ("user", "q"), ("assistant", "a")],
    [("system", "SYSTEM"), ("system", "CONTEXT")],
    [("assistant", "GREETING")],
    [("assistant", "GREETING"), ("user", "q"), ("assistant", "a"), ("system", "LATER"), ("user", "q2")],
]


@pytest.mark.parametrize("beginning", BEGINNINGS)
def test_what_fits_is_read_whole_whatever_it_begins_with(customer: Customer, beginning: list[tuple[str, str]]) -> None:
    session_id = new_session(customer)
    for role, content in beginning:
        say(customer, session_id, content, role)
    whole = turns(customer, session_id)
    assert (contents(whole), whole["is_cut"]) == ([content for _, content in beginning], False)
    assert contents(turns(customer, session_id, whole["tokens"])) == contents(whole)
    for budget in range(0, whole["tokens"], 3):
        cut = turns(customer, session_id, budget)
        assert cut["is_cut"] is True
        assert cut["tokens"] <= budget
        # Instructions stay before anything that is said, and what is said begins with a question.
        roles = [message["role"] for message in cut["messages"]]
        spoken = [place for place, role in enumerate(roles) if role in ("user", "assistant")]
        assert not spoken or roles[spoken[0]] == "user"
        head = [content for role, content in beginning if content in ("SYSTEM", "DEVELOPER", "CONTEXT")]
        kept = [content for content in contents(cut) if content in head]
        assert kept == head[: len(kept)]
        assert not spoken or kept == head


def test_no_more_than_a_thousand_messages_are_read(customer: Customer) -> None:
    session_id = new_session(customer)
    say(customer, session_id, "SYSTEM", "system")
    for _ in range(11):
        messages = [message for number in range(50) for message in turn(f"q{number}", f"a{number}")]
        assert append(customer.books, customer.admitted(tokens=1), session_id, *messages)["outcome"] == "stored"
    told = turns(customer, session_id)
    assert (len(told["messages"]), told["is_cut"], contents(told)[:2]) == (999, True, ["SYSTEM", "q1"])


IMAGE = {"type": "image_url", "image_url": {"url": "https://example.com/quetzal.png", "detail": "high"}}
CALL = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{" + '"t": "word", ' * 9000 + "}"}}
MESSAGES: list[dict[str, Any]] = [
    {"role": "user", "content": ""},
    {"role": "user", "content": "words " * 500},
    {"role": "user", "content": "7" * 3000},
    {"role": "user", "content": '天气 🐦 ÖL \\ " \n ' * 50},
    {"role": "assistant", "content": None, "tool_calls": [CALL]},
    {"role": "tool", "tool_call_id": "call_1", "content": "x"},
    {"role": "user", "content": [{"type": "text", "text": "what is this?"}, IMAGE, IMAGE]},
    {"role": "user", "content": [{"type": "image_url", "image_url": "data:image/png;base64," + "A" * 9000}]},
]


@pytest.mark.parametrize("message", MESSAGES)
def test_a_message_is_estimated_from_above_as_a_request_is(own_ledger: Books, message: dict[str, Any]) -> None:
    own_ledger.rows(MAKE_SEEING, "test/seeing", 2_345)
    own_ledger.rows(MAKE_SEEING, "test/blind", 100)
    customer = keeper(own_ledger, credit=1000)
    session_id = new_session(customer)
    assert append(own_ledger, customer.admitted(tokens=1), session_id, message)["outcome"] == "stored"
    counts = count_request({"messages": [message]})
    least = counts.prompt_tokens - REQUEST_OVERHEAD_TOKENS + counts.image_count * 2_345
    assert least <= turns(customer, session_id)["tokens"] <= least + 64
