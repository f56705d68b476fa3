"""Customers of a test's own database: an account on a plan of its own, one key, and what it asks of the ledger."""

import hashlib
import itertools
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from psycopg import sql
from psycopg.types.json import Jsonb

from tests.sql.books import MODEL, Books

_numbers = itertools.count(1)

INSERT_PLAN = """
    insert into gateway.plans (id, name, requests_per_minute, tokens_per_minute, concurrency,
                               requests_per_day, tokens_per_day, requests_per_month, tokens_per_month)
    values (%s, 'test', 0, 0, 0, %s, %s, %s, %s)
"""
READ_PRICE = "select price_id from gateway.provider_offers where model_id = %s order by provider limit 1"
READ_SECRETS = "select encode(key_hmac, 'hex') from gateway.key_secrets where key_id = %s order by created_at"
READ_COUNTED = """
    select (select count(*) from gateway.holds where account_id = %(account_id)s),
           (select day_requests + day_tokens + month_requests + month_tokens
              from gateway.quota_usage where account_id = %(account_id)s),
           (select requests_used + spent_nanos from gateway.api_keys where id = %(key_id)s)
"""


@dataclass(frozen=True, slots=True)
class Customer:
    """An account with one key, and the calls that our servers make for it."""

    books: Books
    account_id: int
    key_id: int
    key_hmac: str

    def admit(self, *, tokens: int = 0, generation_id: uuid.UUID | None = None, **other: object) -> Any:
        """Ask for admission of a request with that many input tokens; `other` names further arguments."""
        bounds, caller = bounds_of(tokens), self.caller()
        for parts in (bounds, caller):
            parts.update((name, other.pop(name)) for name in tuple(parts) if name in other)
        arguments: dict[str, object] = {
            "caller": caller,
            "models": [MODEL],
            "providers": None,
            "lifetime_s": 60,
            **other,
        }
        return self.books.call("admit", generation_id=generation_id or uuid.uuid4(), request=bounds, **arguments)

    def caller(self, **other: object) -> dict[str, object]:
        """Return who calls, as our servers say it; `other` names what is different."""
        return caller_of(self.key_hmac, **other)

    def admitted(self, *, tokens: int = 0, **other: object) -> uuid.UUID:
        """Admit a request that must be admitted and return its id."""
        generation_id = uuid.uuid4()
        answer = self.admit(tokens=tokens, generation_id=generation_id, **other)
        assert answer["verdict"] == "admitted", answer
        return generation_id

    def settle(self, generation_id: uuid.UUID, tokens: int, **other: object) -> Any:
        """Settle a request that used that many tokens."""
        return self.books.call("settle", generation_id=generation_id, **settlement(self.books, tokens, **other))

    def extend(self, generation_id: uuid.UUID, tokens: int) -> Any:
        """Have a hold cover that many tokens in all."""
        price_id = self.books.value(READ_PRICE, MODEL)
        quantities = {"input_tokens": tokens}
        return self.books.call("extend_hold", generation_id=generation_id, price_id=price_id, quantities=quantities)

    def void(self, generation_id: uuid.UUID) -> Any:
        """End a hold at no charge."""
        return self.books.call("void_hold", generation_id=generation_id)

    def credit(self, amount: int, *, key: str | None = None, kind: str = "purchase", **other: object) -> Any:
        """Give credit, or take it back where the amount is negative."""
        return self.books.call(
            "credit_account",
            account_id=self.account_id,
            amount_nanos=amount,
            kind=kind,
            idempotency_key=key or f"credit-{next(_numbers)}",
            **other,
        )

    def balance(self) -> Any:
        """Return what the ledger says of the account."""
        return self.books.call("read_balance", account_id=self.account_id)

    def set_key(self, **columns: object) -> None:
        """Change the key's own settings."""
        parts = sql.SQL(", ").join(sql.SQL("{} = {}").format(sql.Identifier(n), sql.Placeholder(n)) for n in columns)
        statement = sql.SQL("update gateway.api_keys set {} where id = {}").format(parts, sql.Literal(self.key_id))
        self.books.owner.execute(statement, columns)

    def counted(self) -> tuple[int, int, int]:
        """Return how many holds there are, what the plan's quotas count and what the key counts."""
        cursor = self.books.owner.execute(READ_COUNTED.encode(), {"account_id": self.account_id, "key_id": self.key_id})
        holds, quota, key = cursor.fetchall()[0]
        return holds, quota, key


def make_customer(
    books: Books, *, credit: int = 0, environment: str = "live", quotas: Mapping[str, int] | None = None
) -> Customer:
    """Make an account with a key and that much bought credit; quotas: requests_per_day and its kin."""
    name = f"customer-{next(_numbers)}"
    limits = ("requests_per_day", "tokens_per_day", "requests_per_month", "tokens_per_month")
    books.rows(INSERT_PLAN, name, *((quotas or {}).get(limit) for limit in limits))
    account_id = books.call("create_account", external_id=name, plan_id=name)["account_id"]
    key_hmac = hmac_of(name)
    key = books.call(
        "create_api_key", account_id=account_id, name=name, environment=environment, key_hmac=key_hmac, masked="gw_…"
    )
    customer = Customer(books, account_id, key["key_id"], key_hmac)
    if credit:
        assert customer.credit(credit)["verdict"] == "credited"
    return customer


def hmac_of(text: str) -> str:
    """Return 32 bytes in hex, as a key's HMAC looks."""
    return hashlib.sha256(text.encode()).hexdigest()


def secrets_of(customer: Customer) -> list[str]:
    """Return the HMACs that the customer's key is found by, oldest first."""
    return [hmac for (hmac,) in customer.books.rows(READ_SECRETS, customer.key_id)]


def caller_of(*key_hmacs: str, **other: object) -> dict[str, object]:
    """Return someone who calls by these HMACs, newest first, for an answer from a model."""
    return {
        "key_hmacs": list(key_hmacs),
        "scope": "inference",
        "address": None,
        "origin_host": None,
        "request_id": "req_test",
        **other,
    }


def bounds_of(tokens: int) -> dict[str, object]:
    """Return the bounds of a request that may use that many input tokens and nothing else."""
    return {
        "input_tokens": tokens,
        "images": 0,
        "choices": 1,
        "output_tokens": 0,
        "reasoning_output_tokens": 0,
        "is_cheapest_only": False,
        "output": "text",
        "image_size": None,
        "image_quality": None,
    }


def settlement(books: Books, tokens: int, **other: object) -> dict[str, object]:
    """Return the arguments of settle for a request that used that many input tokens."""
    return {
        "price_id": books.value(READ_PRICE, MODEL),
        "quantities": {"input_tokens": tokens},
        "usage_source": "provider",
        "facts": {"outcome": "completed", "is_stream": False},
        **other,
    }


def make_model(books: Books, model_id: str, offers: dict[str, dict[str, int]], **columns: object) -> dict[str, int]:
    """Make a model with its offers, rates by provider, and return their price ids."""
    values = {
        "id": model_id,
        "name": model_id,
        "context_length": 1_000_000,
        "max_output_tokens": 1_000_000,
        **columns,
    }
    names, places = (
        sql.SQL(", ").join(map(sql.Identifier, values)),
        sql.SQL(", ").join(map(sql.Placeholder, values)),
    )
    books.owner.execute(sql.SQL("insert into gateway.models ({}) values ({})").format(names, places), values)
    return {
        provider: books.call(
            "publish_offer", model_id=model_id, provider=provider, upstream_model="upstream", cost=Jsonb(rates)
        )["price_id"]
        for provider, rates in offers.items()
    }
