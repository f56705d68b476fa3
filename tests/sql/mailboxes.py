"""Owners whom the gateway can write to, and what is in the outbox for them."""

import itertools
from typing import Any

from tests.sql.books import Books
from tests.sql.customers import Customer
from tests.sql.key_owners import make_owner

_numbers = itertools.count(1)

SET_ADDRESS = "update gateway.accounts set email = %s, email_normalised = %s where id = %s"
FORGET_MAILS = "delete from gateway.outbox where account_id = %s"
PUT_MAIL = "select gateway.put_mail(%s, %s, %s, %s, gateway.clock())"
READ_MAILS = """
    select template, dedupe_key, state, tries, address, data from gateway.outbox where account_id = %s
     order by created_at, template, dedupe_key
"""


def make_reader(books: Books, **columns: object) -> Customer:
    """Make a customer with an address to which nothing was written yet; columns are the account's."""
    customer = make_owner(books)
    address = f"reader{next(_numbers)}@example.com"
    books.rows(SET_ADDRESS, address, address, customer.account_id)
    set_account(customer, **columns)
    books.rows(FORGET_MAILS, customer.account_id)
    return customer


def set_account(customer: Customer, **columns: object) -> None:
    """Change columns of the account, beside the gateway."""
    for name, value in columns.items():
        customer.books.rows(f"update gateway.accounts set {name} = %s where id = %s", value, customer.account_id)


def put_mail(customer: Customer, template: str = "test", key: str = "k", data: str = "{}") -> None:
    """Write a mail down, as a cause does."""
    customer.books.rows(PUT_MAIL, customer.account_id, template, data, key)


def mails(customer: Customer) -> list[tuple[Any, ...]]:
    """Return template, dedupe key, state and tries of every mail to the customer."""
    return [row[:4] for row in customer.books.rows(READ_MAILS, customer.account_id)]


def templates(customer: Customer) -> list[str]:
    """Return what was written to the customer."""
    return [row[0] for row in mails(customer)]


def facts(customer: Customer, template: str) -> dict[str, Any]:
    """Return what the one mail of this template tells."""
    (data,) = [row[5] for row in customer.books.rows(READ_MAILS, customer.account_id) if row[0] == template]
    return dict(data)


def take(books: Books, customer: Customer | None = None, limit: int = 10) -> Any:
    """Take what is due, of one customer or of all."""
    return books.call("take_due_mails", limit=limit, account_id=customer.account_id if customer else None)["mails"]
