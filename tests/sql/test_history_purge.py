"""The purge of deleted chats: what is busy keeps nobody else's from being erased."""

import psycopg

from tests.sql.books import Books
from tests.sql.chats import WRITE, keeper, new_session, said, say
from tests.sql.customers import Customer

LOCK = "select from gateway.accounts where id = %s for no key update"
DELETED = "select count(*)::int from gateway.chat_sessions where account_id = %s and deleted_at is not null"
DELETE_MANY = """
    insert into gateway.chat_sessions (account_id, deleted_at, erasable_since)
    select %s, now() - interval '1 day', now() - interval '1 day' from generate_series(1, 150)
"""


def delete(customer: Customer, session_id: int) -> None:
    answer = customer.books.call("delete_chat_session", caller=customer.caller(scope=WRITE), session_id=session_id)
    assert answer["verdict"] == "session_deleted"


def test_the_chats_of_a_busy_account_hide_nobody_else_s(own_ledger: Books) -> None:
    busy, other = keeper(own_ledger), keeper(own_ledger)
    own_ledger.rows(DELETE_MANY, busy.account_id)
    session_id = new_session(other)
    say(other, session_id, "x")
    delete(other, session_id)
    with psycopg.connect(own_ledger.url) as session:
        session.execute(LOCK.encode(), (busy.account_id,))
        assert own_ledger.call("erase_history")["count"] == 2
        assert own_ledger.call("erase_history")["count"] == 0
    assert said(own_ledger, session_id) == []
    assert own_ledger.value(DELETED, busy.account_id) == 150
    counts = [own_ledger.call("erase_history")["count"] for _ in range(3)]
    assert (counts, own_ledger.value(DELETED, busy.account_id)) == ([100, 50, 0], 0)
