"""What Stripe says of a subscription decides the plan: what entitles to it, what ends it, and who is told."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.sql.books import Books
from tests.sql.customers import hmac_of
from tests.sql.subscribers import DEV, TEAM, StripeSubscription, Subscriber, make_subscriber, sell_plans

START = datetime(2031, 1, 31, 12, tzinfo=UTC)
DAY_S = 86_400
ADD_EMAIL = "update gateway.accounts set email = 'a@example.com', email_normalised = 'a@example.com' where id = %s"
READ_MAILS = """
    select template, data from gateway.outbox where account_id = %s
     order by created_at, data ->> 'effective_at' nulls first, id
"""
READ_AUDIT = "select event, actor, subject, details from gateway.audit_log where account_id = %s order by id"
READ_OPEN = """
    select subject from gateway.dead_letters
     where kind = 'subscription' and starts_with(subject, %s) and resolved_at is null order by subject
"""
READ_LETTERS = "select reason from gateway.dead_letters where kind = 'subscription' and subject = %s"
READ_SUBSCRIPTION = """
    select status, plan_id, interval, cancels_at, scheduled_price_id, past_due_since, ended_at
      from gateway.subscriptions where id = %s
"""
DELETE_ACCOUNT = "update gateway.accounts set status = 'deleted', email = null, email_normalised = null where id = %s"


@pytest.fixture(scope="module", autouse=True)
def with_prices(books: Books) -> None:
    sell_plans(books)


@pytest.fixture(autouse=True)
def at_start(books: Books) -> Iterator[None]:
    books.set_time(START)
    yield
    assert books.broken_rules() == []


def _subscribed(books: Books, *, plan_id: str = "free") -> tuple[Subscriber, StripeSubscription]:
    subscriber = make_subscriber(books, plan_id=plan_id)
    books.rows(ADD_EMAIL, subscriber.account_id)
    return subscriber, subscriber.subscribe(DEV, "month", int(START.timestamp()))


def _mails(subscriber: Subscriber, template: str) -> list[Any]:
    rows = subscriber.customer.books.rows(READ_MAILS, subscriber.account_id)
    return [data for name, data in rows if name == template]


def test_a_subscription_that_is_active_puts_its_account_on_its_plan(books: Books) -> None:
    subscriber, subscription = _subscribed(books)
    answer = subscriber.post(subscription.told())
    assert answer["verdict"] == "posted"
    assert (answer["account_id"], answer["plan_id"], answer["mails"]) == (subscriber.account_id, "dev", True)
    assert answer["fingerprints"] == [subscriber.customer.key_hmac]
    assert subscriber.plan() == "dev"
    assert ("plan_changed", "stripe", subscription.id, {"from": "free", "to": "dev"}) in books.rows(
        READ_AUDIT, subscriber.account_id
    )
    assert _mails(subscriber, "plan_changed") == [{"plan_name": "Dev", "effective_at": None}]


def _limits(subscriber: Subscriber) -> Any:
    return subscriber.customer.books.call("read_policy", caller=subscriber.customer.caller())["policy"]["account"]


def test_the_limits_of_the_plan_hold_from_then_on(books: Books) -> None:
    subscriber, subscription = _subscribed(books)
    before = _limits(subscriber)
    subscriber.post(subscription.told())
    after = _limits(subscriber)
    assert (before["requests_per_minute"], after["requests_per_minute"]) == (20, 1200)


@pytest.mark.parametrize(
    ("status", "plan"),
    [
        ("trialing", "dev"),
        ("incomplete", "free"),
        ("incomplete_expired", "free"),
        ("unpaid", "free"),
        ("paused", "free"),
        ("canceled", "free"),
    ],
)
def test_what_entitles_is_stripes_status(books: Books, status: str, plan: str) -> None:
    subscriber, subscription = _subscribed(books)
    subscriber.post(subscription.told(status=status))
    assert subscriber.plan() == plan


def test_a_subscription_that_ends_gives_back_the_plan_of_before(books: Books) -> None:
    subscriber, subscription = _subscribed(books, plan_id="pay_as_you_go")
    subscriber.post(subscription.told())
    books.pass_time(days=10)
    answer = subscriber.post(subscription.told(status="canceled"))
    assert (answer["plan_id"], subscriber.plan()) == ("pay_as_you_go", "pay_as_you_go")
    assert answer["fingerprints"] == [subscriber.customer.key_hmac]
    assert [mail["plan_name"] for mail in _mails(subscriber, "plan_changed")] == ["Dev", "Pay as you go"]
    ended_at = books.rows(READ_SUBSCRIPTION, subscription.id)[0][-1]
    assert ended_at == START + timedelta(days=10)


def test_posting_again_changes_and_tells_nothing(books: Books) -> None:
    subscriber, subscription = _subscribed(books)
    subscriber.post(subscription.told())
    before = books.rows(READ_MAILS, subscriber.account_id), books.rows(READ_AUDIT, subscriber.account_id)
    books.pass_time(minutes=5)
    answer = subscriber.post(subscription.told())
    assert (answer["verdict"], answer["mails"]) == ("posted", False)
    assert (books.rows(READ_MAILS, subscriber.account_id), books.rows(READ_AUDIT, subscriber.account_id)) == before


def test_a_change_of_the_last_hour_is_still_to_be_forgotten_and_an_older_one_no_more(books: Books) -> None:
    subscriber, subscription = _subscribed(books)
    subscriber.post(subscription.told())
    books.pass_time(minutes=61)
    assert subscriber.post(subscription.told())["fingerprints"] == [subscriber.customer.key_hmac]
    books.pass_time(minutes=5)
    assert subscriber.post(subscription.told())["fingerprints"] == []


def test_what_was_read_earlier_and_posted_later_is_superseded(books: Books) -> None:
    subscriber, subscription = _subscribed(books)
    older, newer = (books.call("claim_sync", object_id=subscription.id) for _ in range(2))
    subscriber.post(subscription.told(status="canceled"), claim=newer)
    assert subscriber.post(subscription.told(), claim=older) == {"verdict": "superseded"}
    assert subscriber.plan() == "free"
    assert subscriber.post(subscription.told(status="canceled"), claim=newer)["verdict"] == "posted"


def test_the_highest_of_several_subscriptions_counts(books: Books) -> None:
    subscriber, subscription = _subscribed(books)
    other = subscriber.subscribe(TEAM, "year", int(START.timestamp()))
    subscriber.post(other.told())
    subscriber.post(subscription.told())
    assert subscriber.plan() == "team"
    subscriber.post(other.told(status="canceled"))
    assert subscriber.plan() == "dev"


def test_a_base_plan_above_what_is_subscribed_stays(books: Books) -> None:
    books.rows(
        """insert into gateway.plans (id, name, requests_per_minute, tokens_per_minute, concurrency, rank)
           values ('own', 'Own', 0, 0, 0, 100)"""
    )
    subscriber, subscription = _subscribed(books, plan_id="own")
    subscriber.post(subscription.told())
    assert subscriber.plan() == "own"


def _past_due(subscription: StripeSubscription) -> dict[str, Any]:
    """Return what Stripe says once the renewal could not be collected."""
    subscription.renew()
    return subscription.told(status="past_due", paid=[invoice.id for invoice in subscription.invoices[:-1]])


def test_a_payment_that_fails_leaves_the_plan_for_seven_days(books: Books) -> None:
    subscriber, subscription = _subscribed(books)
    subscriber.post(subscription.told())
    told = _past_due(subscription)
    due = datetime.fromtimestamp(subscription.period[0], UTC)
    books.set_time(due + timedelta(hours=1))
    subscriber.post(told)
    assert subscriber.plan() == "dev"
    (mail,) = _mails(subscriber, "payment_failed")
    assert (mail["plan_name"], mail["amount_cents"]) == ("Dev", 2900)
    assert datetime.fromisoformat(mail["grace_ends_at"]) == due + timedelta(days=7)
    books.set_time(due + timedelta(days=7, seconds=-1))
    assert books.call("end_graces") == {"count": 0, "fingerprints": []}
    books.set_time(due + timedelta(days=7))
    assert books.call("end_graces") == {"count": 1, "fingerprints": [subscriber.customer.key_hmac]}
    assert subscriber.plan() == "free"
    # A sweep that died before the limiter forgot is made good by the next ones.
    books.pass_time(minutes=64)
    assert books.call("end_graces") == {"count": 0, "fingerprints": [subscriber.customer.key_hmac]}
    books.pass_time(minutes=1)
    assert books.call("end_graces") == {"count": 0, "fingerprints": []}
    assert _mails(subscriber, "plan_changed")[-1]["plan_name"] == "Free"


def test_each_try_at_the_same_invoice_is_told_once_and_moves_no_grace(books: Books) -> None:
    subscriber, subscription = _subscribed(books)
    subscriber.post(subscription.told())
    told = _past_due(subscription)
    books.set_time(datetime.fromtimestamp(subscription.period[0], UTC) + timedelta(hours=1))
    for _ in range(3):
        subscriber.post(told)
        books.pass_time(days=1)
    assert len(_mails(subscriber, "payment_failed")) == 1
    since = books.rows(READ_SUBSCRIPTION, subscription.id)[0][5]
    assert since == datetime.fromtimestamp(subscription.period[0], UTC)


def test_a_payment_in_the_grace_ends_it_and_one_after_it_brings_the_plan_back(books: Books) -> None:
    subscriber, subscription = _subscribed(books)
    subscriber.post(subscription.told())
    told = _past_due(subscription)
    books.set_time(datetime.fromtimestamp(subscription.period[0], UTC))
    subscriber.post(told)
    books.pass_time(days=8)
    books.call("end_graces")
    assert subscriber.plan() == "free"
    subscriber.post(subscription.told())
    assert subscriber.plan() == "dev"
    # The next month fails as well: its grace is a new one.
    told = _past_due(subscription)
    books.set_time(datetime.fromtimestamp(subscription.period[0], UTC))
    subscriber.post(told)
    assert subscriber.plan() == "dev"
    assert len(_mails(subscriber, "payment_failed")) == 2
    books.pass_time(days=7)
    assert books.call("end_graces")["count"] == 1


def test_an_invoice_that_was_left_open_before_the_last_paid_one_shortens_no_grace(books: Books) -> None:
    subscriber, subscription = _subscribed(books)
    subscription.upgrade(TEAM, int(START.timestamp()) + DAY_S)
    subscription.plan = DEV
    subscription.renew()
    told = _past_due(subscription)
    left_open = told["invoices"][1]
    left_open |= {"status": "open", "payment_id": None, "amount_paid_cents": 0}
    due = datetime.fromtimestamp(subscription.period[0], UTC)
    books.set_time(due + timedelta(hours=1))
    subscriber.post(told)
    assert books.rows(READ_SUBSCRIPTION, subscription.id)[0][5] == due


def test_a_renewal_that_is_not_paid_gives_no_allowance(books: Books) -> None:
    subscriber, subscription = _subscribed(books)
    subscriber.post(subscription.told())
    told = _past_due(subscription)
    books.set_time(datetime.fromtimestamp(subscription.period[0], UTC))
    subscriber.post(told)
    assert (subscriber.plan(), subscriber.customer.balance()["available_nanos"]) == ("dev", 0)


def test_an_end_that_is_to_come_is_told_once_and_the_plan_stays(books: Books) -> None:
    subscriber, subscription = _subscribed(books)
    subscriber.post(subscription.told())
    ends_at = subscription.period[1]
    for _ in range(2):
        books.pass_time(hours=1)
        subscriber.post(subscription.told(cancels_at=ends_at))
    assert subscriber.plan() == "dev"
    last = _mails(subscriber, "plan_changed")[1:]
    assert [(mail["plan_name"], datetime.fromisoformat(mail["effective_at"]).timestamp()) for mail in last] == [
        ("Free", ends_at)
    ]
    subscriber.post(subscription.told())
    assert books.rows(READ_SUBSCRIPTION, subscription.id)[0][3] is None


def test_a_lower_plan_that_is_scheduled_comes_when_stripe_says_so(books: Books) -> None:
    subscriber = make_subscriber(books)
    books.rows(ADD_EMAIL, subscriber.account_id)
    subscription = subscriber.subscribe(TEAM, "month", int(START.timestamp()))
    scheduled = {"price_id": DEV.price_id("month"), "at": subscription.period[1]}
    subscriber.post(subscription.told(scheduled=scheduled))
    assert subscriber.plan() == "team"
    assert [mail["plan_name"] for mail in _mails(subscriber, "plan_changed")] == ["Team", "Dev"]
    subscription.plan = DEV
    subscription.renew()
    books.set_time(datetime.fromtimestamp(subscription.period[0], UTC))
    subscriber.post(subscription.told())
    assert subscriber.plan() == "dev"
    assert subscriber.customer.balance()["available_nanos"] == DEV.monthly_nanos


def _open_letters(books: Books, subscription_id: str) -> list[str]:
    return [subject for (subject,) in books.rows(READ_OPEN, subscription_id)]


def test_a_customer_whom_nobody_knows_is_laid_aside(books: Books) -> None:
    subscriber, subscription = _subscribed(books)
    told = subscription.told(customer_id="cus_nobody")
    assert subscriber.post(told) == {"verdict": "unowned", "customer_id": "cus_nobody"}
    assert books.rows(READ_LETTERS, subscription.id) == [("unknown customer",)]
    assert subscriber.plan() == "free"


def test_a_price_that_nobody_knows_keeps_nothing(books: Books) -> None:
    subscriber, subscription = _subscribed(books)
    assert subscriber.post(subscription.told(price_id="price_odd"))["verdict"] == "unpriced"
    assert books.rows(READ_LETTERS, subscription.id) == [("unknown price",)]
    assert (subscriber.plan(), subscriber.lots()) == ("free", [])


def test_what_was_laid_aside_of_a_subscription_is_resolved_fault_by_fault_when_it_is_mended(books: Books) -> None:
    subscriber, subscription = _subscribed(books)
    told = subscription.told()
    line = told["invoices"][0]["lines"][0]
    odd = {**line, "id": f"{line['id']}_odd", "price_id": "price_odd"}
    faulty = {**told, "invoices": [{**told["invoices"][0], "lines": [line, odd]}]}
    subscriber.post({**faulty, "price_id": "price_odd"})
    assert _open_letters(books, subscription.id) == [subscription.id]
    subscriber.post(faulty)
    assert _open_letters(books, subscription.id) == [f"{subscription.id}:{odd['id']}"]
    subscriber.post(faulty)
    assert _open_letters(books, subscription.id) == [f"{subscription.id}:{odd['id']}"]
    subscriber.post(told)
    assert _open_letters(books, subscription.id) == []


def test_a_known_subscription_whose_price_was_changed_elsewhere_still_ends(books: Books) -> None:
    subscriber, subscription = _subscribed(books)
    subscriber.post(subscription.told())
    subscriber.post(subscription.told(price_id="price_odd"))
    assert subscriber.plan() == "dev"
    subscriber.post(subscription.told(price_id="price_odd", status="canceled"))
    assert subscriber.plan() == "free"


@pytest.mark.parametrize("missing", ["id", "customer_id", "status", "price_id", "anchor", "invoices", "item_id"])
def test_what_says_too_little_is_not_posted(books: Books, missing: str) -> None:
    subscriber, subscription = _subscribed(books)
    told = subscription.told()
    claim = books.call("claim_sync", object_id=subscription.id)
    del told[missing]
    with pytest.raises(Exception, match="a subscription has its"):
        books.call("post_subscription", claim=claim, subscription=told)
    assert subscriber.plan() == "free"


def test_a_deleted_accounts_subscription_gives_nothing_and_has_to_end(books: Books) -> None:
    subscriber, subscription = _subscribed(books)
    books.rows(DELETE_ACCOUNT, subscriber.account_id)
    told = subscription.told()
    due = {"verdict": "cancel_due", "account_id": subscriber.account_id}
    payments = [told["invoices"][0]["payment_id"]]
    assert subscriber.post(told) == {**due, "is_live": True, "payment_ids": payments}
    assert (subscriber.lots(), subscriber.plan()) == ([], "free")
    assert books.call("due_cancellations") == [subscription.id]
    assert subscriber.post(subscription.told(status="canceled")) == {**due, "is_live": False, "payment_ids": payments}
    assert books.call("due_cancellations") == []


def test_what_was_paid_before_the_account_was_deleted_is_not_paid_back(books: Books) -> None:
    subscriber, subscription = _subscribed(books)
    subscriber.post(subscription.told())
    books.rows(DELETE_ACCOUNT, subscriber.account_id)
    assert books.call("due_cancellations") == [subscription.id]
    assert subscriber.post(subscription.told())["payment_ids"] == []
    subscription.renew()
    told = subscription.told()
    assert subscriber.post(told)["payment_ids"] == [told["invoices"][1]["payment_id"]]
    subscriber.post(subscription.told(status="canceled"))


def _read_plan(subscriber: Subscriber) -> Any:
    caller = subscriber.customer.caller(scope="billing:read")
    answer = subscriber.customer.books.call("read_plan", caller=caller)
    assert answer["verdict"] == "plan", answer
    return answer


def test_whoever_has_no_subscription_reads_his_plan_and_none(books: Books) -> None:
    subscriber = make_subscriber(books)
    subscriber.customer.set_key(scopes=["billing:read"])
    answer = _read_plan(subscriber)
    assert (answer["plan"]["id"], answer["status"], answer["subscription"]) == ("free", "none", None)
    assert answer["allowance"] == {"granted_nanos": 0, "remaining_nanos": 0, "ends_at": None}
    assert answer["quotas"]["day"]["requests_limit"] == 500


def test_a_subscriber_reads_his_period_and_what_is_left_of_the_month(books: Books) -> None:
    subscriber, subscription = _subscribed(books)
    subscriber.customer.set_key(scopes=["billing:read", "inference"])
    subscriber.post(subscription.told())
    subscriber.customer.settle(subscriber.customer.admitted(tokens=1000), 1000)
    answer = _read_plan(subscriber)
    assert (answer["plan"]["id"], answer["status"]) == ("dev", "active")
    allowance = answer["allowance"]
    assert (allowance["granted_nanos"], allowance["remaining_nanos"]) == (25_000_000_000, 24_999_999_000)
    assert datetime.fromisoformat(allowance["ends_at"]).timestamp() == subscription.period[1]
    told = answer["subscription"]
    assert (told["id"], told["interval"], told["scheduled"], told["grace_ends_at"]) == (
        subscription.id,
        "month",
        None,
        None,
    )


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"status": "past_due"}, "past_due"),
        ({"status": "unpaid"}, "past_due"),
        ({"cancels_at": 2_000_000_000}, "canceling"),
    ],
)
def test_a_subscriber_reads_that_it_is_not_paid_or_going_to_end(
    books: Books, changes: dict[str, Any], status: str
) -> None:
    subscriber, subscription = _subscribed(books)
    subscriber.customer.set_key(scopes=["billing:read"])
    subscriber.post(subscription.told(**changes))
    assert _read_plan(subscriber)["status"] == status


def test_nobody_reads_a_plan_without_the_scope_or_by_a_key_that_is_none(books: Books) -> None:
    subscriber = make_subscriber(books)
    refused = books.call("read_plan", caller=subscriber.customer.caller(scope="billing:read"))
    assert (refused["status"], refused["code"]) == (403, "missing_scope")
    caller = {**subscriber.customer.caller(scope="billing:read"), "key_hmacs": [hmac_of("nobody's")]}
    assert books.call("read_plan", caller=caller)["code"] == "invalid_api_key"
