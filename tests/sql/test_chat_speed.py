"""A search finds what is one account's among everybody's by index: of 10⁶ messages, of which it has 10⁵."""

import time
from collections.abc import Callable, Iterator
from statistics import quantiles
from typing import Any

import pytest

from infra.local.stack import LocalStack
from tests.sql.books import Books, call, connect_as_service, own_books
from tests.sql.chats import READ, keeper
from tests.sql.customers import Customer
from tests.sql.test_account_speed import _nodes, _plans

MESSAGES, OWN = 1_000_000, 100_000
OTHERS = 90
SESSION_MESSAGES = 100
P95_LIMIT_MS = 150
ROUNDS, CALLS = 3, 20
# One word that is in every message, one in each of a hundred, one that is in three messages of the account alone.
INSERT_SESSIONS = """
    insert into gateway.chat_sessions (account_id, title)
    select %(account_id)s, 'session ' || number from generate_series(1, %(count)s / %(each)s) as number
"""
INSERT_MESSAGES = """
    insert into gateway.chat_messages (account_id, session_id, position, message, model_id, tokens)
    select session.account_id, session.id, number,
           jsonb_build_object('role', case number %% 2 when 1 then 'user' else 'assistant' end, 'content',
               'everywhere some words that people write w' || (session.id * 7 + number) %% 1000 || ' about q'
               || (session.id * 31 + number) %% 20000
               || case when (session.id * 100 + number) %% 33333 = 0 then ' quetzal 今天天气' else '' end),
           'test/m' || number %% 3, 25
      from gateway.chat_sessions as session, generate_series(1, %(each)s) as number
     where session.account_id = %(account_id)s
"""


@pytest.fixture(scope="module")
def crowd(ledger_stack: LocalStack) -> Iterator[tuple[Books, Customer, Customer]]:
    """A database of a million messages; an account with a tenth of them, and one with a hundredth."""
    with own_books(ledger_stack, is_clock_movable=False) as books:
        keepers = [keeper(books) for _ in range(OTHERS + 1)]
        for number, each in enumerate(keepers):
            count = OWN if number == OTHERS else (MESSAGES - OWN) // OTHERS
            numbers = {"account_id": each.account_id, "count": count, "each": SESSION_MESSAGES}
            books.owner.execute(INSERT_SESSIONS.encode(), numbers)
            books.owner.execute(INSERT_MESSAGES.encode(), numbers)
        books.owner.execute("vacuum analyze gateway.chat_messages, gateway.chat_sessions")
        assert books.value("select count(*) from gateway.chat_messages") == MESSAGES
        yield books, keepers[OTHERS], keepers[OTHERS // 2]


READS: dict[str, tuple[str, dict[str, object]]] = {
    "a rare word": ("search_chat", {"query": "quetzal", "limit": 21}),
    "a word of one message in a thousand": ("search_chat", {"query": "w7", "limit": 21}),
    "a word of every message": ("search_chat", {"query": "everywhere", "limit": 21}),
    "a word of every message, further on": ("search_chat", {"query": "everywhere", "limit": 21, "before": 950_000}),
    "all words but one": ("search_chat", {"query": "-everywhere", "limit": 21}),
    "a phrase": ("search_chat", {"query": '"words that people write w7"', "limit": 21}),
    "a pair of letters": ("search_chat", {"query": "天气", "limit": 21}),
    "no such word": ("search_chat", {"query": "nowhere", "limit": 21}),
    "sums": ("read_chat_stats", {}),
    "sessions": ("list_chat_sessions", {"limit": 100}),
}


@pytest.mark.parametrize("name", READS)
def test_no_message_of_another_account_is_looked_at(
    ledger_stack: LocalStack, crowd: tuple[Books, Customer, Customer], name: str
) -> None:
    function, arguments = READS[name]
    for customer in crowd[1:]:
        plans = _plans(ledger_stack, crowd[0], customer, function, arguments)
        nodes = [node for plan in plans for node in _nodes(plan)]
        assert [node for node in nodes if node["Node Type"] == "Seq Scan" and "chat" in node["Relation Name"]] == []
        used = {node.get("Index Name") for node in nodes}
        if function == "search_chat":
            assert used & {"chat_messages_by_words", "chat_messages_pkey"}


@pytest.mark.parametrize("name", READS)
def test_95_of_100_readings_are_quick(
    crowd: tuple[Books, Customer, Customer], name: str, record_property: Callable[[str, object], None]
) -> None:
    function, arguments = READS[name]
    session = connect_as_service(crowd[0].url)
    try:
        for customer in crowd[1:]:
            p95 = min(_p95_ms(session, customer, function, arguments) for _ in range(ROUNDS))
            record_property("p95_ms", round(p95, 1))
            assert p95 < P95_LIMIT_MS
    finally:
        session.close()


def _p95_ms(session: Any, customer: Customer, function: str, arguments: dict[str, object]) -> float:
    taken: list[float] = []
    for _ in range(CALLS):
        started_s = time.perf_counter()
        answer = call(session, function, caller=customer.caller(scope=READ), **arguments)
        taken.append((time.perf_counter() - started_s) * 1000)
        assert answer["verdict"] != "refused"
    return quantiles(taken, n=20)[-1]
