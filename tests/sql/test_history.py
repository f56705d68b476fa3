"""Stored chats: one account's alone, within bounds, counted exactly, and gone when they are deleted."""

import itertools
import threading
from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from tests.sql.books import Books
from tests.sql.chats import READ, WRITE, append, keeper, make_session, new_session, read, said, say, search, turn
from tests.sql.customers import Customer, make_customer
from tests.sql.pages import give_scopes

USAGE = "select sessions, messages, size_bytes from gateway.chat_usage where account_id = %s"
SUMS = """
    select (select count(*) from gateway.chat_sessions where account_id = %(id)s),
           (select count(*) from gateway.chat_messages where account_id = %(id)s),
           (select coalesce(sum(size_bytes), 0) from gateway.chat_messages where account_id = %(id)s)
"""
MISCOUNTED = """
    select id from gateway.chat_sessions as session
     where (messages, tokens) <> (
           select count(*), coalesce(sum(tokens), 0) from gateway.chat_messages where session_id = session.id)
"""
NARROW = """
    create or replace function gateway.chat_bounds() returns gateway.chat_bounds
    language sql immutable as $$ select row({}, {}, {}, {}, 262144)::gateway.chat_bounds $$
"""
RESPONSES = """
    select (select count(*) from gateway.stored_responses where account_id = quota.account_id), stored_bytes
      from gateway.quota_usage as quota where account_id = %s
"""
LEFT = """
    select count(*) from (select account_id from gateway.chat_sessions
                          union all select account_id from gateway.chat_messages
                          union all select account_id from gateway.chat_usage) as kept where account_id = %s
"""


@pytest.fixture
def customer(books: Books) -> Customer:
    return keeper(books)


def stats(customer: Customer) -> Any:
    return customer.books.call("read_chat_stats", caller=customer.caller(scope=READ))


def delete(customer: Customer, session_id: int) -> Any:
    return customer.books.call("delete_chat_session", caller=customer.caller(scope=WRITE), session_id=session_id)


def assert_counts_add_up(customer: Customer) -> None:
    books = customer.books
    counted = books.rows(USAGE, customer.account_id) or [(0, 0, 0)]
    assert [tuple(map(int, counted[0]))] == [
        tuple(map(int, row)) for row in books.owner.execute(SUMS, {"id": customer.account_id}).fetchall()
    ]
    assert books.rows(MISCOUNTED) == []


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


def test_what_is_deleted_is_seen_nowhere_at_once_and_erased_by_the_purge(customer: Customer) -> None:
    books, kept = customer.books, new_session(customer, "kept")
    say(customer, kept, "quetzal kept", model="a/b")
    session_id = new_session(customer, "gone")
    for _ in range(25):
        say(customer, session_id, "quetzal gone", model="a/b")
    assert delete(customer, session_id)["verdict"] == "session_deleted"
    assert delete(customer, session_id)["verdict"] == "session_deleted"
    assert read(customer, session_id)["code"] == "session_not_found"
    assert say(customer, session_id, "more")["code"] == "session_not_found"
    assert [each["session_id"] for each in search(customer, "quetzal")["messages"]] == [kept]
    listed = books.call("list_chat_sessions", caller=customer.caller(scope=READ), limit=10)
    assert [each["id"] for each in listed["sessions"]] == [kept]
    told = stats(customer)
    assert (told["sessions"], told["messages"]) == (1, 1)
    assert [(each["model_id"], each["messages"]) for each in told["models"]] == [("a/b", 1)]
    erased = [books.call("erase_history", limit=10)["count"] for _ in range(5)]
    assert (sum(erased) >= 26, erased[-1]) == (True, 0)
    assert (said(books, session_id), said(books, kept)) == ([], ["quetzal kept"])
    assert delete(customer, session_id)["code"] == "session_not_found"
    assert_counts_add_up(customer)


def test_the_purge_waits_for_nobody_and_takes_what_was_busy_the_next_time(own_ledger: Books) -> None:
    customer = keeper(own_ledger)
    session_id = new_session(customer)
    say(customer, session_id, "x")
    delete(customer, session_id)
    with psycopg.connect(own_ledger.url) as session:
        session.execute("select from gateway.accounts where id = %s for no key update", (customer.account_id,))
        assert own_ledger.call("erase_history")["count"] == 0
    assert own_ledger.call("erase_history")["count"] == 2
    assert said(own_ledger, session_id) == []


def test_an_account_that_ends_leaves_nothing_of_its_chats(books: Books, customer: Customer) -> None:
    other = keeper(books)
    theirs = new_session(other)
    say(other, theirs, "theirs")
    for _ in range(2):
        session_id = new_session(customer, "title")
        say(customer, session_id, "words")
    delete(customer, session_id)
    books.rows("select gateway.erase_account(%s, gateway.clock())", customer.account_id)
    assert books.value(LEFT, customer.account_id) == 0
    assert said(books, theirs) == ["theirs"]
    assert_counts_add_up(other)


def test_turning_retention_off_erases_what_completions_left_and_not_what_its_owner_put_there(books: Books) -> None:
    customer = keeper(books, credit=1000)
    session_id = new_session(customer)
    say(customer, session_id, "my own")
    assert append(books, customer.admitted(tokens=1), session_id, *turn("question", "answer"))["outcome"] == "stored"
    changed = books.call(
        "update_profile", caller=customer.caller(scope="account:write"), changes={"is_zero_retention": True}
    )
    assert changed["verdict"] == "profile"
    assert said(books, session_id) == ["my own"]
    say(customer, session_id, "still my own")
    later = append(books, customer.admitted(tokens=1), session_id, *turn("question", "answer"))
    assert (later["outcome"], said(books, session_id)) == ("not_kept", ["my own", "still my own"])
    assert_counts_add_up(customer)


def keep_nothing(customer: Customer) -> None:
    caller = customer.caller(scope="account:write")
    changed = customer.books.call("update_profile", caller=caller, changes={"is_zero_retention": True})
    assert changed["verdict"] == "profile"


def end(customer: Customer) -> None:
    customer.books.rows("select gateway.erase_account(%s, gateway.clock())", customer.account_id)


@pytest.mark.parametrize("erase", [keep_nothing, end])
def test_what_a_completion_left_is_erased_wherever_it_was_left(books: Books, erase: Callable[[Customer], None]) -> None:
    customer = keeper(books, credit=1000)
    session_id, generation_id = new_session(customer), customer.admitted(tokens=1)
    assert append(books, generation_id, session_id, *turn("question", "answer"))["outcome"] == "stored"
    stored = books.call("store_response", generation_id=generation_id, previous_id=None, content="sealed", size_bytes=9)
    assert (stored["verdict"], books.rows(RESPONSES, customer.account_id)) == ("stored", [(1, 6)])
    erase(customer)
    assert (said(books, session_id), books.rows(RESPONSES, customer.account_id)) == ([], [(0, 0)])


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


SPEECH = "the quick brown fox jumps; the lazy dog über-schläft at http://example.com/a?b=1"


@pytest.mark.parametrize(
    ("query", "is_found"),
    [
        ("FOX dog", True), ('"quick brown"', True), ('"brown quick"', False), ("cat or fox", True), ("fox -dog", False),
        ("über", True), ("foxes", False), ("example.com", True), ("!!!", False), ("'' & | : * \\", False), ("-", False),
        ("account", False),
    ],
)  # fmt: skip
def test_words_phrases_and_their_absence_are_found(customer: Customer, query: str, is_found: bool) -> None:
    session_id = new_session(customer)
    say(customer, session_id, [{"type": "text", "text": SPEECH}, {"type": "image_url", "image_url": {"url": "data:x"}}])
    found = search(customer, query)
    assert found["verdict"] == "found"
    assert len(found["messages"]) == is_found
    assert all("quick" in each["snippet"] for each in found["messages"])


def test_no_words_of_a_text_make_it_another_account_s(books: Books, customer: Customer) -> None:
    other = keeper(books)
    session_id = new_session(customer)
    say(customer, session_id, f"'account {other.account_id}' account {other.account_id} quetzal")
    assert search(other, "quetzal")["messages"] == []
    assert len(search(customer, f"account {other.account_id}")["messages"]) == 1


@pytest.mark.parametrize("text", [
    " ".join(f"{number:x}" for number in range(45_000)),
    " ".join(chr(0x4E00 + number % 20_000) + chr(0x4E00 + number // 20_000) for number in range(37_000)),
    " ".join(f"{number:x}-{number:x}x" for number in range(20_000)),
    " ".join(f"a{number:x}.io/{number:x}" for number in range(17_000)),
    "w" * 250_000,
    "\u0001\u2028\ufeff" * 20_000,
])  # fmt: skip
def test_no_text_that_fits_is_too_much_for_the_index(customer: Customer, text: str) -> None:
    session_id = new_session(customer)
    assert say(customer, session_id, f"quetzal {text}")["verdict"] == "message"
    assert [each["session_id"] for each in search(customer, "quetzal", limit=1)["messages"]] == [session_id]


def test_a_search_is_read_page_by_page_newest_first(customer: Customer) -> None:
    session_id = new_session(customer)
    ids = [say(customer, session_id, f"quetzal {number}")["message"]["id"] for number in range(5)]
    found = [each["id"] for each in search(customer, "quetzal", limit=3)["messages"]]
    found += [each["id"] for each in search(customer, "quetzal", limit=3, before=found[-1])["messages"]]
    assert found == ids[::-1]


def test_a_suspended_account_may_look_and_change_nothing(books: Books, customer: Customer) -> None:
    session_id = new_session(customer)
    books.rows("update gateway.accounts set status = 'suspended' where id = %s", customer.account_id)
    assert read(customer, session_id)["verdict"] == "session_read"
    for answer in (say(customer, session_id, "x"), delete(customer, session_id), make_session(customer)):
        assert answer["code"] == "account_suspended"
    give_scopes(customer, READ)
