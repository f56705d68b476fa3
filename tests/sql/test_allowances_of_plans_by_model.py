"""Whatever a subscriber does and in whichever order we hear of it: the allowances are those of a naive model."""

import itertools
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infra.local.stack import LocalStack
from tests.sql.books import Books, call, connect_as_service, own_books
from tests.sql.plan_months import PaidTime, add_months, allowance_of, months_of
from tests.sql.subscribers import DEV, TEAM, Interval, SoldPlan, StripeSubscription, make_subscriber, sell_plans

# Prices whose parts of months are no round numbers.
ODD = SoldPlan("odd", {"month": 1_237, "year": 12_371}, 9_999_999_999)
PLANS = (DEV, ODD, TEAM)
ADD_ODD = """
    insert into gateway.plans (id, name, requests_per_minute, tokens_per_minute, concurrency, monthly_price_cents,
                               yearly_price_cents, monthly_allowance_nanos, rank)
    values ('odd', 'Odd', 0, 0, 0, 1237, 12371, 9999999999, 2)
"""
ADD_PRICE = """
    insert into gateway.plan_prices (stripe_price_id, plan_id, interval, amount_cents, monthly_allowance_nanos)
    values (%s, 'odd', %s, %s, 9999999999)
"""
# Who asks keeps his clock somewhere: on both sides of UTC, at half hours, where a summer begins in the south.
ZONES = ("UTC", "America/New_York", "Asia/Kathmandu", "Pacific/Chatham", "America/St_Johns", "Pacific/Kiritimati")
READ_ALLOWANCES = """
    select invoice_line_id,
           extract(epoch from allowance.starts_at)::bigint, extract(epoch from allowance.ends_at)::bigint,
           allowance.amount_nanos, lot.amount_nanos, extract(epoch from lot.live_from)::bigint,
           extract(epoch from lot.expires_at)::bigint
      from gateway.allowances as allowance left join gateway.lots as lot on lot.id = allowance.lot_id
     where subscription_id = %s order by allowance.starts_at, invoice_line_id
"""
SECOND_OF_DAY = st.one_of(st.sampled_from([0, 1, 43_200, 86_399]), st.integers(0, 86_399))
# The ends of months and the days around a leap day, more often than others.
DAYS = st.one_of(
    st.sampled_from(
        [
            datetime(year, month, day, tzinfo=UTC)
            for year in (2027, 2028, 2031)
            for month, day in ((1, 29), (1, 30), (1, 31), (2, 1), (2, 28), (3, 31), (8, 31), (11, 30), (12, 31))
        ]
        + [datetime(2028, 2, 29, tzinfo=UTC)]
    ),
    st.dates(datetime(2027, 1, 1).date(), datetime(2032, 12, 31).date()).map(
        lambda day: datetime(day.year, day.month, day.day, tzinfo=UTC)
    ),
)


@dataclass(frozen=True, slots=True)
class Life:
    """A subscription's life: how it began, and then (what happens, how far into the period, to which plan)."""

    anchor: int
    plan: SoldPlan
    interval: Interval
    steps: tuple[tuple[str, float, SoldPlan], ...]

    def lived(self, customer_id: str) -> StripeSubscription:
        """Live it at Stripe."""
        subscription = StripeSubscription(customer_id, self.plan, self.interval, self.anchor)
        last = self.anchor
        for step, part, plan in self.steps:
            begun, ended = subscription.period
            at = max(last, begun + int(part * (ended - begun)))
            if step == "renew" or at >= ended - 1:
                subscription.renew()
                last = subscription.period[0]
            elif step == "go_yearly" and subscription.interval == "month":
                subscription.go_yearly(plan, at)
                last = at
            elif plan.monthly_nanos > subscription.plan.monthly_nanos:
                subscription.upgrade(plan, at)
                last = at
        return subscription


STEPS = st.tuples(
    st.sampled_from(["renew", "upgrade", "upgrade", "go_yearly"]),
    st.one_of(st.sampled_from([0.0, 0.5, 0.9999999]), st.floats(0, 1, exclude_max=True)),
    st.sampled_from(PLANS),
)
LIVES = st.builds(
    Life,
    anchor=st.builds(lambda day, second: int(day.timestamp()) + second, DAYS, SECOND_OF_DAY),
    plan=st.sampled_from(PLANS),
    interval=st.sampled_from(["month", "month", "year"]),
    steps=st.lists(STEPS, max_size=5).map(tuple),
)


class Desk:
    """A database with plans that are sold, and the session that posts, in whichever time zone."""

    def __init__(self, books: Books) -> None:
        self.books = books
        self.session = connect_as_service(books.url)

    def post(self, told: dict[str, Any]) -> Any:
        """Post what was read just now."""
        claim = call(self.session, "claim_sync", object_id=told["id"])
        return call(self.session, "post_subscription", claim=claim, subscription=told)

    def live_in(self, zone: str) -> None:
        """Move the session to a time zone."""
        self.session.execute("select set_config('timezone', %s, false)", (zone,))


@pytest.fixture(scope="module")
def desk(ledger_stack: LocalStack) -> Iterator[Desk]:
    with own_books(ledger_stack) as books:
        sell_plans(books)
        books.rows(ADD_ODD)
        for interval, cents in ODD.cents.items():
            books.rows(ADD_PRICE, ODD.price_id(interval), interval, cents)
        desk = Desk(books)
        try:
            yield desk
        finally:
            desk.session.close()


def _paid(subscription: StripeSubscription, *ids: str) -> list[PaidTime]:
    chosen = [invoice for invoice in subscription.invoices if not ids or invoice.id in ids]
    return list(itertools.chain.from_iterable(invoice.paid for invoice in chosen))


def _check_months(books: Books, subscription: StripeSubscription) -> None:
    """Each month of each line has its row, its lot has the same life, and gives no more than its plan for its time."""
    rows = books.rows(READ_ALLOWANCES, subscription.id)
    lines = {line.line_id: line for line in _paid(subscription)}
    assert sorted((row[0], row[1], row[2]) for row in rows) == sorted(
        (line.line_id, *month) for line in lines.values() for month in months_of(line)
    )
    for line_id, begun, ended, amount, lot_amount, live_from, expires_at in rows:
        assert amount <= (ended - begun) * lines[line_id].density_at(begun) + 1
        assert (lot_amount is None) == (amount == 0 or ended <= books.now().timestamp())
        if lot_amount is not None:
            assert (lot_amount, live_from, expires_at) == (amount, begun, ended)


def _given(books: Books, subscription: StripeSubscription) -> int:
    return int(
        books.value(
            "select coalesce(sum(amount_nanos), 0) from gateway.allowances where subscription_id = %s", subscription.id
        )
    )


@settings(max_examples=150, deadline=None)
@given(life=LIVES, data=st.data())
def test_the_allowances_of_any_life_posted_in_any_order_are_the_models(
    desk: Desk, life: Life, data: st.DataObject
) -> None:
    books = desk.books
    books.set_time(datetime.fromtimestamp(life.anchor, UTC))
    subscriber = make_subscriber(books)
    subscription = life.lived(subscriber.customer_id)
    numbers = {invoice.id: number for number, invoice in enumerate(subscription.invoices)}
    order = data.draw(st.permutations(list(numbers)))
    paid: set[str] = set()
    for invoice_id in order:
        paid.add(invoice_id)
        desk.live_in(data.draw(st.sampled_from(ZONES)))
        # Whoever reads it sees at least the invoices up to this one; those that are not paid yet give nothing.
        seen = data.draw(st.integers(max(numbers[each] for each in paid), len(numbers) - 1)) + 1
        told = subscription.told(invoices=seen, paid=paid)
        for _ in range(data.draw(st.integers(1, 2))):
            assert desk.post(told)["verdict"] == "posted"
        assert _given(books, subscription) == allowance_of(_paid(subscription, *paid))
    _check_months(books, subscription)
    assert books.broken_rules(subscriber.account_id) == []


@settings(max_examples=50, deadline=None)
@given(life=LIVES, data=st.data())
def test_what_is_over_when_it_is_heard_of_is_counted_and_not_given(desk: Desk, life: Life, data: st.DataObject) -> None:
    books = desk.books
    subscriber = make_subscriber(books)
    subscription = life.lived(subscriber.customer_id)
    late_s = data.draw(st.integers(0, subscription.period[1] - life.anchor))
    books.set_time(datetime.fromtimestamp(life.anchor + late_s, UTC))
    desk.post(subscription.told())
    assert _given(books, subscription) == allowance_of(_paid(subscription))
    _check_months(books, subscription)
    alive = [
        month
        for line in _paid(subscription)
        for month in months_of(line)
        if month[0] <= life.anchor + late_s < month[1]
    ]
    available = subscriber.customer.balance()["available_nanos"]
    assert (available > 0) == bool(alive)
    assert books.broken_rules(subscriber.account_id) == []


@settings(max_examples=100, deadline=None)
@given(
    anchor=st.builds(lambda day, second: int(day.timestamp()) + second, DAYS, SECOND_OF_DAY),
    months=st.integers(-30, 30),
    second=st.integers(-40_000_000, 40_000_000),
    zone=st.sampled_from(ZONES),
)
def test_months_are_counted_in_utc_from_the_anchor(
    desk: Desk, anchor: int, months: int, second: int, zone: str
) -> None:
    session = desk.books.owner
    session.execute("select set_config('timezone', %s, false)", (zone,))
    row = session.execute(
        """select extract(epoch from gateway.add_months(to_timestamp(%(anchor)s), %(months)s))::bigint,
                  gateway.month_number(to_timestamp(%(anchor)s), to_timestamp(%(at)s))""",
        {"anchor": anchor, "months": months, "at": anchor + second},
    ).fetchone()
    assert row is not None
    assert row[0] == add_months(anchor, months)
    assert add_months(anchor, row[1]) <= anchor + second < add_months(anchor, row[1] + 1)


def test_posts_that_meet_give_each_month_once(ledger_stack: LocalStack) -> None:
    """Twenty who have read the same life, more or less of it, and under claims of any age."""
    with own_books(ledger_stack) as books, ThreadPoolExecutor(20) as threads:
        sell_plans(books)
        books.set_time(datetime(2031, 1, 31, 12, tzinfo=UTC))
        subscriber = make_subscriber(books)
        subscription = StripeSubscription(subscriber.customer_id, DEV, "month", int(books.now().timestamp()))
        subscription.renew()
        subscription.upgrade(TEAM, subscription.period[0] + 86_400)
        subscription.go_yearly(TEAM, subscription.period[0] + 2 * 86_400)
        sessions = [connect_as_service(books.url) for _ in range(20)]
        claims = [books.call("claim_sync", object_id=subscription.id) for _ in sessions]

        def post(session: psycopg.Connection, claim: int) -> str:
            seen = 4 if claim == claims[-1] else claim % 4 + 1
            answer = call(session, "post_subscription", claim=claim, subscription=subscription.told(invoices=seen))
            return str(answer["verdict"])

        answers = list(threads.map(post, sessions, reversed(claims)))
        for session in sessions:
            session.close()
        assert set(answers) <= {"posted", "superseded"}
        assert answers[0] == "posted"
        assert _given(books, subscription) == allowance_of(_paid(subscription))
        assert sum(lot[0] for lot in subscriber.lots()) == allowance_of(_paid(subscription))
        assert books.broken_rules() == []
