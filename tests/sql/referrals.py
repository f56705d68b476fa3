"""Those who bring others and those who are brought, in a test's own database."""

from tests.sql.books import Books
from tests.sql.customers import Customer
from tests.sql.gifts import applying, ask, gifts, make_person, outcome, reader
from tests.sql.payments import Buyer

REWARD = 5_000_000_000
SET_SIGN_UP_CODE = "update gateway.accounts set signup_referral_code = %s where id = %s"


def make_newcomer(books: Books, *, came_with: str | None = None, **names: str) -> Buyer:
    """Make an account that has bought nothing; came_with: the code that its owner gave when he signed in first."""
    person = make_person(books, credit=0, **names)
    books.rows(SET_SIGN_UP_CODE, came_with, person.account_id)
    customer_id = f"cus_{person.account_id}"
    books.call("keep_customer", account_id=person.account_id, customer_id=customer_id)
    return Buyer(person, customer_id)


def code_of(owner: Customer) -> str:
    """Return the code by which an account refers others."""
    answer = owner.books.call("read_referral", caller=reader(owner))
    assert answer["verdict"] == "referral", answer
    return str(answer["code"])


def referred_buyer(referrer: Customer) -> Buyer:
    """Make a newcomer who has applied the referrer's code."""
    buyer = make_newcomer(referrer.books)
    assert outcome(ask(referrer.books, applying(buyer.customer, code_of(referrer)))) == "referral"
    return buyer


def settle_rewards(books: Books) -> int:
    """Do what follows a posted payment, and return how many rewards were settled."""
    due = books.call("due_referrers")
    counts = [int(books.call("reward_referrer", account_id=account_id)["count"]) for account_id in due]
    assert books.call("due_referrers") == []
    return sum(counts)


def rewards(owner: Customer) -> list[tuple[int, int]]:
    """Return the account's referral lots: amount, and what remains."""
    return [(amount, remaining) for kind, _, amount, remaining, _ in gifts(owner) if kind == "referral"]
