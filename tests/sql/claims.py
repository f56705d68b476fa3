"""Claims as our servers make them: hashes are any text here, the newest secret's first."""

import uuid

from psycopg import sql

from tests.sql.books import Books
from tests.sql.customers import Customer, hmac_of

READ_CHARGES = """
    select count(*), coalesce(sum(charged_nanos), 0)::bigint from gateway.usage_lines where account_id = %s
"""
READ_CLAIM = "select answer, replays, is_erased from gateway.replays where generation_id = %s"


def claim_of(
    *keys: str, body: str | tuple[str, ...] = "body", is_retry: bool = False, lifetime_s: int = 3600
) -> dict[str, object]:
    """Return a claim by these hashes of one Idempotency-Key, or by the body alone where there is none."""
    return {
        "key_hmacs": list(keys) or None,
        "body_hmacs": [body] if isinstance(body, str) else list(body),
        "is_retry": is_retry,
        "lifetime_s": lifetime_s,
    }


def retry_of(body: str = "body") -> dict[str, object]:
    """Return the claim of a request that its client says it has sent before, without a key."""
    return claim_of(body=body, is_retry=True)


def answered(customer: Customer, claim: dict[str, object], *, tokens: int = 10, answer: str = "sealed") -> uuid.UUID:
    """Make a request with this claim, settle it with its answer and return its id."""
    generation_id = customer.admitted(tokens=tokens, claim=claim)
    assert customer.settle(generation_id, tokens, answer=answer)["is_repeated"] is False
    return generation_id


def second_key_of(customer: Customer, name: str) -> Customer:
    """Make another key of the same account."""
    key_hmac = hmac_of(f"{customer.key_hmac}-{name}")
    made = customer.books.call(
        "create_api_key",
        account_id=customer.account_id,
        name=name,
        environment="live",
        key_hmac=key_hmac,
        masked="gw_…",
    )
    return Customer(customer.books, customer.account_id, made["key_id"], key_hmac)


def charges(customer: Customer) -> tuple[int, int]:
    """Return how many requests were settled and what they were charged."""
    ((count, charged),) = customer.books.rows(READ_CHARGES, customer.account_id)
    return count, charged


def read_claim(books: Books, generation_id: uuid.UUID) -> tuple[str | None, int, bool] | None:
    """Return answer, count of replays and whether it was erased; None where no claim stands."""
    rows = books.rows(READ_CLAIM, generation_id)
    return rows[0] if rows else None


def set_account(customer: Customer, **columns: object) -> None:
    """Change the account's own settings."""
    parts = sql.SQL(", ").join(sql.SQL("{} = {}").format(sql.Identifier(n), sql.Placeholder(n)) for n in columns)
    statement = sql.SQL("update gateway.accounts set {} where id = {}").format(parts, sql.Literal(customer.account_id))
    customer.books.owner.execute(statement, columns)
