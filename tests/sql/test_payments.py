"""A payment as Stripe tells of it, in the ledger: given once, taken back exactly, whatever is told how often."""

import uuid
from typing import Any

import msgspec
import psycopg
import pytest

from shared.core.money import Nanos
from shared.notifications.types import FACTS, PaymentReceived, PaymentRefunded
from tests.sql.books import Books
from tests.sql.customers import caller_of
from tests.sql.payments import NANOS_PER_CENT, AtStripe, Buyer, claim, make_buyer, post, row, sync

DOLLAR = 100 * NANOS_PER_CENT
READ_LOTS = "select kind, amount_nanos, remaining_nanos from gateway.lots where source = %s order by id"
READ_LETTERS = "select reason, resolved_at is null from gateway.dead_letters where kind = 'payment' and subject = %s"
READ_EVENTS = (
    "select event, actor from gateway.audit_log where account_id = %s and event <> 'account_created' order by id"
)
READ_MAILS = """
    select template, data from gateway.outbox
     where account_id = %s and template <> 'welcome' order by created_at, template
"""
DELETE_ACCOUNT = "select gateway.erase_account(%s, gateway.clock())"
READ_HOUSE = """
    select coalesce(sum(case gateway.house(%s) when debit_account then amount_nanos
                                               when credit_account then -amount_nanos end), 0)
      from gateway.transfers where source = %s
"""


def test_a_payment_gives_what_was_bought_without_its_tax_and_the_bonus_once(books: Books) -> None:
    buyer = make_buyer(books)
    payment = buyer.pay(2500, tax_cents=190, bonus=5 * NANOS_PER_CENT)
    for _ in range(3):
        assert sync(books, payment)["verdict"] == "posted"
    assert books.rows(READ_LOTS, payment.id) == [
        ("purchase", 25 * DOLLAR, 25 * DOLLAR),
        ("promo", 5 * NANOS_PER_CENT, 5 * NANOS_PER_CENT),
    ]
    assert buyer.balance() == (25 * DOLLAR + 5 * NANOS_PER_CENT, 0)
    assert books.value(READ_HOUSE, "stripe", payment.id) == 25 * DOLLAR
    assert books.rows(READ_EVENTS, buyer.account_id) == [("payment_received", "stripe")]


def test_a_payment_that_is_still_under_way_gives_nothing_until_it_succeeds(books: Books) -> None:
    buyer = make_buyer(books)
    payment = buyer.pay(500)
    payment.status = "requires_payment_method"
    sync(books, payment)
    assert row(books, payment) == ()
    payment.status = "processing"
    sync(books, payment)
    assert row(books, payment)[0] == "processing"
    assert buyer.worth() == 0
    payment.status = "requires_payment_method"
    sync(books, payment)
    assert row(books, payment)[0] == "failed"
    payment.status = "succeeded"
    sync(books, payment)
    assert buyer.worth() == 5 * DOLLAR


def test_the_first_purchase_leaves_the_free_plan_and_tells_what_the_limiter_has_to_forget(books: Books) -> None:
    buyer = make_buyer(books)
    books.rows("update gateway.accounts set plan_id = 'free', base_plan_id = 'free' where id = %s", buyer.account_id)
    answer = sync(books, buyer.pay(500))
    plans = books.rows("select plan_id, base_plan_id from gateway.accounts where id = %s", buyer.account_id)
    assert plans == [("pay_as_you_go", "pay_as_you_go")]
    assert answer["fingerprints"] == [buyer.customer.key_hmac]


def test_a_payment_of_nobody_is_laid_aside_once_and_given_to_nobody(books: Books) -> None:
    buyer, other = make_buyer(books), make_buyer(books)
    of_nobody = AtStripe("pi_nobody", "credits", "cus_nobody", 500, checkout_id=uuid.uuid4())
    without = AtStripe("pi_without", "unknown", buyer.customer_id, 500)
    anothers = buyer.pay(500)
    anothers.customer_id = other.customer_id
    for payment in (of_nobody, without, anothers):
        for _ in range(2):
            assert sync(books, payment)["verdict"] == "unowned"
        assert books.rows(READ_LETTERS, payment.id) == [("of nobody that we know", True)]
    assert buyer.worth() == other.worth() == 0


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        ({"bought_cents": 499}, "what was bought is not what was asked for"),
        ({"currency": "eur"}, "paid in eur"),
        ({"tax_cents": 500}, "nothing was paid"),
    ],
)
def test_what_is_not_what_was_asked_for_is_given_nothing_until_somebody_has_looked(
    books: Books, told: dict[str, Any], reason: str
) -> None:
    buyer = make_buyer(books)
    payment = buyer.pay(500)
    payment.more = told
    for _ in range(2):
        assert sync(books, payment)["verdict"] == "posted"
    assert books.rows(READ_LETTERS, payment.id) == [(reason, True)]
    payment.refund(500)
    sync(books, payment)
    assert buyer.worth() == 0
    payment.more, payment.refunds = {}, []
    sync(books, payment)
    assert books.rows(READ_LETTERS, payment.id) == [(reason, False)]
    assert buyer.worth() == 5 * DOLLAR


def test_an_amount_that_changes_after_it_was_given_changes_nothing_and_is_laid_aside(books: Books) -> None:
    buyer = make_buyer(books)
    payment = buyer.bought(500)
    payment.more = {"received_cents": 5000, "bought_cents": 5000}
    sync(books, payment)
    assert buyer.worth() == 5 * DOLLAR
    assert books.rows(READ_LETTERS, payment.id) == [("the amount has changed since it was granted", True)]


def test_the_parts_of_a_payment_that_goes_back_in_pieces_add_up_to_all_of_it(books: Books) -> None:
    buyer = make_buyer(books)
    payment = buyer.bought(700, tax_cents=61, bonus=333_333_333)
    worth = [buyer.worth()]
    for _ in range(761):
        if sum(refund["amount_cents"] for refund in payment.refunds) % 100 == 0:
            sync(books, payment)
        payment.refund(1)
    sync(books, payment)
    worth.append(buyer.worth())
    assert worth == [7 * DOLLAR + 333_333_333, 0]
    assert [remaining for _, _, remaining in books.rows(READ_LOTS, payment.id)] == [0, 0]


def test_half_refunded_then_the_rest_disputed_is_exact_in_any_order(books: Books) -> None:
    for first, second in (("refund", "dispute"), ("dispute", "refund")):
        buyer = make_buyer(books)
        payment = buyer.bought(2501, bonus=1_000_000_001)
        buyer.spend(1_999_999_999)
        getattr(payment, first)(1250 if first == "refund" else 1251)
        sync(books, payment)
        getattr(payment, second)(1250 if second == "refund" else 1251)
        sync(books, payment)
        assert buyer.worth() == -1_999_999_999
        assert row(books, payment)[4:] == (2501 * NANOS_PER_CENT, 1_000_000_001)


def test_money_is_taken_from_its_own_lot_then_from_other_purchases_and_never_from_gifts(books: Books) -> None:
    buyer = make_buyer(books)
    first, second = buyer.bought(100), buyer.bought(100, bonus=7)
    buyer.customer.credit(50 * NANOS_PER_CENT, kind="promo")
    buyer.spend(150 * NANOS_PER_CENT)
    second.refund(100)
    sync(books, second)
    assert buyer.balance() == (50 * NANOS_PER_CENT, 50 * NANOS_PER_CENT)
    assert [remaining for _, _, remaining in books.rows(READ_LOTS, first.id)] == [0]
    buyer.bought(100)
    assert buyer.balance() == (100 * NANOS_PER_CENT, 0)


def test_a_bonus_that_was_spent_is_owed_like_the_money_it_came_with(books: Books) -> None:
    buyer = make_buyer(books)
    payment = buyer.bought(10, bonus=5_000_000)
    buyer.spend(10 * NANOS_PER_CENT + 5_000_000)
    payment.refund(5)
    sync(books, payment)
    assert buyer.balance() == (0, 5 * NANOS_PER_CENT + 2_500_000)
    payment.refunds[0]["status"] = "failed"
    sync(books, payment)
    assert buyer.balance() == (0, 0)


@pytest.mark.parametrize("status", ["failed", "canceled"])
def test_a_refund_that_fails_gives_back_what_it_had_taken(books: Books, status: str) -> None:
    buyer = make_buyer(books)
    payment = buyer.bought(10, bonus=5_000_000)
    refund = payment.refund(4, status="pending")
    sync(books, payment)
    assert buyer.balance() == (6 * NANOS_PER_CENT + 3_000_000, 0)
    refund["status"] = status
    for _ in range(2):
        sync(books, payment)
        assert buyer.balance() == (10 * NANOS_PER_CENT + 5_000_000, 0)
    payment.refund(10)
    sync(books, payment)
    assert buyer.balance() == (0, 0)


def test_what_a_refund_takes_of_what_a_dispute_had_taken_moves_nothing(books: Books) -> None:
    buyer = make_buyer(books)
    payment = buyer.bought(10)
    payment.dispute(10)
    sync(books, payment)
    lines = "select count(*) from gateway.transfers where source = %s"
    before = books.value(lines, payment.id)
    payment.refund(10)
    sync(books, payment)
    assert books.value(lines, payment.id) == before
    assert buyer.balance() == (0, 0)


def test_a_held_part_is_owed_and_repaid_when_it_returns(books: Books) -> None:
    buyer = make_buyer(books)
    payment = buyer.bought(10)
    hold_id = buyer.customer.admitted(tokens=6 * NANOS_PER_CENT)
    payment.refund(10)
    sync(books, payment)
    assert buyer.balance() == (0, 6 * NANOS_PER_CENT)
    buyer.customer.settle(hold_id, 2 * NANOS_PER_CENT)
    assert buyer.balance() == (0, 2 * NANOS_PER_CENT)


def test_a_held_part_of_a_bonus_is_owed_and_repaid_when_it_returns(books: Books) -> None:
    buyer = make_buyer(books)
    payment = buyer.bought(1, bonus=500_000)
    hold = buyer.customer.admitted(tokens=NANOS_PER_CENT + 500_000)
    payment.refund(1)
    sync(books, payment)
    assert buyer.balance() == (0, NANOS_PER_CENT + 500_000)
    buyer.customer.void(hold)
    assert buyer.balance() == (0, 0)


def test_what_was_read_before_something_that_is_posted_is_superseded(books: Books) -> None:
    buyer = make_buyer(books)
    payment = buyer.pay(10)
    early, early_read = claim(books, payment), payment.read()
    late = claim(books, payment)
    payment.refund(10)
    assert post(books, late, payment.read())["verdict"] == "posted"
    assert post(books, early, early_read) == {"verdict": "superseded"}
    assert buyer.worth() == 0
    # Our own second attempt, after a connection that broke.
    assert post(books, late, payment.read())["verdict"] == "posted"


@pytest.mark.parametrize("number", [0, -1, 2, None])
def test_nothing_is_posted_under_a_number_that_nobody_claimed(books: Books, number: int | None) -> None:
    payment = make_buyer(books).pay(10)
    claim(books, payment)
    with pytest.raises(psycopg.errors.InvalidParameterValue):
        books.call("post_payment", claim=number, payment=payment.read())
    assert row(books, payment) == ()


@pytest.mark.parametrize(
    "told",
    [
        {"status": None},
        {"kind": "gift"},
        {"kind": None},
        {"refunds": None},
        {"disputes": {}},
        {"received_cents": None},
        {"id": None},
        {"received_cents": -5, "tax_cents": -5},
        {"refunds": [{"id": "re", "amount_cents": -1, "status": "succeeded"}]},
    ],
)
def test_what_stripe_never_says_is_not_posted(books: Books, told: dict[str, Any]) -> None:
    buyer = make_buyer(books)
    payment = buyer.pay(10)
    payment.more = told
    with pytest.raises(psycopg.Error):
        sync(books, payment)
    assert buyer.worth() == 0


def test_a_payment_for_a_deleted_account_is_to_be_paid_back_and_gives_nothing(books: Books) -> None:
    buyer = make_buyer(books)
    payment = buyer.pay(500)
    books.rows(DELETE_ACCOUNT, buyer.account_id)
    due = {"verdict": "refund_due", "account_id": buyer.account_id, "payment_id": payment.id}
    assert sync(books, payment) == sync(books, payment) == due
    assert payment.id in books.call("due_refunds", limit=1000)
    refund = payment.refund(500)
    assert sync(books, payment)["verdict"] == "posted"
    assert payment.id not in books.call("due_refunds", limit=1000)
    assert books.rows(READ_LOTS, payment.id) == []
    refund["status"] = "failed"
    assert sync(books, payment) == due
    payment.dispute(500, "lost")
    assert sync(books, payment)["verdict"] == "posted"
    assert payment.id not in books.call("due_refunds", limit=1000)
    assert buyer.worth() == 0


def test_a_refund_after_the_account_was_deleted_is_still_booked(books: Books) -> None:
    buyer = make_buyer(books)
    payment = buyer.bought(10)
    buyer.spend(4 * NANOS_PER_CENT)
    books.rows(DELETE_ACCOUNT, buyer.account_id)
    payment.refund(10)
    assert sync(books, payment)["verdict"] == "posted"
    assert buyer.worth() == -4 * NANOS_PER_CENT


def test_a_card_that_an_account_on_trial_has_used_flags_the_next_and_refuses_nothing(books: Books) -> None:
    trialist, sharer, stranger = make_buyer(books), make_buyer(books), make_buyer(books)
    trialist.customer.credit(100, kind="trial")
    for buyer, card in ((trialist, "ab" * 32), (sharer, "ab" * 32), (stranger, "cd" * 32)):
        payment = buyer.pay(500)
        payment.more = {"card_fingerprint_hmacs": [card]}
        for _ in range(2):
            sync(books, payment)
    flags = "select flags from gateway.accounts where id = %s"
    assert [books.value(flags, buyer.account_id) for buyer in (trialist, sharer, stranger)] == [[], ["shared_card"], []]
    assert books.rows(READ_EVENTS, sharer.account_id) == [("payment_received", "stripe"), ("account_flagged", "stripe")]
    assert sharer.worth() == 5 * DOLLAR


def test_a_card_is_known_again_whichever_secret_of_ours_is_the_newest(books: Books) -> None:
    trialist, sharer, stranger = make_buyer(books), make_buyer(books), make_buyer(books)
    trialist.customer.credit(100, kind="trial")
    older, newer, strange = "a1" * 32, "a2" * 32, ["b1" * 32, "b2" * 32]
    for buyer, card in ((trialist, [older]), (sharer, [newer, older]), (stranger, strange)):
        payment = buyer.pay(500)
        payment.more = {"card_fingerprint_hmacs": card}
        sync(books, payment)
    flags = "select flags from gateway.accounts where id = %s"
    assert [books.value(flags, buyer.account_id) for buyer in (trialist, sharer, stranger)] == [[], ["shared_card"], []]


def _payments(buyer: Buyer, **other: Any) -> Any:
    caller = caller_of(buyer.customer.key_hmac, scope="billing:read")
    return buyer.books.call("list_payments", caller=caller, **{"limit": 10, **other})


def test_payments_are_listed_newest_first_in_pages_to_their_owner_alone(books: Books) -> None:
    buyer, other = make_buyer(books), make_buyer(books)
    for each in (buyer, other):
        each.customer.set_key(scopes=["billing:read"])
    paid = []
    for cents in (500, 600, 700):
        books.pass_time(seconds=1)
        paid.append(buyer.bought(cents).id)
    page = _payments(buyer, limit=2)
    assert [payment["id"] for payment in page["payments"]] == paid[:0:-1]
    assert page["has_more"] is True
    rest = _payments(buyer, limit=2, after=paid[1])
    assert ([payment["id"] for payment in rest["payments"]], rest["has_more"]) == (paid[:1], False)
    assert _payments(other)["payments"] == _payments(other, after=paid[0])["payments"] == []
    asked = {"id": paid[0]}
    assert books.call("read_payment", caller=_reader(buyer), **asked)["payment"]["received_cents"] == 500
    refused = books.call("read_payment", caller=_reader(other), **asked)
    assert (refused["status"], refused["code"]) == (404, "payment_not_found")


def _reader(buyer: Buyer) -> dict[str, object]:
    return caller_of(buyer.customer.key_hmac, scope="billing:read")


def test_a_payment_says_what_has_become_of_it(books: Books) -> None:
    buyer = make_buyer(books)
    buyer.customer.set_key(scopes=["billing:read"])
    payment = buyer.pay(10)
    payment.status = "processing"
    seen = []
    for change in (_nothing, _succeed, _refund_some, _dispute, _win, _refund_rest):
        change(payment)
        sync(books, payment)
        told = books.call("read_payment", caller=_reader(buyer), id=payment.id)["payment"]
        seen.append((told["status"], told["dispute_status"], told["refunded_cents"], told["disputed_cents"]))
    assert seen == [
        ("processing", None, 0, 0),
        ("succeeded", None, 0, 0),
        ("partially_refunded", None, 4, 0),
        ("disputed", "open", 4, 6),
        ("partially_refunded", "won", 4, 0),
        ("refunded", "won", 10, 0),
    ]


def _nothing(payment: AtStripe) -> None:
    pass


def _succeed(payment: AtStripe) -> None:
    payment.status = "succeeded"


def _refund_some(payment: AtStripe) -> None:
    payment.refund(4)


def _dispute(payment: AtStripe) -> None:
    payment.dispute(6)


def _win(payment: AtStripe) -> None:
    payment.disputes[0].update(status="won", is_withdrawn=False)


def _refund_rest(payment: AtStripe) -> None:
    payment.refund(6)


def test_the_owner_is_told_once_of_each_thing(books: Books) -> None:
    buyer = make_buyer(books)
    books.rows("update gateway.accounts set email = 'a@example.com' where id = %s", buyer.account_id)
    payment = buyer.pay(10)
    assert [sync(books, payment)["mails"] for _ in range(2)] == [True, False]
    books.pass_time(seconds=1)
    payment.refund(4)
    assert [sync(books, payment)["mails"] for _ in range(2)] == [True, False]
    books.pass_time(seconds=1)
    payment.dispute(6)
    assert [sync(books, payment)["mails"] for _ in range(2)] == [True, False]
    told = dict(books.rows(READ_MAILS, buyer.account_id))
    assert list(told) == ["payment_received", "payment_refunded", "security_notice"]
    facts = {template: msgspec.convert(data, FACTS[template]) for template, data in told.items()}
    assert facts["payment_received"] == PaymentReceived(
        payment.id, "credits", 10, credit_nanos=Nanos(10 * NANOS_PER_CENT)
    )
    assert facts["payment_refunded"] == PaymentRefunded(payment.id, 4, Nanos(4 * NANOS_PER_CENT))


TAMPERINGS = {
    "refund_money_nanos = 1": "a payment is posted as Stripe tells of it",
    "money_nanos = money_nanos + 1": "a payment's money = its lines with stripe",
    "bonus_nanos = 9": "a payment's bonus, and what is taken of allowances = its lines with promotions",
    "status = 'failed'": "only a payment that succeeded gives anything",
    "dispute_status = 'open'": "an account is disputed as its payments are",
    "tax_cents = 1": "what is granted = what was paid without its tax",
    "refund_credit_nanos = 1, credit_of_others_nanos = 1": "what is taken of a payment is taken of its own lots first",
}


@pytest.mark.parametrize(("change", "rule"), TAMPERINGS.items())
def test_the_checker_finds_a_payment_that_was_tampered_with(books: Books, change: str, rule: str) -> None:
    buyer = make_buyer(books)
    payment = buyer.bought(10, bonus=5)
    with books.owner.transaction(force_rollback=True):
        books.rows(f"update gateway.payments set {change} where id = %s", payment.id)
        for account_id in (buyer.account_id, None):
            found = books.owner.execute("select api.check_books(%s)", (account_id,)).fetchall()[0][0]
            assert rule in [broken["rule"] for broken in found]


def test_the_checker_finds_what_a_hold_has_and_nobody_would_take(books: Books) -> None:
    buyer = make_buyer(books)
    payment = buyer.bought(1, bonus=500_000)
    buyer.customer.admitted(tokens=NANOS_PER_CENT + 500_000)
    payment.refund(1)
    sync(books, payment)
    with books.owner.transaction(force_rollback=True):
        books.rows("update gateway.wallets set has_claims = false where account_id = %s", buyer.account_id)
        found = books.value("select api.check_books(%s)", buyer.account_id)
    assert found == [{"rule": "what holds have of a payment that was taken back is claimed", "subject": payment.id}]
