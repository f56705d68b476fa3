"""People who are given something once: accounts of a test's own database, and what their owners are known by."""

import itertools
from collections.abc import Sequence
from typing import Any

from shared.core.scopes import USER_SCOPES
from tests.sql.books import Books
from tests.sql.customers import Customer, hmac_of, make_customer
from tests.sql.races import Call

_numbers = itertools.count(1)

SET_PERSON = """
    update gateway.accounts set privy_id = %s, email = %s, email_normalised = %s, external_id = null where id = %s
"""
INSERT_COUPON = """
    insert into gateway.coupons (code, amount_nanos, max_redemptions, live_from, expires_at, credit_days, is_active)
    values (%(code)s, %(amount_nanos)s, %(max_redemptions)s, %(live_from)s, %(expires_at)s, %(credit_days)s,
            %(is_active)s)
"""
READ_PERSON = "select privy_id, email_normalised from gateway.accounts where id = %s"
READ_LOTS = """
    select kind, source, amount_nanos, remaining_nanos, expires_at from gateway.lots
     where account_id = %s and kind <> 'purchase' order by id
"""
READ_MAILS = """
    select template, data from gateway.outbox
     where account_id = %s and template like 'trial%%' order by created_at, template
"""
SECRETS = ("newest", "older")


def make_person(
    books: Books, *, privy_id: str | None = None, mailbox: str | None = None, credit: int = 10_000
) -> Customer:
    """Make an account of somebody who has signed in with a verified address; both are his own unless given."""
    owner, number = make_customer(books, credit=credit), next(_numbers)
    owner.set_key(scopes=list(USER_SCOPES))
    address = mailbox or f"person{number}@example.com"
    books.rows(SET_PERSON, privy_id or f"did:privy:person{number}", address, address, owner.account_id)
    return owner


def known_person(owner: Customer, secrets: Sequence[str] = SECRETS) -> dict[str, Any]:
    """Return whose account it is as our servers say it that have these secrets, newest first."""
    ((privy_id, mailbox),) = owner.books.rows(READ_PERSON, owner.account_id)
    return {
        "privy_id": privy_id,
        "privy_id_hmacs": _hmacs(privy_id, secrets),
        "email_normalised": mailbox,
        "email_hmacs": _hmacs(mailbox, secrets),
    }


def writer(owner: Customer) -> dict[str, object]:
    """Return the owner as the one who asks to be given something."""
    return owner.caller(scope="billing:write")


def reader(owner: Customer) -> dict[str, object]:
    """Return the owner as the one who looks at what he has."""
    return owner.caller(scope="billing:read")


def starting(owner: Customer, **other: Any) -> Call:
    """Return the call that starts the owner's trial."""
    return "start_trial", {"caller": writer(owner), "person": known_person(owner), **other}


def redeeming(owner: Customer, code: str, **other: Any) -> Call:
    """Return the call that redeems a coupon."""
    return "redeem_coupon", {"caller": writer(owner), "code": code, "person": known_person(owner), **other}


def applying(owner: Customer, code: str, **other: Any) -> Call:
    """Return the call that says by whose code the owner came."""
    return "apply_referral", {"caller": writer(owner), "code": code, "person": known_person(owner), **other}


def ask(books: Books, call: Call) -> Any:
    """Make a call and return its answer."""
    function, arguments = call
    return books.call(function, **arguments)


def make_coupon(books: Books, **columns: Any) -> str:
    """Make a coupon and return its code."""
    coupon: dict[str, Any] = {
        "code": f"coupon-{next(_numbers)}",
        "amount_nanos": 700,
        "max_redemptions": 1000,
        **dict.fromkeys(("live_from", "expires_at", "credit_days")),
        "is_active": True,
        **columns,
    }
    books.owner.execute(INSERT_COUPON.encode(), coupon)
    return str(coupon["code"])


def outcome(answer: Any) -> str:
    """Return the verdict, or the code of a refusal."""
    return str(answer["code"] if answer["verdict"] == "refused" else answer["verdict"])


def gifts(owner: Customer) -> list[tuple[Any, ...]]:
    """Return the lots that the account did not buy: kind, source, amount, what remains, expiry."""
    return owner.books.rows(READ_LOTS, owner.account_id)


def mails(owner: Customer) -> list[tuple[str, Any]]:
    """Return what the account's owner is written of his trial: template and data."""
    return [(template, data) for template, data in owner.books.rows(READ_MAILS, owner.account_id)]


def delete_account(owner: Customer) -> None:
    """End the account."""
    answer = owner.books.call("delete_account", caller=owner.caller(scope="account:write"))
    assert answer["verdict"] == "deleted", answer


def _hmacs(value: str | None, secrets: Sequence[str]) -> list[str]:
    return [] if value is None else [hmac_of(f"{secret} {value}") for secret in secrets]
