"""Stored chats: one account's alone, in one order, within bounds, counted exactly."""

import itertools
import threading

import pytest

from tests.sql.books import Books
from tests.sql.chats import (
    READ,
    WRITE,
    assert_counts_add_up,
    delete,
    keeper,
    make_session,
    new_session,
    read,
    said,
    say,
    search,
    stats,
)
from tests.sql.customers import Customer, make_customer
from tests.sql.pages import give_scopes

NARROW = """
    create or replace function gateway.chat_bounds() returns gateway.chat_bounds
    language sql immutable as $$ select row({}, {}, {}, {}, 262144)::gateway.chat_bounds $$
"""


@pytest.fixture
def customer(books: Books) -> Customer:
    return keeper(books)


def test_a_session_shows_its_messages_in_order_page_by_page(customer: Customer) -> None:
    session_id = new_session(customer, "Rome")
    for number in range(7):
        assert say(customer, session_id, f"line {number}")["verdict"] == "message"
    told, after, pages = read(customer, session_id, limit=3), None, []
    assert (told["session"]["title"], told["session"]["messages"]) == ("Rome", 7)
    for _ in range(4):
        page = read(customer, session_id, limit=3, after=after)
        pages.append([each["message"]["content"] for each in page["page"]])
        after = page["next_after"]
        if after is None:
            break
    assert pages == [["line 0", "line 1", "line 2"], ["line 3", "line 4", "line 5"], ["line 6"]]
    assert_counts_add_up(customer)


def test_a_page_of_large_messages_ends_where_an_answer_would_be_too_large(customer: Customer) -> None:
    session_id = new_session(customer)
    for _ in range(10):
        assert say(customer, session_id, "x" * 262_000)["verdict"] == "message"
    first = read(customer, session_id)
    second = read(customer, session_id, after=first["next_after"])
    assert (len(first["page"]), len(second["page"]), second["next_after"]) == (8, 2, None)


def test_what_comes_again_with_its_receipt_is_stored_once(customer: Customer) -> None:
    first, again = [make_session(customer, "once", again="a-session") for _ in range(2)]
    assert (first["session"], again["is_replayed"]) == (again["session"], True)
    session_id = first["session"]["id"]
    one, replay = [say(customer, session_id, "hello", again="a-message") for _ in range(2)]
    assert (one["message"], one["is_replayed"], replay["is_replayed"]) == (replay["message"], False, True)
    assert say(customer, session_id, "other", again="a-message")["code"] == "idempotency_key_reused"
    assert make_session(customer, "other", again="a-session")["code"] == "idempotency_key_reused"
    assert said(customer.books, session_id) == ["hello"]


def test_another_account_s_session_answers_like_one_that_never_was(books: Books, customer: Customer) -> None:
    other, session_id = keeper(books), new_session(customer, "mine")
    say(customer, session_id, "quetzal")
    for named in (session_id, 10**12):
        for answer in (
            read(other, named),
            say(other, named, "x"),
            delete(other, named),
            other.books.call(
                "update_chat_session", caller=other.caller(scope=WRITE), session_id=named, changes={"title": "x"}
            ),
        ):
            assert (answer["status"], answer["code"]) == (404, "session_not_found")
    assert search(other, "quetzal")["messages"] == []
    assert stats(other)["messages"] == 0
    assert said(books, session_id) == ["quetzal"]


@pytest.mark.parametrize("function", ["read_chat_session", "delete_chat_session", "search_chat", "read_chat_stats"])
def test_a_key_without_the_scope_is_refused(books: Books, function: str) -> None:
    customer = make_customer(books)
    scope = WRITE if function.startswith("delete") else READ
    arguments: dict[str, dict[str, object]] = {
        "read_chat_session": {"session_id": 1, "limit": 1},
        "delete_chat_session": {"session_id": 1},
        "search_chat": {"query": "x", "limit": 1},
        "read_chat_stats": {},
    }
    answer = books.call(function, caller=customer.caller(scope=scope), **arguments[function])
    assert (answer["code"], answer["numbers"]) == ("missing_scope", {"scope": scope})


def test_bounds_hold_and_say_their_numbers(own_ledger: Books) -> None:
    customer = keeper(own_ledger)
    session_id = new_session(customer)
    assert (say(customer, session_id, "x" * 262_144)["status"], said(own_ledger, session_id)) == (413, [])
    own_ledger.rows(NARROW.format(2, 100, 10_000, 3))
    new_session(customer)
    refused = make_session(customer)
    assert (refused["code"], refused["numbers"]) == ("too_many_sessions", {"limit": 2})
    for _ in range(3):
        assert say(customer, session_id, "x")["verdict"] == "message"
    assert say(customer, session_id, "x")["code"] == "session_full"
    own_ledger.rows(NARROW.format(100, 4, 10_000, 100))
    assert say(customer, session_id, "x")["verdict"] == "message"
    assert say(customer, session_id, "x")["code"] == "history_full"
    own_ledger.rows(NARROW.format(100, 100, 300, 100))
    assert say(customer, session_id, "x" * 300)["code"] == "history_full"
    assert_counts_add_up(customer)


def test_messages_of_many_writers_at_once_have_one_order_and_pass_no_bound(own_ledger: Books) -> None:
    customer = keeper(own_ledger)
    session_id = new_session(customer)
    own_ledger.rows(NARROW.format(100, 100, 1_000_000, 20))
    numbers, outcomes = itertools.count(), []

    def write() -> None:
        mine = Books(own_ledger.url)
        try:
            writer = Customer(mine, customer.account_id, customer.key_id, customer.key_hmac)
            for _ in range(5):
                outcomes.append(say(writer, session_id, f"{next(numbers)}").get("code", "stored"))
        finally:
            mine.close()

    threads = [threading.Thread(target=write) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert (outcomes.count("stored"), outcomes.count("session_full")) == (20, 10)
    places = own_ledger.rows("select position from gateway.chat_messages where session_id = %s order by 1", session_id)
    assert [place for (place,) in places] == list(range(1, 21))
    assert_counts_add_up(customer)


def test_a_suspended_account_may_look_and_change_nothing(books: Books, customer: Customer) -> None:
    session_id = new_session(customer)
    books.rows("update gateway.accounts set status = 'suspended' where id = %s", customer.account_id)
    assert read(customer, session_id)["verdict"] == "session_read"
    for answer in (say(customer, session_id, "x"), delete(customer, session_id), make_session(customer)):
        assert answer["code"] == "account_suspended"
    give_scopes(customer, READ)
