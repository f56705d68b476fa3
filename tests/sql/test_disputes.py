"""A payment that a bank takes back: nothing is spent until it is decided or repaid, and looking and paying goes on."""

import pytest
from psycopg.types.json import Jsonb

from tests.sql.books import Books
from tests.sql.customers import caller_of
from tests.sql.payments import NANOS_PER_CENT, Buyer, make_buyer, sync

MAY = ("account:read", "keys:read", "billing:read", "billing:write", "history:read", "models:read", None)
MAY_NOT = ("inference", "account:write", "keys:write", "history:write")
ENTER = "select refusal from gateway.enter(%s)"
READ_EVENTS = "select event from gateway.audit_log where account_id = %s and event like '%%dispute%%' order by id"


def _refused(buyer: Buyer) -> list[str | None]:
    """Return the scopes that are refused, and check that all are refused for this reason."""
    refused: list[str | None] = []
    for scope in (*MAY, *MAY_NOT):
        assert buyer.books.call("read_policy", caller=_caller(buyer, scope))["verdict"] == "policy"
        entered = buyer.books.value(ENTER, Jsonb(_caller(buyer, scope)))
        if entered is not None:
            assert (entered["status"], entered["code"]) == (403, "payment_disputed")
            assert entered["policy"]["account_id"] == buyer.account_id
            refused.append(scope)
    return refused


def _caller(buyer: Buyer, scope: str | None) -> dict[str, object]:
    return caller_of(buyer.customer.key_hmac, scope=scope)


def _buyer(books: Books) -> Buyer:
    buyer = make_buyer(books)
    buyer.customer.set_key(scopes=[scope for scope in (*MAY, *MAY_NOT) if scope])
    return buyer


def _standing(buyer: Buyer) -> str:
    answer = buyer.books.call("read_account_balance", caller=_caller(buyer, "account:read"))
    return str(answer["status"])


def test_a_dispute_suspends_spending_and_nothing_that_looks_or_pays(books: Books) -> None:
    buyer = _buyer(books)
    payment = buyer.bought(100)
    buyer.bought(100)
    dispute = payment.dispute(100)
    sync(books, payment)
    assert _refused(buyer) == list(MAY_NOT)
    assert _standing(buyer) == "suspended"
    dispute["status"] = "under_review"
    sync(books, payment)
    assert buyer.customer.admit(tokens=1)["code"] == "payment_disputed"
    assert buyer.balance() == (100 * NANOS_PER_CENT, 0)


def test_a_request_under_way_is_settled_while_the_payment_is_disputed(books: Books) -> None:
    buyer = _buyer(books)
    payment = buyer.bought(100)
    hold_id = buyer.customer.admitted(tokens=30)
    payment.dispute(100)
    sync(books, payment)
    assert buyer.customer.settle(hold_id, 30)["charged_nanos"] == 30
    assert buyer.balance() == (0, 30)


def test_an_inquiry_takes_nothing_and_suspends_nothing(books: Books) -> None:
    buyer = _buyer(books)
    payment = buyer.bought(100)
    for status in ("warning_needs_response", "warning_under_review", "warning_closed"):
        payment.disputes = []
        # Whatever it says of the money: an inquiry has none.
        payment.dispute(100, status, is_withdrawn=True)
        sync(books, payment)
        assert _refused(buyer) == []
        assert buyer.balance() == (100 * NANOS_PER_CENT, 0)


def test_a_dispute_that_is_won_gives_back_what_it_took(books: Books) -> None:
    buyer = _buyer(books)
    payment = buyer.bought(100, bonus=50_000_000)
    buyer.spend(60 * NANOS_PER_CENT)
    dispute = payment.dispute(100)
    sync(books, payment)
    assert buyer.balance() == (0, 60 * NANOS_PER_CENT)
    dispute.update(status="won", is_withdrawn=False)
    for _ in range(2):
        sync(books, payment)
        assert buyer.balance() == (40 * NANOS_PER_CENT + 50_000_000, 0)
    assert _refused(buyer) == []
    assert books.rows(READ_EVENTS, buyer.account_id) == [("payment_disputed",), ("dispute_won",)]


def test_a_dispute_that_is_lost_suspends_until_what_is_owed_is_repaid(books: Books) -> None:
    buyer = _buyer(books)
    payment = buyer.bought(100)
    buyer.spend(60 * NANOS_PER_CENT)
    payment.dispute(100, "lost")
    sync(books, payment)
    assert _refused(buyer) == list(MAY_NOT)
    buyer.bought(59)
    assert _refused(buyer) == list(MAY_NOT)
    buyer.bought(2)
    assert _refused(buyer) == []
    assert buyer.balance() == (1 * NANOS_PER_CENT, 0)


def test_a_dispute_that_is_lost_with_nothing_spent_suspends_nothing(books: Books) -> None:
    buyer = _buyer(books)
    payment = buyer.bought(100)
    payment.dispute(100, "lost")
    sync(books, payment)
    assert _refused(buyer) == []
    assert _standing(buyer) == "active"


def test_a_debt_that_a_hold_repays_when_it_ends_ends_the_suspension_without_a_payment(books: Books) -> None:
    buyer = _buyer(books)
    payment = buyer.bought(100)
    buyer.customer.admitted(tokens=40, lifetime_s=30)
    payment.dispute(100, "lost")
    sync(books, payment)
    assert _refused(buyer) == list(MAY_NOT)
    books.pass_time(seconds=31)
    assert buyer.balance() == (0, 0)
    assert _refused(buyer) == []


def test_a_debt_of_a_refund_alone_suspends_nothing(books: Books) -> None:
    buyer = _buyer(books)
    payment = buyer.bought(100)
    buyer.spend(100)
    payment.refund(100)
    sync(books, payment)
    assert buyer.balance() == (0, 100)
    assert _refused(buyer) == []


@pytest.mark.parametrize("second", ["needs_response", "lost"])
def test_of_several_disputes_the_one_that_weighs_most_counts(books: Books, second: str) -> None:
    buyer = _buyer(books)
    payments = [buyer.bought(100), buyer.bought(100)]
    buyer.spend(150 * NANOS_PER_CENT)
    won = payments[0].dispute(100)
    payments[1].dispute(50, "won", is_withdrawn=False)
    payments[1].dispute(50, second)
    for payment in payments:
        sync(books, payment)
    won.update(status="won", is_withdrawn=False)
    sync(books, payments[0])
    status = "select dispute_status from gateway.accounts where id = %s"
    assert books.value(status, buyer.account_id) == ("open" if second == "needs_response" else "lost")
    # 50 cents were left, which the one that was lost has: nothing is owed for it.
    assert _refused(buyer) == (list(MAY_NOT) if second == "needs_response" else [])


def test_who_is_suspended_by_hand_is_told_that_whatever_his_payments_are(books: Books) -> None:
    buyer = _buyer(books)
    payment = buyer.bought(100)
    payment.dispute(100)
    sync(books, payment)
    books.rows("update gateway.accounts set status = 'suspended' where id = %s", buyer.account_id)
    assert buyer.customer.admit(tokens=1)["code"] == "account_suspended"
    assert (
        books.call("open_checkout", caller=_caller(buyer, "billing:write"), checkout=_order())["verdict"] == "checkout"
    )


def _order() -> dict[str, object]:
    return {"id": "5f0c8a36-6b1c-4f1e-9d0b-0a4a4f2f3b11", "kind": "credits", "amount_cents": 500}
