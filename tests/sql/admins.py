"""Who operates the gateway in a test's own database: with ADMIN_API_KEY, or as a person whose role is admin."""

import itertools
from typing import Any

from tests.sql.books import Books
from tests.sql.customers import Customer
from tests.sql.key_owners import make_owner, new_secret

_numbers = itertools.count(1)

LOCK_ADMINS = "select pg_advisory_xact_lock(hashtext('gateway.admins')) where %s > 0"
MAKE_ADMIN = "update gateway.accounts set role = 'admin' where id = %s"
READ_EVENTS = """
    select event, account_id, key_id, subject, details from gateway.audit_log
     where actor = 'admin' and id > %s order by id
"""
OPERATOR: dict[str, object] = {"is_operator": True, "address": "192.0.2.7", "request_id": "req_operator"}


def make_admin(books: Books, **columns: Any) -> Customer:
    """Make a person whose role is admin, with a live key that has every scope."""
    owner = make_owner(books, **columns)
    books.rows(MAKE_ADMIN, owner.account_id)
    return owner


def as_admin(owner: Customer, **other: object) -> dict[str, object]:
    """Return somebody as he calls a route of admins."""
    return owner.caller(scope=None, **other)


def last_event(books: Books) -> int:
    """Return the number of the newest line of the log."""
    return int(books.value("select coalesce(max(id), 0) from gateway.audit_log"))


def events_since(books: Books, number: int) -> list[tuple[Any, ...]]:
    """Return what admins did since: event, whose account, with which key, to what, details."""
    return books.rows(READ_EVENTS, number)


def provisioning(external_id: str | None = None, **other: Any) -> dict[str, Any]:
    """Return the arguments of a provisioned account, named anew unless told."""
    user = {"external_id": external_id or f"reseller:{next(_numbers)}", "email": None, "name": None, "plan_id": "free"}
    key = {"name": "first key", "environment": "live", "scopes": ["inference", "keys:write"]}
    given = {
        "user": {**user, **other.pop("user", {})},
        "key": {**key, **other.pop("key", {})},
        "secret": new_secret(),
    }
    return {**given, **other}
