"""What stands in the tables: digests that change when anything is written, of all of it or of one account's rows."""

from collections.abc import Collection

import psycopg
from psycopg import sql

# name, and whether it has account_id, key_id
READ_TABLES = """
    select relation.relname,
           exists (select from pg_attribute where attrelid = relation.oid and attname = 'account_id'),
           exists (select from pg_attribute where attrelid = relation.oid and attname = 'key_id')
      from pg_class as relation join pg_namespace as schema on schema.oid = relation.relnamespace
     where schema.nspname = 'gateway' and relation.relkind in ('r', 'p') order by 1
"""
DIGEST = "select count(*), coalesce(sum(hashtextextended(line::text, 0)::numeric), 0) from gateway.{} as line where {}"

Digest = dict[str, tuple[int, int]]


def digest_all(database_url: str, *, but: Collection[str] = ()) -> Digest:
    """Return how many rows each table has, and a sum of their hashes."""
    with psycopg.connect(database_url, autocommit=True) as session:
        names = [name for name, _, _ in session.execute(READ_TABLES.encode()).fetchall() if name not in but]
        return {name: _digest(session, name, sql.SQL("true")) for name in names}


def digest_account(database_url: str, account_id: int) -> Digest:
    """Return the same of the rows that are an account's, or its keys'."""
    number = sql.Literal(account_id)
    own_keys = sql.SQL("key_id in (select id from gateway.api_keys where account_id = {})").format(number)
    digest: Digest = {"accounts": (0, 0)}
    with psycopg.connect(database_url, autocommit=True) as session:
        for name, has_account, has_key in session.execute(READ_TABLES.encode()).fetchall():
            if name == "accounts":
                digest[name] = _digest(session, name, sql.SQL("id = {}").format(number))
            elif has_account:
                digest[name] = _digest(session, name, sql.SQL("account_id = {}").format(number))
            elif has_key:
                digest[name] = _digest(session, name, own_keys)
    return digest


def _digest(session: psycopg.Connection, name: str, condition: sql.Composable) -> tuple[int, int]:
    row = session.execute(sql.SQL(DIGEST).format(sql.Identifier(name), condition)).fetchone()
    assert row is not None
    return int(row[0]), int(row[1])
