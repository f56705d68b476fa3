"""Referrals of people who are not known, not any more, or not to be rewarded now."""

from typing import Any

import pytest

from tests.sql.books import Books
from tests.sql.customers import Customer
from tests.sql.gifts import applying, ask, delete_account, make_coupon, make_person, outcome, redeeming
from tests.sql.key_owners import refusal
from tests.sql.payments import Buyer
from tests.sql.payments import sync as post
from tests.sql.referrals import REWARD, code_of, make_newcomer, referred_buyer, rewards, settle_rewards

GIVEN, NOTHING = [(REWARD, REWARD)], list[tuple[int, int]]()
TEN_DOLLARS_IN_CENTS = 1_000
FORGET_ADDRESS = "update gateway.accounts set email = null, email_normalised = null where id = %s"
FORGET_SIGN_IN = "update gateway.accounts set privy_id = null, external_id = %s where id = %s"
READ_SIGN_UP_CODE = "select signup_referral_code from gateway.accounts where id = %s"
REFER = "select gateway.refer(account, %s, gateway.clock()) from gateway.accounts as account where id = %s"


@pytest.fixture
def referrer(books: Books) -> Customer:
    return make_person(books, credit=0)


def _address_of(owner: Customer) -> Any:
    return owner.books.value("select email_normalised from gateway.accounts where id = %s", owner.account_id)


def _sign_up_code(buyer: Buyer) -> Any:
    return buyer.books.value(READ_SIGN_UP_CODE, buyer.account_id)


def test_a_sign_up_code_that_was_refused_as_ones_own_does_not_come_back_under_another_address(
    books: Books, referrer: Customer
) -> None:
    code = code_of(referrer)
    thief = make_newcomer(books, mailbox=_address_of(referrer), came_with=code)
    assert refusal(ask(books, applying(thief.customer, code))) == (409, "own_referral_code", {})
    assert _sign_up_code(thief) is None
    books.rows("update gateway.accounts set email_normalised = 'elsewhere@example.com' where id = %s", thief.account_id)
    assert books.call("read_referral", caller=thief.customer.caller(scope="billing:read"))["applied"] is None
    thief.bought(TEN_DOLLARS_IN_CENTS)
    assert (rewards(thief.customer), settle_rewards(books)) == (NOTHING, 0)


def test_who_has_come_by_a_code_is_not_brought_again_by_a_purchase(books: Books, referrer: Customer) -> None:
    """His second account holds the code of his sign-up, which could not be looked at when he came."""
    names = {"privy_id": "did:privy:comes.again", "mailbox": "comes.again@example.com"}
    first = make_newcomer(books, **names)
    assert outcome(ask(books, applying(first.customer, code_of(referrer)))) == "referral"
    delete_account(first.customer)
    again = make_newcomer(books, came_with=code_of(referrer), **names)
    again.bought(TEN_DOLLARS_IN_CENTS)
    assert (rewards(again.customer), settle_rewards(books)) == (NOTHING, 0)


@pytest.mark.parametrize(
    ("code", "outcome_"), [("ffffffffff", "unknown_referral_code"), (None, "referral_already_applied")]
)
def test_any_code_that_is_refused_is_forgotten(
    books: Books, referrer: Customer, code: str | None, outcome_: str
) -> None:
    buyer = referred_buyer(referrer)
    tried = code or code_of(make_person(books))
    books.rows("update gateway.accounts set signup_referral_code = %s where id = %s", tried.upper(), buyer.account_id)
    assert outcome(ask(books, applying(buyer.customer, tried))) == outcome_
    assert _sign_up_code(buyer) is None


def test_who_has_no_verified_address_comes_by_a_code_as_soon_as_he_has_one(books: Books, referrer: Customer) -> None:
    code = code_of(referrer)
    buyer = make_newcomer(books, came_with=code)
    address = _address_of(buyer.customer)
    books.rows(FORGET_ADDRESS, buyer.account_id)
    assert refusal(ask(books, applying(buyer.customer, code))) == (403, "verified_email_required", {})
    assert _sign_up_code(buyer) == code
    books.rows("update gateway.accounts set email_normalised = %s where id = %s", address, buyer.account_id)
    assert outcome(ask(books, applying(buyer.customer, code))) == "referral"
    assert _sign_up_code(buyer) is None


def test_an_account_that_nobody_signs_in_to_is_not_brought(books: Books, referrer: Customer) -> None:
    buyer = make_newcomer(books)
    books.rows(FORGET_ADDRESS, buyer.account_id)
    books.rows(FORGET_SIGN_IN, "made by an operator", buyer.account_id)
    assert refusal(ask(books, applying(buyer.customer, code_of(referrer)))) == (403, "person_unknown", {})


@pytest.mark.parametrize("nameless", ["buyer", "referrer"])
def test_nobody_is_rewarded_where_one_of_the_two_has_no_verified_address(
    books: Books, referrer: Customer, nameless: str
) -> None:
    buyer = referred_buyer(referrer)
    owner = buyer.customer if nameless == "buyer" else referrer
    books.rows(FORGET_ADDRESS, owner.account_id)
    buyer.bought(TEN_DOLLARS_IN_CENTS)
    assert (rewards(buyer.customer), settle_rewards(books)) == (NOTHING, 0)


def test_one_mailbox_refers_itself_by_no_way(books: Books, referrer: Customer) -> None:
    """Written down before it was known whose mailbox it is, and known by the purchase."""
    buyer = make_newcomer(books)
    books.rows(REFER, code_of(referrer), buyer.account_id)
    same = make_newcomer(books, mailbox=_address_of(referrer))
    books.rows(REFER, code_of(referrer), same.account_id)
    assert books.rows("select code from gateway.referrals where referred_id = %s", same.account_id) == []
    assert len(books.rows("select code from gateway.referrals where referred_id = %s", buyer.account_id)) == 1


def test_who_signs_in_redeems_a_coupon_with_a_verified_address_only(books: Books) -> None:
    person, code = make_person(books), make_coupon(books)
    books.rows(FORGET_ADDRESS, person.account_id)
    assert refusal(ask(books, redeeming(person, code))) == (403, "verified_email_required", {})
    assert books.value("select redemptions from gateway.coupons where code = %s", code) == 0


def test_an_account_that_an_operator_has_made_redeems_a_coupon_once(books: Books) -> None:
    customer, code = make_person(books), make_coupon(books)
    books.rows(FORGET_ADDRESS, customer.account_id)
    books.rows(FORGET_SIGN_IN, "a company", customer.account_id)
    outcomes = [outcome(ask(books, redeeming(customer, code))) for _ in range(2)]
    assert outcomes == ["redemption", "coupon_already_redeemed"]


BLOCKS = [("status", "suspended", "active"), ("dispute_status", "open", None)]


@pytest.mark.parametrize(("column", "bad", "good"), BLOCKS)
def test_a_referrer_who_may_be_given_nothing_is_rewarded_when_he_may_again(
    books: Books, referrer: Customer, column: str, bad: str, good: str | None
) -> None:
    change = f"update gateway.accounts set {column} = %s where id = %s"
    buyer = referred_buyer(referrer)
    books.rows(change, bad, referrer.account_id)
    buyer.bought(TEN_DOLLARS_IN_CENTS)
    assert (rewards(buyer.customer), settle_rewards(books)) == (GIVEN, 0)
    # Nor by whoever asks for him in particular.
    assert books.call("reward_referrer", account_id=referrer.account_id)["count"] == 0
    assert rewards(referrer) == NOTHING
    books.rows(change, good, referrer.account_id)
    assert (settle_rewards(books), rewards(referrer)) == (1, GIVEN)
    assert books.broken_rules() == []


def test_what_a_suspended_referrer_has_not_earned_is_taken_back_all_the_same(books: Books, referrer: Customer) -> None:
    buyer = referred_buyer(referrer)
    payment = buyer.bought(TEN_DOLLARS_IN_CENTS)
    settle_rewards(books)
    books.rows("update gateway.accounts set status = 'suspended' where id = %s", referrer.account_id)
    payment.refund(TEN_DOLLARS_IN_CENTS)
    post(books, payment)
    assert (settle_rewards(books), rewards(referrer)) == (1, [(REWARD, 0)])


def test_a_suspended_buyer_earns_nothing_until_he_is_active(books: Books, referrer: Customer) -> None:
    buyer = referred_buyer(referrer)
    books.rows("update gateway.accounts set status = 'suspended' where id = %s", buyer.account_id)
    payment = buyer.bought(TEN_DOLLARS_IN_CENTS)
    assert (rewards(buyer.customer), settle_rewards(books)) == (NOTHING, 0)
    books.rows("update gateway.accounts set status = 'active' where id = %s", buyer.account_id)
    post(books, payment)
    assert (rewards(buyer.customer), settle_rewards(books)) == (GIVEN, 1)


def test_who_was_brought_brings_not_who_has_brought_him(books: Books) -> None:
    first, second = make_newcomer(books), make_newcomer(books)
    assert outcome(ask(books, applying(second.customer, code_of(first.customer)))) == "referral"
    refused = ask(books, applying(first.customer, code_of(second.customer)))
    assert refusal(refused) == (409, "referral_mutual", {})


def test_of_two_who_brought_each_other_at_once_one_is_rewarded(books: Books) -> None:
    first, second = make_newcomer(books), make_newcomer(books)
    for referred, by in ((first, second), (second, first)):
        books.rows(REFER, code_of(by.customer), referred.account_id)
    for buyer in (first, second):
        buyer.bought(TEN_DOLLARS_IN_CENTS)
    assert settle_rewards(books) == 1
    assert (rewards(first.customer), rewards(second.customer)) == (GIVEN, GIVEN)
