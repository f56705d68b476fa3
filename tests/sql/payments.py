"""Payments as Stripe tells of them: what may become of one there, and what our servers read and post of it."""

import itertools
import uuid
from dataclasses import dataclass, field
from typing import Any

from tests.sql.books import Books
from tests.sql.customers import Customer, make_customer

_numbers = itertools.count(1)

NANOS_PER_CENT = 10_000_000
INSERT_CHECKOUT = """
    insert into gateway.checkouts (id, account_id, kind, amount_cents, bonus_nanos) values (%s, %s, 'credits', %s, %s)
"""
READ_ROW = """
    select status, money_nanos, bonus_nanos, credit_nanos, refund_money_nanos + dispute_money_nanos,
           refund_credit_nanos + dispute_credit_nanos
      from gateway.payments where id = %s
"""
READ_WALLET = "select posted_nanos - owed_nanos from gateway.wallets where account_id = %s"


@dataclass(slots=True)
class AtStripe:
    """A payment intent at Stripe, with what hangs on it."""

    id: str
    kind: str
    customer_id: str
    received_cents: int
    tax_cents: int = 0
    checkout_id: uuid.UUID | None = None
    bought_cents: int | None = None
    status: str = "succeeded"
    refunds: list[dict[str, Any]] = field(default_factory=list)
    disputes: list[dict[str, Any]] = field(default_factory=list)
    more: dict[str, Any] = field(default_factory=dict)

    def refund(self, cents: int, status: str = "succeeded") -> dict[str, Any]:
        """Send money back."""
        self.refunds.append({"id": f"re_{next(_numbers)}", "amount_cents": cents, "status": status})
        return self.refunds[-1]

    def dispute(self, cents: int, status: str = "needs_response", *, is_withdrawn: bool = True) -> dict[str, Any]:
        """Have a bank contest it."""
        told = {"id": f"dp_{next(_numbers)}", "amount_cents": cents, "status": status, "is_withdrawn": is_withdrawn}
        self.disputes.append(told)
        return told

    @property
    def refunded_cents(self) -> int:
        """What was sent back and has not come back to us."""
        return sum(
            int(refund["amount_cents"]) for refund in self.refunds if refund["status"] not in ("failed", "canceled")
        )

    @property
    def gone_cents(self) -> int:
        """What is gone in all."""
        taken = sum(int(dispute["amount_cents"]) for dispute in self.disputes if dispute["is_withdrawn"])
        return min(self.received_cents, self.refunded_cents + taken)

    def read(self) -> dict[str, Any]:
        """Return what a server reads of it now."""
        return {
            "id": self.id,
            "customer_id": self.customer_id,
            "kind": self.kind,
            "checkout_id": str(self.checkout_id) if self.checkout_id else None,
            "subscription_id": None,
            "invoice_id": None,
            "status": self.status,
            "currency": "usd",
            "received_cents": self.received_cents if self.status == "succeeded" else 0,
            "tax_cents": self.tax_cents if self.status == "succeeded" else 0,
            "bought_cents": self.received_cents - self.tax_cents if self.bought_cents is None else self.bought_cents,
            "refunds": [dict(refund) for refund in self.refunds],
            "disputes": [dict(dispute) for dispute in self.disputes],
            "card_fingerprint_hmacs": [],
            "receipt_url": None,
            "paid_at": 1_893_456_000,
            **self.more,
        }


@dataclass(frozen=True, slots=True)
class Buyer:
    """A customer whom Stripe knows."""

    customer: Customer
    customer_id: str

    @property
    def books(self) -> Books:
        """The database he is in."""
        return self.customer.books

    @property
    def account_id(self) -> int:
        """His account."""
        return self.customer.account_id

    def pay(self, cents: int, *, tax_cents: int = 0, bonus: int = 0) -> AtStripe:
        """Check out that much credit and pay for it at Stripe; nobody has told us yet."""
        checkout_id = uuid.uuid4()
        self.books.rows(INSERT_CHECKOUT, checkout_id, self.account_id, cents, bonus)
        payment_id = f"pi_{next(_numbers)}"
        return AtStripe(
            payment_id, "credits", self.customer_id, cents + tax_cents, tax_cents, checkout_id, bought_cents=cents
        )

    def bought(self, cents: int, **other: int) -> AtStripe:
        """Pay and have it posted."""
        payment = self.pay(cents, **other)
        assert sync(self.books, payment)["verdict"] == "posted"
        return payment

    def spend(self, nanos: int) -> None:
        """Use so much credit, which must be there."""
        generation_id = self.customer.admitted(tokens=nanos)
        assert self.customer.settle(generation_id, nanos)["shortfall_nanos"] == 0

    def worth(self) -> int:
        """Return what the wallet has, less what it owes; its books must be right."""
        assert self.books.broken_rules(self.account_id) == []
        return int(self.books.value(READ_WALLET, self.account_id))

    def balance(self) -> tuple[int, int]:
        """Return what can be spent and what is owed."""
        balance = self.customer.balance()
        assert self.books.broken_rules(self.account_id) == []
        return balance["available_nanos"], balance["owed_nanos"]


def make_buyer(books: Books) -> Buyer:
    """Make a customer with nothing, whom Stripe knows."""
    customer = make_customer(books)
    customer_id = f"cus_{customer.account_id}"
    assert books.call("keep_customer", account_id=customer.account_id, customer_id=customer_id) == {
        "verdict": "customer",
        "customer_id": customer_id,
    }
    return Buyer(customer, customer_id)


def claim(books: Books, payment: AtStripe) -> int:
    """Claim a number for what is about to be read."""
    number: int = books.call("claim_sync", object_id=payment.id)
    return number


def post(books: Books, number: int, told: dict[str, Any]) -> Any:
    """Post what was read under a claim."""
    return books.call("post_payment", claim=number, payment=told)


def sync(books: Books, payment: AtStripe) -> Any:
    """Claim, read and post."""
    return post(books, claim(books, payment), payment.read())


def kept(nanos: int, payment: AtStripe) -> int:
    """Return what is left of an amount that came with a payment, by Stripe's numbers alone."""
    return nanos * (payment.received_cents - payment.gone_cents) // payment.received_cents


def row(books: Books, payment: AtStripe) -> tuple[Any, ...]:
    """Return status, money, bonus, allowances, and what is taken of the first and of the others."""
    found = books.rows(READ_ROW, payment.id)
    return found[0] if found else ()
