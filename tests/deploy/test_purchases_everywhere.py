"""A purchase, wherever the functions run: the order, what Stripe tells of it, the credit and the e-mail."""

import secrets
from collections.abc import Iterator

import pytest

from infra.local.stack import LocalStack
from tests.deploy.person import Person
from tests.deploy.same_answers import JSON, Question, Target, put
from tests.functions.auth.client import PATH as SIGN_IN
from tests.functions.billing.customer import session_id
from tests.functions.chat.client import HELLO, PATH
from tests.harness.mail import MailCatcher
from tests.harness.privy import PrivyTokens, new_privy_id
from tests.harness.stripe import StripeDouble

HUNDRED, WITH_BONUS, NOTHING = "100.000000000", "105.000000000", "0.000000000"


@pytest.fixture(scope="module")
def stripe(stack: LocalStack) -> Iterator[StripeDouble]:
    """The double that every place asks; what it knows stays, since the books know it too."""
    double = StripeDouble(stack.stripe_url)
    yield double
    double.close()


@pytest.fixture(scope="module")
def mails(stack: LocalStack) -> Iterator[MailCatcher]:
    """Whoever plays Resend for all of them."""
    catcher = MailCatcher(stack.mail_url)
    yield catcher
    catcher.close()


@pytest.fixture
def address() -> str:
    """A mailbox that nobody has used."""
    return f"{secrets.token_hex(8)}@example.com"


@pytest.fixture
async def buyer(whole: Target, privy: PrivyTokens, stripe: StripeDouble, address: str) -> Person:
    """Somebody who has just signed in where Stripe tells what happens."""
    stripe.tell(whole)
    body = {"identity_token": privy.identity(new_privy_id(), address)}
    answer = await put(Question("sign-in", "POST", SIGN_IN, JSON, body), whole.url)
    assert answer.status == 200, answer.raw
    return Person(whole, answer.json["api_key"])


async def test_credits_are_bought_told_of_spent_from_and_refunded(
    buyer: Person, stripe: StripeDouble, mails: MailCatcher, address: str
) -> None:
    checkout = await buyer.order("/billing/checkout", {"kind": "credits", "amount": "100.00"})
    payment_id = stripe.pay(session_id(checkout))["payment_intent"]
    wait_until_told(stripe)
    (payment,) = (await buyer.read("/billing/payments"))["data"]
    assert (payment["id"], payment["status"], payment["credit"], payment["bonus"]) == (
        payment_id, "succeeded", HUNDRED, "5.000000000",
    )  # fmt: skip
    assert await buyer.read(f"/api/stripe/payments/{payment_id}") == payment
    assert (await buyer.read("/user/balance"))["available"] == WITH_BONUS
    assert (await buyer.read("/user/plan"))["plan"]["id"] == "pay_as_you_go"
    assert (await buyer.call("POST", PATH, {"model": "openai/gpt-5-mini", "messages": HELLO})).status == 200
    stripe.control("/refunds", payment_intent=payment_id)
    wait_until_told(stripe)
    assert (await buyer.read(f"/billing/payments/{payment_id}"))["status"] == "refunded"
    assert (await buyer.read("/user/balance"))["available"] == NOTHING
    told = mails.subjects(address)
    assert len(told) == len(set(told)) == 3, told


async def test_a_plan_is_bought_and_left_again(buyer: Person, stripe: StripeDouble) -> None:
    checkout = await buyer.order("/billing/checkout", {"kind": "plan", "plan_id": "dev"})
    stripe.pay(session_id(checkout))
    wait_until_told(stripe)
    plan = await buyer.read("/user/plan")
    assert (plan["plan"]["id"], plan["status"], plan["allowance"]["remaining"]) == ("dev", "active", "25.000000000")
    left = await buyer.order("/billing/checkout", {"kind": "plan", "plan_id": "free"})
    assert (left["status"], left["effective_at"]) == ("scheduled", plan["period"]["ends_at"])
    assert (await buyer.read("/user/plan"))["status"] == "canceling"
    assert (await buyer.order("/billing/portal", {}))["url"].startswith(stripe.url)


def wait_until_told(stripe: StripeDouble) -> None:
    """Wait until every event has been taken; one for which no instance was left comes again, as from Stripe."""
    stripe.settle_down()
    last = {(each["url"], each["event"]): each["status"] for each in stripe.look("/deliveries")["data"]}
    assert set(last.values()) == {200}, last
