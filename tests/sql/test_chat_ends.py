"""How stored chats end: seen nowhere at once, and erased a few at a time by the purge."""

from collections.abc import Callable

import psycopg
import pytest

from tests.sql.books import Books
from tests.sql.chats import (
    READ,
    append,
    assert_counts_add_up,
    delete,
    keeper,
    new_session,
    read,
    said,
    say,
    search,
    stats,
    turn,
    turns,
)
from tests.sql.customers import Customer

RESPONSES = """
    select (select count(*) from gateway.stored_responses where account_id = quota.account_id), stored_bytes
      from gateway.quota_usage as quota where account_id = %s
"""
NAMED = "select count(*) from gateway.chat_sessions where account_id = %s and coalesce(title, model_id) is not null"
LEFT = """
    select count(*) from (select account_id from gateway.chat_sessions
                          union all select account_id from gateway.chat_messages
                          union all select account_id from gateway.chat_usage) as kept where account_id = %s
"""


@pytest.fixture
def customer(books: Books) -> Customer:
    return keeper(books)


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


def purge(books: Books, *, limit: int = 1000) -> list[int]:
    """Erase until nothing is left, and return how much each call took."""
    counts = []
    for _ in range(100):
        counts.append(books.call("erase_history", limit=limit)["count"])
        if counts[-1] == 0:
            return counts
    raise AssertionError(counts)


def keep_nothing(customer: Customer, *, is_zero_retention: bool = True) -> None:
    caller = customer.caller(scope="account:write")
    changed = customer.books.call("update_profile", caller=caller, changes={"is_zero_retention": is_zero_retention})
    assert changed["verdict"] == "profile"


def end(customer: Customer) -> None:
    customer.books.rows("select gateway.erase_account(%s, gateway.clock())", customer.account_id)


def test_an_account_that_ends_leaves_its_messages_to_the_purge_which_takes_a_few_at_a_time(own_ledger: Books) -> None:
    customer, other = keeper(own_ledger), keeper(own_ledger)
    theirs = new_session(other)
    say(other, theirs, "theirs")
    for number in range(3):
        session_id = new_session(customer, "title")
        for _ in range(10):
            say(customer, session_id, f"words {number}")
    delete(customer, session_id)
    end(customer)
    # Of an account that has stored all that it may a request could not erase everything in its time.
    assert len(said(own_ledger, session_id)) == 10
    assert own_ledger.value(NAMED, customer.account_id) == 0
    assert max(purge(own_ledger, limit=7)) <= 7 + 3
    assert own_ledger.value(LEFT, customer.account_id) == 0
    assert said(own_ledger, theirs) == ["theirs"]
    assert_counts_add_up(other)


def seen(customer: Customer, session_id: int) -> list[str]:
    """Return what its owner sees of a session, when everything that shows messages agrees."""
    messages = [each["message"]["content"] for each in read(customer, session_id)["page"]]
    # What is hidden takes nothing of the budget.
    told = turns(customer, session_id, read(customer, session_id)["session"]["tokens"])
    assert ([each["content"] for each in told["messages"]], told["is_cut"]) == (messages, False)
    found = search(customer, "quetzal")["messages"]
    assert [each["snippet"] for each in found if each["session_id"] == session_id] == messages[::-1]
    assert read(customer, session_id)["session"]["messages"] == len(messages)
    assert stats(customer)["messages"] == sum(each["messages"] for each in stats(customer)["models"])
    return messages


def test_turning_retention_off_hides_what_completions_left_at_once_and_not_what_its_owner_put_there(
    own_ledger: Books,
) -> None:
    customer = keeper(own_ledger, credit=1000)
    session_id, untouched = new_session(customer), new_session(customer)
    say(customer, session_id, "quetzal of my own")
    say(customer, untouched, "quetzal elsewhere")
    for _ in range(5):
        turn_ = turn("a quetzal?", "a quetzal!")
        assert append(own_ledger, customer.admitted(tokens=1), session_id, *turn_)["outcome"] == "stored"
    assert len(seen(customer, session_id)) == 11
    keep_nothing(customer)
    assert seen(customer, session_id) == ["quetzal of my own"]
    assert len(said(own_ledger, session_id)) == 11
    say(customer, session_id, "quetzal still my own")
    later = append(own_ledger, customer.admitted(tokens=1), session_id, *turn("a quetzal?", "a quetzal!"))
    assert later["outcome"] == "not_kept"
    assert (stats(customer)["messages"], stats(customer)["sessions"]) == (3, 2)
    assert_counts_add_up(customer)
    assert max(purge(own_ledger, limit=4)) <= 4 + 1
    assert said(own_ledger, session_id) == seen(customer, session_id) == ["quetzal of my own", "quetzal still my own"]
    assert_counts_add_up(customer)


def test_what_is_stored_after_retention_is_on_again_is_seen_and_stays(own_ledger: Books) -> None:
    customer = keeper(own_ledger, credit=1000)
    session_id = new_session(customer)
    for number in range(2):
        rule = {"role": "system", "content": f"quetzal {number}"}
        turn_ = [rule, *turn(f"quetzal {number}?", f"quetzal {number}!")]
        assert append(own_ledger, customer.admitted(tokens=1), session_id, *turn_)["outcome"] == "stored"
        if number == 0:
            keep_nothing(customer)
            keep_nothing(customer, is_zero_retention=False)
    assert seen(customer, session_id) == ["quetzal 1", "quetzal 1?", "quetzal 1!"]
    assert_counts_add_up(customer)
    purge(own_ledger)
    assert said(own_ledger, session_id) == seen(customer, session_id) == ["quetzal 1", "quetzal 1?", "quetzal 1!"]
    keep_nothing(customer)
    delete(customer, session_id)
    purge(own_ledger)
    assert own_ledger.value(LEFT, customer.account_id) == 0


@pytest.mark.parametrize("erase", [keep_nothing, end])
def test_what_a_completion_left_is_erased_wherever_it_was_left(
    own_ledger: Books, erase: Callable[[Customer], None]
) -> None:
    customer = keeper(own_ledger, credit=1000)
    session_id, generation_id = new_session(customer), customer.admitted(tokens=1)
    assert append(own_ledger, generation_id, session_id, *turn("question", "answer"))["outcome"] == "stored"
    stored = own_ledger.call(
        "store_response", generation_id=generation_id, previous_id=None, content="sealed", size_bytes=9
    )
    assert (stored["verdict"], own_ledger.rows(RESPONSES, customer.account_id)) == ("stored", [(1, 6)])
    erase(customer)
    purge(own_ledger)
    assert (said(own_ledger, session_id), own_ledger.rows(RESPONSES, customer.account_id)) == ([], [(0, 0)])
