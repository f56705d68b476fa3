"""Customers who keep chats, and what our servers ask for them."""

import uuid
from typing import Any

from psycopg.types.json import Jsonb

from tests.sql.books import Books
from tests.sql.customers import Customer, make_customer
from tests.sql.pages import give_scopes

READ, WRITE = "history:read", "history:write"
USAGE = "select sessions, messages, size_bytes from gateway.chat_usage where account_id = %s"
SUMS = """
    select (select count(*) from gateway.chat_sessions where account_id = %(id)s),
           (select count(*) from gateway.chat_messages where account_id = %(id)s),
           (select coalesce(sum(size_bytes), 0) from gateway.chat_messages where account_id = %(id)s)
"""
# What completions left up to a place that is hidden is seen by nobody.
MISCOUNTED = """
    select id from gateway.chat_sessions as session
     where (messages, tokens) <> (
           select count(*), coalesce(sum(tokens), 0) from gateway.chat_messages
            where session_id = session.id and (generation_id is null or position > session.hidden_through))
"""
READ_MESSAGES = "select message ->> 'content' from gateway.chat_messages where session_id = %s order by position"


def keeper(books: Books, **other: Any) -> Customer:
    """Make a customer whose key may read and write history."""
    customer = make_customer(books, **other)
    give_scopes(customer, READ, WRITE, "account:read", "account:write")
    return customer


def receipt(name: str | None = None, body: str = "body") -> dict[str, object]:
    """Return how a change is known; without a name it is never known again."""
    return {"key_hmacs": [name or uuid.uuid4().hex], "body_hmacs": [body], "route": "test", "sealed": None}


def make_session(customer: Customer, title: str | None = None, *, again: str | None = None) -> Any:
    """Ask for a session."""
    return customer.books.call(
        "create_chat_session",
        caller=customer.caller(scope=WRITE),
        settings={"title": title, "model_id": None},
        receipt=receipt(again, title or ""),
    )


def new_session(customer: Customer, title: str | None = None) -> int:
    """Make a session that must be made."""
    answer = make_session(customer, title)
    assert answer["verdict"] == "session", answer
    return int(answer["session"]["id"])


def say(
    customer: Customer, session_id: int, content: Any, role: str = "user", *, model: str | None = None,
    again: str | None = None,
) -> Any:  # fmt: skip
    """Put a message into a session."""
    return customer.books.call(
        "add_chat_message",
        caller=customer.caller(scope=WRITE),
        session_id=session_id,
        message={"role": role, "content": content},
        model_id=model,
        receipt=receipt(again, str(content)),
    )


def append(books: Books, generation_id: uuid.UUID, session_id: int, *messages: dict[str, Any]) -> Any:
    """Store a turn as the chat engine does."""
    return books.call(
        "append_chat_turn",
        generation_id=generation_id,
        session_id=session_id,
        messages=Jsonb([{"message": message} for message in messages]),
        model_id="test/nano",
    )


def turn(question: str, answer: str) -> list[dict[str, Any]]:
    """Return a question and its answer."""
    return [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]


def read(customer: Customer, session_id: int, **other: object) -> Any:
    """Read a session with its messages."""
    arguments: dict[str, object] = {"limit": 100, **other}
    return customer.books.call(
        "read_chat_session", caller=customer.caller(scope=READ), session_id=session_id, **arguments
    )


def said(books: Books, session_id: int) -> list[str]:
    """Return what is in a session, whoever may see it."""
    return [content for (content,) in books.rows(READ_MESSAGES, session_id)]


def search(customer: Customer, query: str, **other: object) -> Any:
    """Look for words."""
    arguments: dict[str, object] = {"limit": 100, **other}
    return customer.books.call("search_chat", caller=customer.caller(scope=READ), query=query, **arguments)


def turns(customer: Customer, session_id: int, budget: int = 1_000_000) -> Any:
    """Read what would stand before a request's messages."""
    return customer.books.call("read_chat_turns", caller=customer.caller(), session_id=session_id, token_budget=budget)


def stats(customer: Customer) -> Any:
    """Read what all sessions come to."""
    return customer.books.call("read_chat_stats", caller=customer.caller(scope=READ))


def delete(customer: Customer, session_id: int) -> Any:
    """Delete a session."""
    return customer.books.call("delete_chat_session", caller=customer.caller(scope=WRITE), session_id=session_id)


def assert_counts_add_up(customer: Customer) -> None:
    """Compare what was counted with what there is."""
    books = customer.books
    counted = books.rows(USAGE, customer.account_id) or [(0, 0, 0)]
    assert [tuple(map(int, counted[0]))] == [
        tuple(map(int, row)) for row in books.owner.execute(SUMS, {"id": customer.account_id}).fetchall()
    ]
    assert books.rows(MISCOUNTED) == []
