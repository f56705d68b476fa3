"""Any two calls for one account, made to meet at each lock while SECRET_KEY is being rotated: none waits for ever."""

import itertools
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest

from tests.sql.books import Books, call, connect_as_service
from tests.sql.meetings import CALLS, meeting
from tests.sql.races import LOCK_WALLET, PATIENCE_S

GATES = {
    "account": "select from gateway.accounts where id = %(account_id)s for no key update",
    "wallet": LOCK_WALLET.replace("%s", "%(account_id)s"),
    "secret": "select from gateway.key_secrets where key_id = %(key_id)s for update",
    "key": "select from gateway.api_keys where id = %(key_id)s for no key update",
}
COUNT_WAITING = "select count(*) from pg_stat_activity where pid = any (%s) and wait_event_type = 'Lock'"


@contextmanager
def two_sessions(books: Books) -> Iterator[list[psycopg.Connection]]:
    sessions = [connect_as_service(books.url) for _ in range(2)]
    try:
        yield sessions
    finally:
        for session in sessions:
            session.close()


def _wait_until_they_stand(books: Books, sessions: list[psycopg.Connection], answers: list[Future[Any]]) -> None:
    pids, deadline_s = [session.info.backend_pid for session in sessions], time.monotonic() + PATIENCE_S
    while books.value(COUNT_WAITING, pids) < sum(not answer.done() for answer in answers):
        assert time.monotonic() < deadline_s, "a call neither waits nor ends"
        time.sleep(0.001)


@pytest.mark.parametrize("gate", GATES)
def test_any_two_calls_that_meet_at_a_lock_both_end(own_ledger: Books, gate: str) -> None:
    """The first is called by the key itself that both are about, the second by another key of the account."""
    met, failed = 0, []
    with (
        two_sessions(own_ledger) as sessions,
        psycopg.connect(own_ledger.url) as holder,
        ThreadPoolExecutor(2) as threads,
    ):
        for pair in itertools.product(CALLS, repeat=2):
            at = meeting(own_ledger, has_pending="collect" in pair)
            calls = [CALLS[name](at, by) for name, by in zip(pair, (at.key.key_hmac, at.owner.key_hmac), strict=True)]
            holder.execute(GATES[gate].encode(), {"account_id": at.owner.account_id, "key_id": at.key.id})
            answers: list[Future[Any]] = []
            for session, (function, arguments) in zip(sessions, calls, strict=True):
                answers.append(threads.submit(call, session, function, **arguments))
                _wait_until_they_stand(own_ledger, sessions, answers)
            met += not any(answer.done() for answer in answers)
            holder.rollback()
            failed += [(*pair, error) for answer in answers if (error := answer.exception(PATIENCE_S)) is not None]
    assert failed == []
    # Not every pair has both at the gate, but one where hardly any has would show nothing.
    assert met > len(CALLS)
    assert own_ledger.broken_rules() == []
