"""Whatever is done with payments, in any order or at once, the money adds up."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import stripe
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.infra.local.stripe_double.conftest import NOW, Double

STEPS = st.lists(
    st.tuples(st.sampled_from(["refund", "fail", "dispute", "win", "lose"]), st.integers(1, 3000)), max_size=12
)
DISPUTE_FEE = 1500
AMOUNT = 2500


def try_step(double: Double, charge: stripe.Charge, step: str, amount: int) -> None:
    """Do one thing to a charge, or be refused."""
    refunds = double.api.refunds.list({"charge": charge.id, "limit": 100}).data
    disputes = double.api.disputes.list({"charge": charge.id}).data
    if step == "refund":
        double.http.post("/_control/refunds", json={"charge": charge.id, "amount": amount})
    elif step == "fail" and refunds:
        double.http.post(f"/_control/refunds/{refunds[amount % len(refunds)].id}/fail")
    elif step == "dispute":
        double.http.post("/_control/disputes", json={"charge": charge.id, "amount": amount})
    elif disputes:
        double.http.post(f"/_control/disputes/{disputes[0].id}/{step}")


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_any_order_of_refunds_and_disputes_adds_up(double: Double, steps: list[tuple[str, int]]) -> None:
    double.control("/reset", now=NOW)
    paid = double.paid(AMOUNT)
    for step, amount in steps:
        try_step(double, paid, step, amount)
    charge = double.api.charges.retrieve(paid.id)
    refunds = double.api.refunds.list({"charge": charge.id, "limit": 100}).data
    disputes = double.api.disputes.list({"charge": charge.id}).data

    refunded = sum(refund.amount for refund in refunds if refund.status == "succeeded")
    lost = sum(dispute.amount for dispute in disputes if dispute.status != "won")
    assert charge.amount_refunded == refunded <= AMOUNT
    assert charge.refunded is (refunded == AMOUNT)
    assert double.balance() == AMOUNT - 103 - refunded - lost - DISPUTE_FEE * len(disputes)


def test_refunds_at_once_give_back_no_more_than_was_paid(double: Double) -> None:
    charge = double.paid(AMOUNT)

    def refund(_: int) -> str:
        try:
            return str(double.api.refunds.create({"charge": charge.id, "amount": 1000}).status)
        except stripe.InvalidRequestError:
            return "refused"

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(refund, range(20)))
    assert (answers.count("succeeded"), answers.count("refused")) == (2, 18)
    assert double.api.charges.retrieve(charge.id).amount_refunded == 2000


def test_payers_at_once_pay_a_session_once(double: Double) -> None:
    session = double.session()

    def pay(_: int) -> int:
        return double.http.post(f"/_control/sessions/{session.id}/pay", json={}).status_code

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(pay, range(20)))
    assert (answers.count(200), answers.count(400)) == (1, 19)
    assert len(double.api.charges.list().data) == 1


@pytest.mark.parametrize("amount", [50, 51, 99_999_999])
def test_the_fee_is_whole_cents(double: Double, amount: int) -> None:
    charge = double.paid(amount)
    (entry,) = double.api.balance_transactions.list({"source": charge.id}).data

    assert entry.fee == (amount * 290 + 5_000) // 10_000 + 30
    assert entry.net == amount - entry.fee
