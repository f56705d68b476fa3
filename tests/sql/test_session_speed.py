"""A request with a session is begun in a moment, whatever the database believed of sessions when it planned that."""

import time
from collections.abc import Iterator

import pytest

from infra.local.stack import LocalStack
from tests.sql.books import Books, call, connect_as_service, own_books
from tests.sql.chats import keeper

MESSAGES = 10_000
LIMIT_S = 1.0
TIMEOUT = "set statement_timeout = '10s'"
ADD_SESSION = "insert into gateway.chat_sessions (account_id, title) values (%s, 'one') returning id"
FILL = """
    insert into gateway.chat_messages (account_id, session_id, position, message, tokens)
    select %s, %s, place, jsonb_build_object('role', %s::text, 'content', 'x'), 5
      from generate_series(%s::int, %s::int) as place
"""
MOVE_END = "update gateway.chat_sessions set last_position = %s where id = %s"


@pytest.fixture
def books(ledger_stack: LocalStack) -> Iterator[Books]:
    with own_books(ledger_stack, is_clock_movable=False) as books:
        yield books


@pytest.mark.parametrize("instructions", [0, 1, 900])
def test_a_long_session_is_read_as_quickly_by_who_planned_for_short_ones(books: Books, instructions: int) -> None:
    customer = keeper(books)
    for _ in range(300):
        short = books.value(ADD_SESSION, customer.account_id)
        books.owner.execute(FILL, [customer.account_id, short, "user", 1, 1])
    books.owner.execute("analyze gateway.chat_messages, gateway.chat_sessions")
    session = connect_as_service(books.url)
    session.execute(TIMEOUT)
    try:
        for _ in range(8):
            call(session, "read_chat_turns", caller=customer.caller(), session_id=short, token_budget=100_000)
        long = books.value(ADD_SESSION, customer.account_id)
        books.owner.execute(FILL, [customer.account_id, long, "system", 1, instructions])
        books.owner.execute(FILL, [customer.account_id, long, "user", instructions + 1, MESSAGES])
        books.owner.execute(MOVE_END, [MESSAGES, long])
        started_s = time.perf_counter()
        told = call(session, "read_chat_turns", caller=customer.caller(), session_id=long, token_budget=100_000)
        taken_s = time.perf_counter() - started_s
    finally:
        session.close()
    assert len(told["messages"]) == 1000
    assert taken_s < LIMIT_S
