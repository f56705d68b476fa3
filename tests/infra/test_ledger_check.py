"""The checker finds what somebody broke in the tables, and nothing in books that only the ledger has written."""

import uuid
from collections.abc import Iterator

import psycopg
import pytest
from psycopg import sql

from infra.ledger_check.__main__ import main
from infra.local.migrate import apply_migrations, apply_seed
from infra.local.stack import LocalStack
from tests.sql.books import INSERT_MODEL, MODEL, NANO_PER_TOKEN, PROVIDER, Books
from tests.sql.customers import Customer, make_customer

TEMPLATE, COPY = "ledger_check_template", "ledger_check_copy"
PUBLISH = (
    """select api.publish_offer(%s, %s, 'nano', jsonb_build_object('input_tokens', %s::bigint, 'output_tokens', 0))"""
)
CHARGE_AGAIN = """
    insert into gateway.transfers (idempotency_key, line_number, debit_account, credit_account, amount_nanos, kind,
                                   account_id, lot_id, generation_id, balance_after_nanos)
    select 'again:' || generation_id, line_number, debit_account, credit_account, amount_nanos, kind,
           account_id, lot_id, generation_id, balance_after_nanos
      from gateway.transfers where generation_id = %s and kind = 'usage'
"""
FORGET_LINE = "delete from gateway.usage_lines where generation_id = %s"
RAISE_PRICE_OF_LINE = """
    update gateway.usage_lines set list_cost_nanos = list_cost_nanos + 1, cost_nanos = cost_nanos + 1,
                                   shortfall_nanos = shortfall_nanos + 1 where generation_id = %s
"""
INVENT_PROVIDER_COST = "update gateway.usage_lines set provider_cost_nanos = 1000 where generation_id = %s"
ENRICH = "update gateway.wallets set posted_nanos = posted_nanos + 1 where account_id = %s"
LET_TIME_PASS = "update gateway.holds set expires_at = clock_timestamp() - make_interval(mins => 3) where id = %s"
BURY = "select api.add_dead_letter('late_settlement', 'gen_1', '{}'::jsonb, 'unknown_hold', 3)"
RESOLVE = "update gateway.dead_letters set resolved_at = now()"


def _url(stack: LocalStack, name: str) -> str:
    return stack.database_url.removesuffix("/postgres") + f"/{name}"


def _create(stack: LocalStack, name: str, template: str) -> None:
    statement = sql.SQL("create database {} owner postgres template {}")
    with psycopg.connect(stack.superuser_url, autocommit=True) as session:
        session.execute(statement.format(sql.Identifier(name), sql.Identifier(template)))


def _drop(stack: LocalStack, name: str) -> None:
    with psycopg.connect(stack.superuser_url, autocommit=True) as session:
        session.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))


@pytest.fixture(scope="module")
def template(stack: LocalStack) -> Iterator[str]:
    _create(stack, TEMPLATE, "template1")
    url = _url(stack, TEMPLATE)
    apply_migrations(url)
    apply_seed(url)
    with psycopg.connect(url, autocommit=True) as session:
        session.execute(INSERT_MODEL.encode(), (MODEL, MODEL))
        session.execute(PUBLISH.encode(), (MODEL, PROVIDER, NANO_PER_TOKEN))
    yield TEMPLATE
    _drop(stack, TEMPLATE)


@pytest.fixture
def books(stack: LocalStack, template: str) -> Iterator[Books]:
    """A database of the test's own, to break."""
    _create(stack, COPY, template)
    books = Books(_url(stack, COPY))
    yield books
    books.close()
    _drop(stack, COPY)


@pytest.fixture
def customer(books: Books) -> Customer:
    """One with credit, a settled request, one voided, one expired, one under way."""
    customer = make_customer(books, credit=1000)
    customer.settle(customer.admitted(tokens=100), 60)
    customer.void(customer.admitted(tokens=10))
    customer.admitted(tokens=20, lifetime_s=0)
    customer.books.call("expire_holds")
    customer.admitted(tokens=30)
    return customer


def _settled_id(books: Books) -> uuid.UUID:
    settled: uuid.UUID = books.value("select generation_id from gateway.usage_lines")
    return settled


def _check(books: Books) -> int:
    return main(["--database-url", books.url])


def test_books_that_only_the_ledger_has_written_are_right(
    books: Books, customer: Customer, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _check(books) == 0
    expired = books.value("select id from gateway.holds where state = 'expired'")
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["unsettled_hold", "found:"]
    assert str(expired) in lines[0]


def test_an_empty_database_is_right(books: Books, capsys: pytest.CaptureFixture[str]) -> None:
    assert _check(books) == 0
    assert capsys.readouterr().out == "the books are right\n"


@pytest.mark.parametrize(
    ("damage", "rule"),
    [
        (CHARGE_AGAIN, "a request moves money in its one settlement"),
        (CHARGE_AGAIN, "wallet = its credits - its debits"),
        (FORGET_LINE, "settled hold has its usage line"),
        (RAISE_PRICE_OF_LINE, "list cost = quantities x price, rounded up once"),
        (INVENT_PROVIDER_COST, "provider cost is at most what the quantities cost us"),
    ],
)
def test_a_request_whose_books_are_wrong_is_found(
    books: Books, customer: Customer, capsys: pytest.CaptureFixture[str], damage: str, rule: str
) -> None:
    books.rows(damage, _settled_id(books))
    assert _check(books) == 1
    assert [line for line in capsys.readouterr().out.splitlines() if line.startswith("broken_rule") and rule in line]


def test_money_that_came_from_nowhere_is_found(
    books: Books, customer: Customer, capsys: pytest.CaptureFixture[str]
) -> None:
    books.rows(ENRICH, customer.account_id)
    assert _check(books) == 1
    assert f"broken_rule  {customer.account_id}  wallet" in capsys.readouterr().out


def test_a_hold_that_no_sweep_has_closed_is_found(
    books: Books, customer: Customer, capsys: pytest.CaptureFixture[str]
) -> None:
    stuck = books.value("select id from gateway.holds where state = 'held'")
    books.rows(LET_TIME_PASS, stuck)
    assert main(["--database-url", books.url, "--stuck-after-s", "600"]) == 0
    capsys.readouterr()
    assert _check(books) == 1
    assert f"stuck_hold  {stuck}" in capsys.readouterr().out


def test_a_record_that_was_given_up_is_found_until_somebody_has_seen_to_it(
    books: Books, customer: Customer, capsys: pytest.CaptureFixture[str]
) -> None:
    books.rows(BURY)
    assert _check(books) == 1
    assert "dead_letter  gen_1  late_settlement, 3 tries: unknown_hold" in capsys.readouterr().out
    books.rows(RESOLVE)
    assert _check(books) == 0


def test_more_than_is_shown_is_counted(books: Books, customer: Customer, capsys: pytest.CaptureFixture[str]) -> None:
    for _ in range(4):
        customer.admitted(tokens=1, lifetime_s=0)
    books.call("expire_holds")
    assert main(["--database-url", books.url, "--limit", "2"]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert len(shown) == 4
    assert shown[2:] == ["unsettled_hold  … and 3 more", "found: 5 unsettled_hold"]


def test_a_database_that_is_none_of_ours_is_told_apart_from_one_that_is_broken(
    books: Books, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--database-url", books.url.rsplit("/", 1)[0] + "/template1"]) == 2
    assert "the books cannot be read" in capsys.readouterr().err
