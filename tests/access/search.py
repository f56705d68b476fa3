"""The search for secrets: in every column of every table, in Redis, and in any bytes, as they are and encoded."""

import base64
import hashlib
from collections.abc import Iterable, Iterator
from typing import Any, cast

import psycopg
import redis
from psycopg import sql

from infra.local.ports import LOOPBACK
from infra.local.stack import LocalStack

READ_COLUMNS = """
    select schema.nspname, relation.relname, attribute.attname, attribute.atttypid = 'bytea'::regtype
      from pg_class as relation
      join pg_namespace as schema on schema.oid = relation.relnamespace
      join pg_attribute as attribute on attribute.attrelid = relation.oid
     where schema.nspname !~ '^(pg_|information_schema$)' and relation.relkind in ('r', 'p', 'm')
       and attribute.attnum > 0 and not attribute.attisdropped
     order by 1, 2, attribute.attnum
"""


def encodings_of(secret: str) -> set[bytes]:
    """Return how a secret may stand somewhere: itself, in hexadecimal, in base64 of both kinds, as a plain hash."""
    raw = secret.encode()
    found: set[bytes] = set()
    for each in (raw, hashlib.sha256(raw).digest(), hashlib.sha1(raw).digest(), hashlib.md5(raw).digest()):
        found |= {each, each.hex().encode(), each.hex().upper().encode(), *_base64_of(each)}
    return found


def _base64_of(raw: bytes) -> Iterator[bytes]:
    """Return what is the same in base64 whatever stands before and after."""
    for offset in range(3):
        # The first characters take bits from what is before, the last from what is after.
        encoded = base64.b64encode(b"\0" * offset + raw).rstrip(b"=")
        inner = encoded[(0, 2, 3)[offset] : len(encoded) if (offset + len(raw)) % 3 == 0 else -1]
        yield inner
        yield inner.replace(b"+", b"-").replace(b"/", b"_")


class Secrets:
    """What must be found nowhere, each by a name that may be shown."""

    def __init__(self) -> None:
        self._encodings: dict[str, set[bytes]] = {}

    def add(self, name: str, secret: str) -> str:
        """Look for this too, and return it."""
        assert len(secret) >= 12, f"{name} is so short that it may stand anywhere"
        self._encodings.setdefault(name, set()).update(encodings_of(secret))
        return secret

    @property
    def names(self) -> set[str]:
        """What is looked for."""
        return set(self._encodings)

    def found_in(self, content: bytes) -> set[str]:
        """Return the names of the secrets that these bytes hold."""
        return {name for name, encodings in self._encodings.items() if any(each in content for each in encodings)}

    def found_in_tables(self, session: psycopg.Connection) -> set[tuple[str, str]]:
        """Return each column, with its table and schema, that holds a secret, and which."""
        found = set()
        for schema, table, column, is_bytes in session.execute(READ_COLUMNS.encode()).fetchall():
            values = _read_column(session, schema, table, column, is_bytes=is_bytes)
            content = b"\n".join(bytes(value) if is_bytes else str(value).encode() for value in values)
            found |= {(f"{schema}.{table}.{column}", name) for name in self.found_in(content)}
        return found

    def found_in_redis(self, stack: LocalStack) -> set[tuple[str, str]]:
        """Return each key of Redis that holds a secret, in its name or its value, and which."""
        return {(key.decode(), name) for key, content in read_redis(stack) for name in self.found_in(content)}


def _read_column(session: psycopg.Connection, schema: str, table: str, column: str, *, is_bytes: bool) -> Iterable[Any]:
    shown = sql.SQL("{}" if is_bytes else "{}::text").format(sql.Identifier(column))
    query = sql.SQL("select {} from {}.{} where {} is not null")
    cursor = session.execute(query.format(shown, sql.Identifier(schema), sql.Identifier(table), sql.Identifier(column)))
    return (value for (value,) in cursor.fetchall())


def read_redis(stack: LocalStack) -> list[tuple[bytes, bytes]]:
    """Return every key of Redis, and its name and value as bytes."""
    with redis.Redis(LOOPBACK, stack.ports.redis, password=stack.credentials.redis_password) as client:
        found = []
        for key in client.scan_iter(count=1000):
            kind = cast("bytes", client.type(key)).decode()
            words = {
                "string": ("GET", key),
                "hash": ("HGETALL", key),
                "list": ("LRANGE", key, 0, -1),
                "set": ("SMEMBERS", key),
                "zset": ("ZRANGE", key, 0, -1),
                "stream": ("XRANGE", key, "-", "+"),
                # It was over in between.
                "none": ("GET", key),
            }[kind]
            found.append((key, key + b"\n" + _flat(client.execute_command(*words))))
        return found


def _flat(value: object) -> bytes:
    if isinstance(value, dict):
        return b"\n".join(_flat(each) for pair in value.items() for each in pair)
    if isinstance(value, list | tuple | set):
        return b"\n".join(_flat(each) for each in value)
    return value if isinstance(value, bytes) else str(value).encode()
