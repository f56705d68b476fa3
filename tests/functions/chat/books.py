"""What a request left in the books, read beside the gateway."""

import time
import uuid
from typing import Any

import psycopg
from psycopg.rows import dict_row

from tests.harness.tenants import Tenant

READ_LINE = """
    select *, (quantities).input_tokens, (quantities).cached_input_tokens, (quantities).cache_write_tokens,
           (quantities).output_tokens, (quantities).requests
      from gateway.usage_lines where generation_id = %s
"""
READ_LINES_OF_ACCOUNT = "select generation_id from gateway.usage_lines where account_id = %s"
POLL_S = 0.05


def usage_line(tenant: Tenant, generation_id: str) -> dict[str, Any]:
    """Return the one usage line of a request."""
    (line,) = _rows(tenant, READ_LINE, _uuid(generation_id))
    return line


def only_usage_line(tenant: Tenant) -> dict[str, Any]:
    """Return the account's only usage line."""
    (line,) = _rows(tenant, READ_LINES_OF_ACCOUNT, tenant.account_id)
    return usage_line(tenant, line["generation_id"].hex)


def has_no_usage_line(tenant: Tenant) -> bool:
    """Say whether the account was never charged, not even nothing."""
    return not _rows(tenant, READ_LINES_OF_ACCOUNT, tenant.account_id)


def assert_settled(tenant: Tenant, start_nanos: int) -> int:
    """Check that nothing is held, that the books balance, and return what the account was charged in all."""
    assert tenant.books.broken_rules() == []
    balance = tenant.balance()
    assert balance["held_nanos"] == 0
    assert balance["posted_nanos"] == balance["available_nanos"] >= 0
    return start_nanos - int(balance["posted_nanos"])


def wait_until_settled(tenant: Tenant, within_s: float = 10.0) -> dict[str, Any]:
    """Wait until the account's only request is settled, and return its usage line.

    raises  TimeoutError
    """
    deadline_s = time.monotonic() + within_s
    while has_no_usage_line(tenant):
        if time.monotonic() > deadline_s:
            raise TimeoutError("the request was not settled")
        time.sleep(POLL_S)
    return only_usage_line(tenant)


def _uuid(generation_id: str) -> uuid.UUID:
    return uuid.UUID(generation_id.removeprefix("gen_"))


def _rows(tenant: Tenant, statement: str, *arguments: object) -> list[dict[str, Any]]:
    with psycopg.connect(tenant.database_url, autocommit=True, row_factory=dict_row) as session:
        return session.execute(statement.encode(), arguments).fetchall()
