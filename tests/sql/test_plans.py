"""Plans and prices: what is offered, what a price at Stripe stands for, what bought credit comes with."""

from datetime import UTC, datetime

import pytest

from infra.local.migrate import apply_seed
from tests.sql.books import Books
from tests.sql.customers import make_customer

OFFERED = ("free", "pay_as_you_go", "dev", "team")
READ_ACCOUNT = "select plan_id, base_plan_id, plan_changed_at from gateway.accounts where id = %s"


def test_what_is_offered_comes_in_its_order_with_its_terms(books: Books) -> None:
    offer = books.call("list_plans")
    plans = {plan["id"]: plan for plan in offer["plans"]}
    assert tuple(plans) == OFFERED
    prices = {name: (plan["monthly_price_cents"], plan["yearly_price_cents"]) for name, plan in plans.items()}
    assert prices == {"free": (0, 0), "pay_as_you_go": (0, 0), "dev": (2_900, 29_000), "team": (9_900, 99_000)}
    assert plans["dev"]["monthly_allowance_nanos"] == 25_000_000_000
    assert offer["credits"] == {
        "min_cents": 500,
        "max_cents": 500_000,
        "tiers": [{"min_cents": 10_000, "bonus_ppm": 50_000}, {"min_cents": 50_000, "bonus_ppm": 100_000}],
    }
    assert offer["trial"] == {"days": 3, "amount_nanos": 10_000_000_000}


def test_no_plan_that_costs_more_allows_less(books: Books) -> None:
    limits = [plan["limits"] for plan in books.call("list_plans")["plans"]]
    for name in limits[0]:
        allowed = [float("inf") if plan[name] in (None, 0) else plan[name] for plan in limits]
        assert allowed == sorted(allowed), name


def test_a_plan_that_is_withdrawn_is_not_offered_and_not_sold(own_ledger: Books) -> None:
    own_ledger.rows("update gateway.plans set is_offered = false where id = 'dev'")
    assert "dev" not in [plan["id"] for plan in own_ledger.call("list_plans")["plans"]]
    refused = own_ledger.call("read_plan_price", plan_id="dev", interval="month")
    assert (refused["status"], refused["code"]) == (400, "plan_not_for_sale")


def test_seeding_again_leaves_what_an_operator_set(own_ledger: Books) -> None:
    own_ledger.rows("update gateway.plans set monthly_price_cents = 4900, requests_per_minute = 7 where id = 'dev'")
    apply_seed(own_ledger.url)
    row = own_ledger.rows("select monthly_price_cents, requests_per_minute from gateway.plans where id = 'dev'")
    assert row == [(4_900, 7)]


@pytest.mark.parametrize(
    ("plan_id", "interval", "status", "code"),
    [
        ("nothing", "month", 404, "unknown_plan"),
        ("free", "month", 400, "plan_not_for_sale"),
        ("pay_as_you_go", "year", 400, "plan_not_for_sale"),
        ("dev", "week", 400, "plan_not_for_sale"),
    ],
)
def test_what_is_not_for_sale_has_no_price(books: Books, plan_id: str, interval: str, status: int, code: str) -> None:
    refused = books.call("read_plan_price", plan_id=plan_id, interval=interval)
    assert (refused["verdict"], refused["status"], refused["code"]) == ("refused", status, code)


def test_a_price_at_stripe_is_found_again_while_the_plan_costs_and_gives_the_same(own_ledger: Books) -> None:
    asked = {"plan_id": "dev", "interval": "month"}
    price = own_ledger.call("read_plan_price", **asked)
    assert (price["amount_cents"], price["monthly_allowance_nanos"], price["stripe_price_id"]) == (
        2_900,
        25_000_000_000,
        None,
    )
    for _ in range(2):
        kept = own_ledger.call("keep_plan_price", **asked, stripe_price_id="price_1", amount_cents=2_900)
        assert kept == {"verdict": "kept"}
    assert own_ledger.call("read_plan_price", **asked)["stripe_price_id"] == "price_1"
    assert own_ledger.call("read_plan_price", plan_id="dev", interval="year")["stripe_price_id"] is None
    own_ledger.rows("update gateway.plans set monthly_allowance_nanos = 30000000000 where id = 'dev'")
    assert own_ledger.call("read_plan_price", **asked)["stripe_price_id"] is None


def test_a_price_that_was_read_before_the_plan_got_dearer_is_not_kept(own_ledger: Books) -> None:
    own_ledger.rows("update gateway.plans set monthly_price_cents = 3900 where id = 'dev'")
    asked = {"plan_id": "dev", "interval": "month", "stripe_price_id": "price_1"}
    assert own_ledger.call("keep_plan_price", **asked, amount_cents=2_900) == {"verdict": "superseded"}
    assert own_ledger.rows("select stripe_price_id from gateway.plan_prices") == []


def test_a_price_never_comes_to_stand_for_something_else(own_ledger: Books) -> None:
    own_ledger.call("keep_plan_price", plan_id="dev", interval="month", stripe_price_id="price_1", amount_cents=2_900)
    with pytest.raises(Exception, match="stands for something else"):
        own_ledger.call(
            "keep_plan_price", plan_id="dev", interval="year", stripe_price_id="price_1", amount_cents=29_000
        )
    with pytest.raises(Exception, match="append-only"):
        own_ledger.rows("update gateway.plan_prices set amount_cents = 1")


@pytest.mark.parametrize(
    ("cents", "bonus_nanos"),
    [
        (500, 0),
        (9_999, 0),
        (10_000, 5_000_000_000),
        (49_999, 24_999_500_000),
        (50_000, 50_000_000_000),
        (500_000, 500_000_000_000),
    ],
)
def test_the_highest_tier_that_an_amount_reaches_holds_for_all_of_it(
    books: Books, cents: int, bonus_nanos: int
) -> None:
    assert books.value("select gateway.bonus_nanos(%s)", cents) == bonus_nanos


def test_an_account_is_made_on_its_base_plan_and_settling_it_changes_nothing(books: Books) -> None:
    account_id = books.call("create_account", external_id="base", plan_id="free")["account_id"]
    assert books.rows(READ_ACCOUNT, account_id) == [("free", "free", None)]
    assert books.value("select gateway.settle_plan(%s, gateway.clock())", account_id) is False
    books.rows("update gateway.accounts set base_plan_id = 'pay_as_you_go' where id = %s", account_id)
    assert books.value("select gateway.settle_plan(%s, gateway.clock())", account_id) is True
    assert books.rows(READ_ACCOUNT, account_id) == [("pay_as_you_go", "pay_as_you_go", books.now())]


@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Pacific/Kiritimati"])
@pytest.mark.parametrize(
    ("at", "ends_at"),
    [
        (datetime(2028, 2, 29, 23, 59, 59, tzinfo=UTC), datetime(2028, 3, 1, tzinfo=UTC)),
        (datetime(2031, 3, 1, tzinfo=UTC), datetime(2031, 4, 1, tzinfo=UTC)),
        (datetime(2031, 10, 31, 12, tzinfo=UTC), datetime(2031, 11, 1, tzinfo=UTC)),
    ],
)
def test_a_months_quota_is_over_when_the_month_is_in_utc(
    books: Books, zone: str, at: datetime, ends_at: datetime
) -> None:
    books.set_time(at)
    customer = make_customer(books, credit=10, quotas={"requests_per_month": 1})
    customer.admitted(tokens=1)
    books.rows("select set_config('timezone', %s, false)", zone)
    refused = books.value("select gateway.quota_refusal(%s, %s)", customer.account_id, at)
    assert refused["numbers"]["retry_after_s"] == (ends_at - at).total_seconds()
