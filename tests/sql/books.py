"""A database of a test's own: the ledger's functions as service_role, its tables and its clock as their owner."""

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb

from infra.local.migrate import apply_migrations, apply_seed
from infra.local.stack import LocalStack

TEMPLATE = "ledger_template"
START = datetime(2030, 1, 1, tzinfo=UTC)

# A token of this model costs one nano-dollar, so that quantities are amounts.
MODEL = "test/nano"
PROVIDER = "openrouter"
NANO_PER_TOKEN = 1_000_000
INSERT_MODEL = """
    insert into gateway.models (id, name, context_length, max_output_tokens, image_input_tokens)
    values (%s, %s, 1000000, 1000000, null)
"""
PUBLISH_MODEL = "select api.publish_offer(%s, %s, 'nano', %s)"

# Production reads the machine's clock; these databases read a row.
MOVABLE_CLOCK = """
    create table public.clock_reading (at timestamptz not null);
    insert into public.clock_reading values ('2030-01-01 00:00:00+00');
    create or replace function gateway.clock() returns timestamptz
    language sql volatile as $$ select at from public.clock_reading $$;
"""

_numbers = itertools.count(1)


class Books:
    """One database's ledger."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.owner = psycopg.connect(url, autocommit=True)
        self._service = connect_as_service(url)

    def call(self, function: str, **arguments: object) -> Any:
        """Call a function of the schema api as our servers do, by its arguments' names without their p_."""
        return call(self._service, function, **arguments)

    def rows(self, statement: str, *arguments: object) -> list[tuple[Any, ...]]:
        """Read or write tables as their owner."""
        cursor = self.owner.execute(statement.encode(), arguments)
        return cursor.fetchall() if cursor.description else []

    def value(self, statement: str, *arguments: object) -> Any:
        """Return the one value of the one row."""
        ((value,),) = self.rows(statement, *arguments)
        return value

    def now(self) -> datetime:
        """Return what the database's clock shows."""
        at: datetime = self.value("select at from public.clock_reading")
        return at

    def set_time(self, at: datetime) -> None:
        """Move the clock."""
        self.rows("update public.clock_reading set at = %s", at)

    def pass_time(self, **units: float) -> None:
        """Move the clock on: `pass_time(hours=1)`."""
        self.set_time(self.now() + timedelta(**units))

    def broken_rules(self, account_id: int | None = None) -> Any:
        """Return what the checker finds, of one account or of all."""
        return self.call("check_books", account_id=account_id)

    def close(self) -> None:
        """End both sessions."""
        self.owner.close()
        self._service.close()


def connect_as_service(url: str) -> psycopg.Connection:
    """Open a session that may do what our servers may."""
    session = psycopg.connect(url, autocommit=True)
    session.execute("set role service_role")
    return session


def call(session: psycopg.Connection, function: str, **arguments: object) -> Any:
    """Call a function of the schema api over an open session."""
    named = {f"p_{name}": Jsonb(value) if isinstance(value, dict) else value for name, value in arguments.items()}
    parts = sql.SQL(", ").join(sql.SQL("{} => {}").format(sql.Identifier(n), sql.Placeholder(n)) for n in named)
    row = session.execute(sql.SQL("select api.{}({})").format(sql.Identifier(function), parts), named).fetchone()
    assert row is not None
    return row[0]


def make_template(stack: LocalStack) -> None:
    """Migrate and seed the database that all others are copied from, with the model whose tokens cost one nano."""
    _create_database(stack, TEMPLATE, "template1")
    url = _url(stack, TEMPLATE)
    apply_migrations(url)
    apply_seed(url)
    with psycopg.connect(url, autocommit=True) as session:
        session.execute(INSERT_MODEL.encode(), (MODEL, MODEL))
        rates = {"input_tokens": NANO_PER_TOKEN, "output_tokens": NANO_PER_TOKEN}
        session.execute(PUBLISH_MODEL.encode(), (MODEL, PROVIDER, Jsonb(rates)))


@contextmanager
def own_books(stack: LocalStack, *, is_clock_movable: bool = True) -> Iterator[Books]:
    """Copy the template and drop the copy at the end."""
    name = f"ledger_{next(_numbers)}"
    _create_database(stack, name, TEMPLATE)
    url = _url(stack, name)
    if is_clock_movable:
        with psycopg.connect(url, autocommit=True) as session:
            session.execute(MOVABLE_CLOCK)
    books = Books(url)
    try:
        yield books
    finally:
        books.close()
        drop_database(stack, name)


@contextmanager
def own_database(stack: LocalStack) -> Iterator[str]:
    """Make a database without our tables, and drop it at the end."""
    name = f"empty_{next(_numbers)}"
    _create_database(stack, name, "template1")
    try:
        yield _url(stack, name)
    finally:
        drop_database(stack, name)


def drop_database(stack: LocalStack, name: str) -> None:
    """Drop a database, whoever is still connected."""
    with psycopg.connect(stack.superuser_url, autocommit=True) as session:
        session.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))


def _create_database(stack: LocalStack, name: str, template: str) -> None:
    with psycopg.connect(stack.superuser_url, autocommit=True) as session:
        statement = sql.SQL("create database {} owner postgres template {}")
        session.execute(statement.format(sql.Identifier(name), sql.Identifier(template)))


def _url(stack: LocalStack, name: str) -> str:
    return stack.database_url.removesuffix("/postgres") + f"/{name}"
