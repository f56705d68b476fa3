"""Trials of accounts that were paid for by one card."""

from typing import Any

import pytest

from tests.sql.books import Books
from tests.sql.gifts import ask, outcome, starting
from tests.sql.payments import sync
from tests.sql.referrals import make_newcomer


@pytest.mark.parametrize(("cards", "flags"), [(("ab" * 32, "ab" * 32), ["shared_card"]), (("ab" * 32, "cd" * 32), [])])
def test_two_who_pay_by_one_card_first_and_begin_their_trials_later_are_flagged(
    own_ledger: Books, cards: tuple[str, str], flags: list[str]
) -> None:
    buyers = [make_newcomer(own_ledger) for _ in cards]
    for buyer, card in zip(buyers, cards, strict=True):
        payment = buyer.pay(500)
        payment.more = {"card_fingerprint_hmacs": [card]}
        sync(own_ledger, payment)
    seen: list[Any] = []
    for buyer in buyers:
        # Nothing is refused for it.
        assert outcome(ask(own_ledger, starting(buyer.customer))) == "trial"
        seen.append(own_ledger.value("select flags from gateway.accounts where id = %s", buyer.account_id))
    assert seen == [[], flags]
