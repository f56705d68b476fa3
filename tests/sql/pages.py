"""Reading lists page by page, as our servers ask for them."""

from collections.abc import Iterator
from typing import Any

from tests.sql.customers import Customer

MAX_PAGES = 500
ACCOUNT_READ = "account:read"


def caller_of(customer: Customer, scope: str | None = ACCOUNT_READ) -> dict[str, object]:
    """Say that the customer's key calls for this."""
    return customer.caller(scope=scope)


def give_scopes(customer: Customer, *scopes: str) -> None:
    """Let the customer's key do these too."""
    customer.set_key(scopes=["inference", "models:read", *scopes])


def transactions(customer: Customer, **asked: object) -> Any:
    """Return one page of the customer's ledger lines."""
    page = customer.books.call("list_transactions", caller=caller_of(customer), **{"limit": 100, **asked})
    assert page["verdict"] == "transactions", page
    return page


def transaction_pages(customer: Customer, **asked: object) -> Iterator[list[dict[str, Any]]]:
    """Read all pages; what happens between two of them is the caller's."""
    before: int | None = None
    for _ in range(MAX_PAGES):
        page = transactions(customer, before=before, **asked)
        yield page["lines"]
        if not page["has_more"]:
            return
        before = page["lines"][-1]["id"]
    raise AssertionError("the list does not end")


def activity(customer: Customer, limit: int = 100, **asked: object) -> Any:
    """Return one page of the customer's requests; `asked` are the fields of gateway.activity_filter."""
    page = customer.books.call("list_activity", caller=caller_of(customer), filter=asked, limit=limit)
    assert page["verdict"] == "activity", page
    return page


def activity_pages(customer: Customer, limit: int, **asked: object) -> Iterator[list[dict[str, Any]]]:
    """Read all pages; what happens between two of them is the caller's."""
    last: dict[str, Any] | None = None
    for _ in range(MAX_PAGES):
        place = {} if last is None else {"before_at": last["created_at"], "before_id": last["generation_id"]}
        page = activity(customer, limit, **asked, **place)
        yield page["lines"]
        last = page["last_seen"]
        if last is None:
            return
    raise AssertionError("the list does not end")
