"""Referrals: whose code counts, what a purchase earns the two, and what a refund takes back."""

from typing import Any

import pytest

from tests.sql.books import Books
from tests.sql.customers import Customer
from tests.sql.gifts import applying, ask, delete_account, make_person, outcome, reader
from tests.sql.key_owners import make_owner, receipt_of, refusal
from tests.sql.payments import AtStripe, sync
from tests.sql.referrals import REWARD, code_of, make_newcomer, referred_buyer, rewards, settle_rewards

GIVEN, NOTHING = [(REWARD, REWARD)], list[tuple[int, int]]()
TAKEN = [(REWARD, 0)]
TEN_DOLLARS_IN_CENTS = 1_000
READ_EVENTS = "select event, actor from gateway.audit_log where account_id = %s and event like 'referral%%' order by id"
READ_LINES = """
    select kind, amount_nanos, debit_account = %(id)s from gateway.transfers
     where account_id = %(id)s and kind = 'referral' order by id
"""


@pytest.fixture
def referrer(books: Books) -> Customer:
    return make_person(books, credit=0)


def _told(owner: Customer) -> Any:
    answer = owner.books.call("read_referral", caller=reader(owner))
    assert answer["verdict"] == "referral", answer
    return answer


def test_a_code_is_made_at_the_first_look_and_stays(books: Books, referrer: Customer) -> None:
    told = _told(referrer)
    assert len(told["code"]) == 10
    assert told["terms"] == {"reward_nanos": REWARD, "least_purchase_nanos": 2 * REWARD}
    assert (told["applied"], told["referred"], told["earned_nanos"]) == (None, {"count": 0, "rewarded": 0}, 0)
    assert code_of(referrer) == told["code"] != code_of(make_person(books))


def test_the_first_purchase_of_ten_dollars_rewards_both(books: Books, referrer: Customer) -> None:
    buyer = referred_buyer(referrer)
    assert _told(referrer)["referred"] == {"count": 1, "rewarded": 0}
    buyer.bought(TEN_DOLLARS_IN_CENTS)
    assert (rewards(buyer.customer), rewards(referrer)) == (GIVEN, NOTHING)
    assert settle_rewards(books) == 1
    assert rewards(referrer) == GIVEN
    assert (_told(referrer)["referred"], _told(referrer)["earned_nanos"]) == ({"count": 1, "rewarded": 1}, REWARD)
    assert _told(buyer.customer)["applied"]["is_rewarded"] is True
    assert books.rows(READ_EVENTS, buyer.account_id) == [("referral_applied", "key"), ("referral_rewarded", "stripe")]
    assert books.rows(READ_EVENTS, referrer.account_id) == [("referral_rewarded", "system")]
    assert books.broken_rules() == []


def test_a_plan_is_a_purchase_too_and_its_refund_takes_the_rewards_back(books: Books, referrer: Customer) -> None:
    buyer = referred_buyer(referrer)
    payment = AtStripe("pi_of_a_plan", "plan", buyer.customer_id, 2_900)
    assert sync(books, payment)["verdict"] == "posted"
    settle_rewards(books)
    assert (rewards(buyer.customer), rewards(referrer)) == (GIVEN, GIVEN)
    payment.refund(2_900)
    sync(books, payment)
    settle_rewards(books)
    assert (rewards(buyer.customer), rewards(referrer)) == (TAKEN, TAKEN)
    assert books.broken_rules() == []


def test_only_one_purchase_is_rewarded(books: Books, referrer: Customer) -> None:
    buyer = referred_buyer(referrer)
    for _ in range(3):
        buyer.bought(5_000)
    assert settle_rewards(books) == 1
    assert (rewards(buyer.customer), rewards(referrer)) == (GIVEN, GIVEN)


def test_a_purchase_that_is_too_small_earns_nothing_and_a_larger_one_after_it_does(
    books: Books, referrer: Customer
) -> None:
    buyer = referred_buyer(referrer)
    # Tax does not help it up.
    buyer.bought(TEN_DOLLARS_IN_CENTS - 1, tax_cents=200)
    assert (rewards(buyer.customer), settle_rewards(books)) == (NOTHING, 0)
    buyer.bought(TEN_DOLLARS_IN_CENTS)
    assert (rewards(buyer.customer), settle_rewards(books)) == (GIVEN, 1)


def test_a_payment_that_is_posted_again_and_again_rewards_once(books: Books, referrer: Customer) -> None:
    buyer = referred_buyer(referrer)
    payment = buyer.bought(TEN_DOLLARS_IN_CENTS)
    for _ in range(3):
        assert sync(books, payment)["verdict"] == "posted"
        settle_rewards(books)
    assert (rewards(buyer.customer), rewards(referrer)) == (GIVEN, GIVEN)


def test_a_refund_that_leaves_less_takes_back_what_is_left_of_both_rewards(books: Books, referrer: Customer) -> None:
    buyer = referred_buyer(referrer)
    payment = buyer.bought(2_000)
    settle_rewards(books)
    payment.refund(1_000)
    sync(books, payment)
    assert (rewards(buyer.customer), settle_rewards(books)) == (GIVEN, 0)
    payment.refund(1)
    sync(books, payment)
    assert (rewards(buyer.customer), rewards(referrer)) == (TAKEN, GIVEN)
    assert settle_rewards(books) == 1
    assert rewards(referrer) == TAKEN
    assert (referrer.balance()["posted_nanos"], referrer.balance()["owed_nanos"]) == (0, 0)
    assert buyer.worth() == 2_000 * 10_000_000 - 1_001 * 10_000_000
    assert books.rows(READ_LINES.replace("%(id)s", str(referrer.account_id))) == [
        ("referral", REWARD, False),
        ("referral", REWARD, True),
    ]
    assert _told(referrer)["referred"] == {"count": 1, "rewarded": 0}
    assert books.broken_rules() == []


def test_a_reward_that_was_spent_is_not_owed(books: Books, referrer: Customer) -> None:
    buyer = referred_buyer(referrer)
    payment = buyer.bought(TEN_DOLLARS_IN_CENTS)
    settle_rewards(books)
    referrer.settle(referrer.admitted(tokens=300_000), 300_000)
    payment.refund(TEN_DOLLARS_IN_CENTS)
    sync(books, payment)
    settle_rewards(books)
    assert rewards(referrer) == [(REWARD, 0)]
    assert (referrer.balance()["posted_nanos"], referrer.balance()["owed_nanos"]) == (0, 0)
    assert buyer.balance() == (0, 0)
    assert books.broken_rules() == []


def test_what_is_refunded_is_not_taken_from_the_reward(books: Books, referrer: Customer) -> None:
    """The buyer has spent all that he bought: what he is refunded he owes, and the reward goes for itself."""
    buyer = referred_buyer(referrer)
    payment = buyer.bought(TEN_DOLLARS_IN_CENTS)
    # The lots of bought credit are spent in the order they came.
    books.rows(
        "update gateway.lots set expires_at = %s where account_id = %s and kind = 'purchase'",
        books.now().replace(year=2090),
        buyer.account_id,
    )
    for _ in range(10):
        buyer.spend(1_000_000)
    payment.refund(TEN_DOLLARS_IN_CENTS)
    sync(books, payment)
    assert buyer.balance() == (0, 10_000_000)
    assert rewards(buyer.customer) == TAKEN


def test_a_dispute_takes_the_rewards_and_gives_them_again_when_it_is_won(books: Books, referrer: Customer) -> None:
    buyer = referred_buyer(referrer)
    payment = buyer.bought(TEN_DOLLARS_IN_CENTS)
    settle_rewards(books)
    referrer.settle(referrer.admitted(tokens=300_000), 300_000)
    dispute = payment.dispute(TEN_DOLLARS_IN_CENTS)
    sync(books, payment)
    settle_rewards(books)
    assert (rewards(buyer.customer), rewards(referrer)) == (TAKEN, [(REWARD, 0)])
    dispute.update(status="won", is_withdrawn=False)
    sync(books, payment)
    settle_rewards(books)
    # What the referrer had spent of it he had kept.
    assert rewards(referrer) == [(REWARD, 0), (REWARD - 300_000, REWARD - 300_000)]
    assert rewards(buyer.customer) == [(REWARD, 0), (REWARD, REWARD)]
    assert _told(referrer)["earned_nanos"] == REWARD
    assert books.broken_rules() == []


def test_a_purchase_that_is_refunded_when_it_is_first_heard_of_earns_nothing(books: Books, referrer: Customer) -> None:
    buyer = referred_buyer(referrer)
    payment = buyer.pay(TEN_DOLLARS_IN_CENTS)
    payment.refund(500)
    sync(books, payment)
    assert (rewards(buyer.customer), settle_rewards(books)) == (NOTHING, 0)
    assert sync(books, buyer.pay(TEN_DOLLARS_IN_CENTS))["verdict"] == "posted"
    assert (rewards(buyer.customer), settle_rewards(books)) == (GIVEN, 1)


def test_what_a_request_holds_of_a_reward_is_still_the_requests(books: Books, referrer: Customer) -> None:
    buyer = referred_buyer(referrer)
    payment = buyer.bought(TEN_DOLLARS_IN_CENTS)
    settle_rewards(books)
    generation_id = referrer.admitted(tokens=900_000)
    payment.refund(TEN_DOLLARS_IN_CENTS)
    sync(books, payment)
    settle_rewards(books)
    assert referrer.settle(generation_id, 400_000)["charged_nanos"] == 400_000
    assert books.broken_rules(referrer.account_id) == []
    # What it did not use goes where the rest went.
    assert rewards(referrer) == [(REWARD, 0)]


@pytest.mark.parametrize("is_won", [True, False])
def test_what_a_hold_had_of_a_reward_is_the_referrers_again_only_where_the_payment_stands(
    books: Books, referrer: Customer, *, is_won: bool
) -> None:
    buyer = referred_buyer(referrer)
    payment = buyer.bought(TEN_DOLLARS_IN_CENTS)
    settle_rewards(books)
    before = referrer.balance()["available_nanos"]
    generation_id = referrer.admitted(tokens=900_000)
    dispute = payment.dispute(TEN_DOLLARS_IN_CENTS)
    sync(books, payment)
    settle_rewards(books)
    if is_won:
        dispute.update(status="won", is_withdrawn=False)
        sync(books, payment)
        settle_rewards(books)
    referrer.void(generation_id)
    assert referrer.balance()["available_nanos"] == before - (0 if is_won else REWARD)
    assert books.broken_rules(referrer.account_id) == []


def test_a_code_that_came_with_the_sign_in_counts_only_once_its_owner_is_known(
    books: Books, referrer: Customer
) -> None:
    buyer = make_newcomer(books, came_with=code_of(referrer))
    assert _told(buyer.customer)["applied"] is None
    buyer.bought(TEN_DOLLARS_IN_CENTS)
    assert (rewards(buyer.customer), settle_rewards(books)) == (NOTHING, 0)


@pytest.mark.parametrize("came_with", ["nobodys", "", "ffffffffff"])
def test_a_code_of_nobody_that_came_with_the_sign_in_is_in_nobodys_way(books: Books, came_with: str) -> None:
    buyer = make_newcomer(books, came_with=came_with or None)
    assert _told(buyer.customer)["applied"] is None
    referrer = make_person(books)
    assert outcome(ask(books, applying(buyer.customer, code_of(referrer)))) == "referral"
    buyer.bought(TEN_DOLLARS_IN_CENTS)
    settle_rewards(books)
    assert rewards(referrer) == GIVEN


def test_who_refers_himself_gets_nothing(books: Books) -> None:
    himself = make_newcomer(books, mailbox="himself@example.com")
    code = code_of(himself.customer)
    assert refusal(ask(books, applying(himself.customer, code))) == (409, "own_referral_code", {})
    second = make_newcomer(books, mailbox="himself@example.com", came_with=code)
    assert refusal(ask(books, applying(second.customer, code))) == (409, "own_referral_code", {})
    second.bought(TEN_DOLLARS_IN_CENTS)
    assert (rewards(second.customer), settle_rewards(books)) == (NOTHING, 0)


def test_who_turns_out_to_be_the_referrer_himself_gets_nothing(books: Books, referrer: Customer) -> None:
    buyer = referred_buyer(referrer)
    books.rows(
        "update gateway.accounts set email_normalised = 'the.same@example.com' where id in (%s, %s)",
        buyer.account_id,
        referrer.account_id,
    )
    buyer.bought(TEN_DOLLARS_IN_CENTS)
    assert (rewards(buyer.customer), settle_rewards(books)) == (NOTHING, 0)


@pytest.mark.parametrize("code", ["", "nobodys", "' or true --", "x" * 500])
def test_a_code_that_is_nobodys_is_unknown(books: Books, code: str) -> None:
    buyer = make_newcomer(books)
    assert refusal(ask(books, applying(buyer.customer, code))) == (404, "unknown_referral_code", {})


def test_after_the_first_purchase_it_is_too_late(books: Books, referrer: Customer) -> None:
    buyer = make_newcomer(books)
    buyer.bought(500)
    assert refusal(ask(books, applying(buyer.customer, code_of(referrer)))) == (409, "referral_too_late", {})


def test_one_code_counts_for_an_account_and_one_for_a_person(books: Books, referrer: Customer) -> None:
    first = make_newcomer(books, privy_id="did:privy:brought", mailbox="brought@example.com")
    codes = [code_of(referrer), code_of(make_person(books))]
    outcomes = [outcome(ask(books, applying(first.customer, code))) for code in codes]
    assert outcomes == ["referral", "referral_already_applied"]
    delete_account(first.customer)
    again = make_newcomer(books, privy_id="did:privy:brought", mailbox="brought@example.com")
    assert outcome(ask(books, applying(again.customer, codes[1]))) == "referral_already_applied"
    again.bought(TEN_DOLLARS_IN_CENTS)
    assert rewards(again.customer) == NOTHING


def test_the_same_request_again_is_answered_as_the_first_time(books: Books, referrer: Customer) -> None:
    buyer = make_newcomer(books)
    call = applying(buyer.customer, code_of(referrer), receipt=receipt_of("apply"))
    first, again = ask(books, call), ask(books, call)
    assert (first["is_replayed"], again["is_replayed"]) == (False, True)
    assert first["applied"] == again["applied"]


def test_a_referrer_who_has_left_gets_nothing_and_his_code_is_nobodys(books: Books, referrer: Customer) -> None:
    code, buyer = code_of(referrer), referred_buyer(referrer)
    late = make_newcomer(books)
    sync(books, buyer.pay(TEN_DOLLARS_IN_CENTS))
    delete_account(referrer)
    assert books.rows("select code from gateway.referral_codes where code = %s", code) == []
    assert outcome(ask(books, applying(late.customer, code))) == "unknown_referral_code"
    assert settle_rewards(books) == 1
    assert (rewards(referrer), rewards(buyer.customer)) == (NOTHING, GIVEN)
    other = make_newcomer(books, came_with=code)
    other.bought(TEN_DOLLARS_IN_CENTS)
    assert rewards(other.customer) == NOTHING


def test_whoever_is_not_referred_earns_nobody_anything(books: Books) -> None:
    buyer = make_newcomer(books)
    buyer.bought(100_000)
    assert (rewards(buyer.customer), settle_rewards(books)) == (NOTHING, 0)


def test_the_referrer_does_not_read_who_has_paid_what(books: Books, referrer: Customer) -> None:
    payment = referred_buyer(referrer).bought(TEN_DOLLARS_IN_CENTS)
    settle_rewards(books)
    seen = [
        _told(referrer),
        books.call("list_transactions", caller=referrer.caller(scope="account:read"), limit=100),
        books.call("read_account_balance", caller=referrer.caller(scope="account:read")),
    ]
    assert rewards(referrer) == GIVEN
    assert payment.id not in str(seen)


@pytest.mark.parametrize(
    ("change", "code"),
    [("status = 'suspended'", "account_suspended"), ("dispute_status = 'open'", "payment_disputed")],
)
def test_who_may_only_look_and_pay_applies_no_code(books: Books, referrer: Customer, change: str, code: str) -> None:
    buyer = make_newcomer(books)
    books.rows(f"update gateway.accounts set {change} where id = %s", buyer.account_id)
    assert refusal(ask(books, applying(buyer.customer, code_of(referrer))))[:2] == (403, code)
    assert _told(buyer.customer)["applied"] is None


def test_a_key_without_the_scopes_neither_applies_nor_reads(books: Books, referrer: Customer) -> None:
    owner = make_owner(books)
    owner.set_key(scopes=["inference"])
    assert refusal(ask(books, applying(owner, code_of(referrer))))[:2] == (403, "missing_scope")
    assert refusal(books.call("read_referral", caller=reader(owner)))[:2] == (403, "missing_scope")
