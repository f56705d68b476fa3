"""Requests of a customer's, and their sums over days."""

import uuid
from datetime import date
from typing import Any

from tests.sql.books import Books
from tests.sql.customers import Customer, make_customer
from tests.sql.pages import caller_of, give_scopes

READ_DAYS = """
    select day, sum(requests), sum(cost_nanos) from gateway.usage_days where account_id = %s group by day order by day
"""


def reader(books: Books, credit: int = 100_000) -> Customer:
    """Make a customer whose key may read what its account did."""
    customer = make_customer(books, credit=credit)
    give_scopes(customer, "account:read")
    return customer


def use(customer: Customer, tokens: int, *, outcome: str = "completed", **other: object) -> uuid.UUID:
    """Have a request answered and settled."""
    generation_id = customer.admitted(tokens=tokens)
    facts = {"outcome": outcome, "is_stream": False, "first_byte_ms": 20, "duration_ms": 90}
    answer = customer.settle(generation_id, tokens, facts=facts, **other)
    assert answer["verdict"] == "settled", answer
    return generation_id


def usage(customer: Customer, first: date, end: date) -> dict[str, dict[str, Any]]:
    """Return the sums by what they are of, and the value."""
    arguments = {"from": first, "to": end}
    answer = customer.books.call("read_usage", caller=caller_of(customer), **arguments)
    assert answer["verdict"] == "usage", answer
    parts: dict[str, dict[str, Any]] = {}
    for each in answer["sums"]:
        parts.setdefault(each["part"], {})[each["value"]] = each
    return parts


def roll_up(books: Books) -> int:
    """Close and sum all days that are over; return of how many accounts."""
    books.call("close_usage_days")
    rolled = 0
    while count := books.call("roll_up_usage")["count"]:
        rolled += count
    return rolled
