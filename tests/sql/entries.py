"""Calls of the inner functions that those of api begin with, as their owner makes them."""

from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from tests.sql.books import Books

ENTER = "select (entered.key).id, entered.refusal from gateway.enter(%s) as entered"


def enter(books: Books, caller: dict[str, object]) -> tuple[int | None, Any]:
    """Return the id of the key that may enter, or None and the refusal; both where the key is known and may not."""
    return enter_over(books.owner, caller)


def enter_over(session: psycopg.Connection, caller: dict[str, object]) -> tuple[int | None, Any]:
    """Enter over an open session."""
    key_id, refusal = session.execute(ENTER.encode(), (Jsonb(caller),)).fetchall()[0]
    return key_id, refusal
