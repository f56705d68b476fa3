"""Calls that truly meet: all wait for one wallet's lock, held by us, before any of them goes on."""

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import psycopg

from tests.sql.books import Books, call, connect_as_service

Call = tuple[str, dict[str, object]]

# PostgreSQL gives the whole test session 200 connections, and two crowds may stand at the same time.
CONNECTIONS = 100
PATIENCE_S = 30.0
LOCK_WALLET = "select from gateway.wallets where account_id = %s for no key update"
COUNT_WAITING = """
    select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'
"""


class Crowd:
    """Many sessions of one database."""

    def __init__(self, books: Books, size: int) -> None:
        self.books = books
        self._threads = ThreadPoolExecutor(size)
        self._sessions = list(self._threads.map(lambda _: connect_as_service(books.url), range(size)))

    @property
    def size(self) -> int:
        """How many calls can meet."""
        return len(self._sessions)

    def call_at_once(
        self, locked: int | str, calls: Sequence[Call], *, lock: str = LOCK_WALLET, least: int | None = None
    ) -> list[Any]:
        """Return the answers of calls that all wait for this account's wallet at the same time, or for another lock.

        least: how many have to come to wait, where some of them do not come by the lock

        raises  TimeoutError when they do not come to wait; what a call raises
        """
        assert len(calls) <= self.size
        gate = psycopg.connect(self.books.url)
        try:
            gate.execute(lock.encode(), (locked,))
            waiting = [
                self._threads.submit(call, session, function, **arguments)
                for session, (function, arguments) in zip(self._sessions, calls, strict=False)
            ]
            wait_until_waiting(self.books, len(calls) if least is None else least)
        finally:
            gate.rollback()
            gate.close()
        return [answer.result(PATIENCE_S) for answer in waiting]

    def close(self) -> None:
        """End all sessions."""
        self._threads.shutdown()
        for session in self._sessions:
            session.close()


def wait_until_waiting(books: Books, count: int) -> None:
    """Return once so many sessions wait for a lock.

    raises  TimeoutError when they do not come to wait
    """
    deadline_s = time.monotonic() + PATIENCE_S
    while books.value(COUNT_WAITING) < count:
        if time.monotonic() > deadline_s:
            raise TimeoutError("the calls do not wait for the lock")
        time.sleep(0.005)


def answer_of_the_second[T](
    books: Books, first: Callable[[psycopg.Connection], object], second: Callable[[psycopg.Connection], T]
) -> T:
    """Return what a session is answered that has to wait for another's open transaction, which then commits.

    raises  TimeoutError when the second does not come to wait; what the calls raise
    """
    with ThreadPoolExecutor(1) as thread, psycopg.connect(books.url) as opener, psycopg.connect(books.url) as follower:
        first(opener)
        answer = thread.submit(second, follower)
        try:
            wait_until_waiting(books, 1)
        finally:
            opener.commit()
        return answer.result(PATIENCE_S)


@contextmanager
def crowd_of(books: Books, size: int) -> Iterator[Crowd]:
    """Open the sessions and end them."""
    crowd = Crowd(books, size)
    try:
        yield crowd
    finally:
        crowd.close()
