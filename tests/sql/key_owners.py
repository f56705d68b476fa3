"""Whoever manages keys in a test's own database: a customer whose key may do everything, and the keys he makes."""

import itertools
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from shared.core.scopes import USER_SCOPES
from tests.sql.books import Books
from tests.sql.customers import Customer, caller_of, hmac_of, make_customer

_numbers = itertools.count(1)

READ_EVENTS = """
    select event, actor, key_id, subject, details from gateway.audit_log
     where account_id = %s and event like 'key%%' order by id
"""


@dataclass(frozen=True, slots=True)
class MadeKey:
    """A key that was made by the route's own function, and what it is found by."""

    owner: Customer
    id: int
    key_hmac: str

    def admit(self, tokens: int = 10, **other: Any) -> str:
        """Return how a request of this key is answered: `admitted`, or the code of its refusal."""
        answer = self.owner.admit(tokens=tokens, key_hmacs=[self.key_hmac], **other)
        return str(answer.get("code", answer["verdict"]))

    def caller(self, scope: str | None = "keys:write", **other: object) -> dict[str, object]:
        """Return this key as the one that calls."""
        return caller_of(self.key_hmac, scope=scope, **other)


def make_owner(books: Books, **columns: Any) -> Customer:
    """Make a customer with credit whose key has every scope."""
    environment = columns.pop("environment", "live")
    owner = make_customer(books, credit=10_000, environment=environment)
    owner.set_key(**{"scopes": list(USER_SCOPES), **columns})
    return owner


def new_secret() -> dict[str, str]:
    """Return what is stored of a new secret."""
    return {"key_hmac": hmac_of(f"secret {next(_numbers)}"), "masked": "gw_live_ab12…wxyz"}


def receipt_of(key: str, body: str = "body", *, sealed: str | None = None) -> dict[str, object]:
    """Return how a POST is known when it comes again."""
    return {"key_hmacs": [hmac_of(key)], "body_hmacs": [hmac_of(body)], "sealed": sealed, "route": "POST /x"}


def settings(**changes: object) -> dict[str, object]:
    """Return the settings of a new key."""
    return {"name": f"key {next(_numbers)}", "environment": "live", "scopes": ["inference"], **changes}


def writer(owner: Customer) -> dict[str, object]:
    """Return the owner as the one who calls a route that changes keys."""
    return owner.caller(scope="keys:write")


def reader(owner: Customer) -> dict[str, object]:
    """Return the owner as the one who calls a route that reads keys."""
    return owner.caller(scope="keys:read")


def create(owner: Customer, *, by: MadeKey | None = None, **other: Any) -> Any:
    """Ask for a key; `other` are its settings, or secret and receipt."""
    secret, receipt = other.pop("secret", None) or new_secret(), other.pop("receipt", None)
    caller = by.caller() if by else writer(owner)
    return owner.books.call("create_key", caller=caller, key=settings(**other), secret=secret, receipt=receipt)


def make_key(owner: Customer, **changes: Any) -> MadeKey:
    """Make a key that must be made."""
    secret = new_secret()
    answer = create(owner, secret=secret, **changes)
    assert answer["verdict"] == "key", answer
    return MadeKey(owner, answer["key"]["id"], secret["key_hmac"])


def update(key: MadeKey, *, by: MadeKey | None = None, **changes: Any) -> Any:
    """Change a key, as its owner or by another key."""
    caller = by.caller() if by else writer(key.owner)
    return key.owner.books.call("update_key", caller=caller, key_id=key.id, changes=changes)


def rotate(key: MadeKey, *, overlap_hours: int = 0, by: MadeKey | None = None, receipt: Any = None) -> Any:
    """Rotate a key and return the answer with the new secret's HMAC under `key_hmac`."""
    secret = new_secret()
    answer = key.owner.books.call(
        "rotate_key",
        caller=by.caller() if by else writer(key.owner),
        key_id=key.id, secret=secret, overlap_hours=overlap_hours, receipt=receipt,
    )  # fmt: skip
    return {**answer, "key_hmac": secret["key_hmac"]}


def revoke(key: MadeKey, *, by: MadeKey | None = None) -> Any:
    """Revoke a key."""
    return key.owner.books.call("revoke_key", caller=by.caller() if by else writer(key.owner), key_id=key.id)


def read(key: MadeKey) -> Any:
    """Return a key as its owner sees it, or the refusal."""
    answer = key.owner.books.call("read_key", caller=reader(key.owner), key_id=key.id)
    return answer.get("key", answer)


def begin_month(books: Books) -> None:
    """Move the clock on to noon of the tenth of the next month."""
    books.set_time((books.now().replace(day=1) + timedelta(days=32)).replace(day=10, hour=12, minute=0))


def events(owner: Customer) -> list[tuple[Any, ...]]:
    """Return what the audit log says of the owner's keys, oldest first."""
    return owner.books.rows(READ_EVENTS, owner.account_id)


def refusal(answer: Any) -> tuple[int, str, Any]:
    """Check that an answer refuses a caller who is known, and return status, code and numbers."""
    assert answer["verdict"] == "refused", answer
    assert "policy" in answer
    return answer["status"], answer["code"], answer["numbers"]


def session_of(owner: Customer) -> int:
    """Sign the owner in and return the hidden key's id, which is found by the HMAC of it."""
    books = owner.books
    key_id = int(
        books.value("select gateway.open_session(%s, %s)", owner.account_id, [hmac_of(f"new {owner.account_id}")])
    )
    books.rows(
        "update gateway.key_secrets set key_hmac = decode(%s, 'hex') where key_id = %s",
        hmac_of(f"session {key_id}"),
        key_id,
    )
    return key_id
