"""The audit log: what is written, how often, and that nobody changes a line of it."""

import json
import uuid
from typing import Any

import psycopg
import pytest
from psycopg import sql

from tests.sql.books import Books, call, connect_as_service
from tests.sql.claims import set_account
from tests.sql.customers import Customer, caller_of, hmac_of, make_customer
from tests.sql.entries import enter, enter_over
from tests.sql.key_owners import create, make_key, make_owner, update
from tests.sql.races import answer_of_the_second

READ_LINES = """
    select event, actor, key_id, subject, details, host(address), request_id
      from gateway.audit_log where account_id = %s order by id
"""
COUNT_EVENTS = "select event, count(*)::int from gateway.audit_log where account_id = %s group by event"
WRITE = "select gateway.write_audit(%s, 'user', %s, 'profile_updated', 'acct', %s, gateway.read_caller(%s))"
CHANGES = [
    "insert into gateway.audit_log (actor, event) values ('system', 'key_created')",
    "update gateway.audit_log set actor = 'system'",
    "update gateway.audit_log set address = null, created_at = now()",
    "update gateway.audit_log set address = '192.0.2.1'",
    "update gateway.audit_log set details = details || '{\"moved_nanos\": 1}'",
    "delete from gateway.audit_log",
    "truncate gateway.audit_log",
]


def _lines(customer: Customer) -> list[tuple[Any, ...]]:
    return customer.books.rows(READ_LINES, customer.account_id)


def _events(customer: Customer) -> dict[str, int]:
    return dict(customer.books.rows(COUNT_EVENTS, customer.account_id))


@pytest.mark.parametrize("change", CHANGES[1:])
def test_not_even_its_owner_changes_the_log(books: Books, change: str) -> None:
    customer = make_customer(books, credit=100)
    with pytest.raises(psycopg.errors.RestrictViolation):
        books.rows(change)
    assert _events(customer) == {"credit_changed": 1}


@pytest.mark.parametrize("statement", [*CHANGES, "select from gateway.audit_log"])
def test_our_servers_neither_read_nor_write_the_log_themselves(books: Books, statement: str) -> None:
    with connect_as_service(books.url) as session, pytest.raises(psycopg.errors.InsufficientPrivilege):
        session.execute(statement.encode())


@pytest.mark.parametrize("actor", ["", "root", "USER"])
def test_only_known_actors_are_written(books: Books, actor: str) -> None:
    with pytest.raises(psycopg.errors.CheckViolation):
        books.rows("insert into gateway.audit_log (actor, event) values (%s, 'key_created')", actor)


def test_a_line_says_who_did_what_from_where(books: Books) -> None:
    customer = make_customer(books)
    caller = customer.caller(address="::ffff:192.0.2.7", request_id="req_7")
    details = json.dumps({"name": "new"})
    books.rows(WRITE, customer.account_id, customer.key_id, details, json.dumps(caller))
    assert _lines(customer) == [
        ("profile_updated", "user", customer.key_id, "acct", {"name": "new"}, "192.0.2.7", "req_7")
    ]


@pytest.mark.parametrize(
    ("rule", "where", "event"),
    [
        ({"ip_allowlist": ["192.0.2.0/24"]}, {"address": "198.51.100.9"}, "address_refused"),
        ({"allowed_domains": ["app.example"]}, {"origin_host": "evil.example"}, "domain_refused"),
    ],
)
def test_a_key_used_where_it_may_not_be_is_written_down(
    books: Books, rule: dict[str, object], where: dict[str, object], event: str
) -> None:
    customer = make_customer(books)
    customer.set_key(**rule)
    enter(books, customer.caller(request_id="req_9", **where))
    details = {"scope": "inference"} | {name: value for name, value in where.items() if name == "origin_host"}
    assert _lines(customer) == [(event, "key", customer.key_id, None, details, where.get("address"), "req_9")]


def test_a_suspended_accounts_key_is_written_down_by_admission_too(books: Books) -> None:
    customer = make_customer(books)
    set_account(customer, status="suspended")
    assert customer.admit(tokens=10)["code"] == "account_suspended"
    books.call("read_generation", caller=customer.caller(), generation_id=uuid.uuid4())
    assert _events(customer) == {"account_refused": 1}


def test_a_session_that_is_refused_is_its_user(books: Books) -> None:
    customer = make_customer(books)
    who = hmac_of(f"refused session {customer.account_id}")
    books.rows("select gateway.open_session(%s, %s)", customer.account_id, [who])
    set_account(customer, status="suspended")
    enter(books, caller_of(who))
    assert [line[:2] for line in _lines(customer)] == [("account_refused", "user")]


def test_other_refusals_and_unknown_keys_leave_no_line(books: Books) -> None:
    customer = make_customer(books)
    count = "select count(*) from gateway.audit_log"
    before = books.value(count)
    assert customer.admit(tokens=10)["code"] == "insufficient_credits"
    enter(books, caller_of(hmac_of("nobody")))
    assert books.value(count) == before


def test_a_key_used_for_what_it_may_not_do_is_written_down_once_an_hour(books: Books) -> None:
    customer = make_customer(books)
    for _ in range(2):
        assert enter(books, customer.caller(scope="keys:write"))[1]["code"] == "missing_scope"
    line = ("scope_refused", "key", customer.key_id, None, {"scope": "keys:write"}, None, "req_test")
    assert _lines(customer) == [line]


def test_a_key_that_reaches_for_more_than_it_has_is_written_down_once_an_hour(books: Books) -> None:
    owner = make_owner(books)
    limited, before = make_key(owner, scopes=["keys:write"]), _events(owner)
    answers = [create(owner, by=limited, scopes=["billing:write"]), update(make_key(owner), by=limited, max_requests=1)]
    assert {answer["code"] for answer in answers} == {"key_exceeds_yours"}
    assert _events(owner) == {**before, "key_created": 2, "escalation_refused": 1}
    assert _lines(owner)[-1][:3] == ("key_created", "key", owner.key_id)
    assert ("escalation_refused", "key", limited.id) in [line[:3] for line in _lines(owner)]


def test_a_key_leaves_one_line_an_hour_for_each_event(books: Books) -> None:
    customer, other = make_customer(books), make_customer(books)
    books.rows("update public.clock_reading set at = date_trunc('hour', at) + interval '1 hour'")
    for one in (customer, other):
        one.set_key(ip_allowlist=["192.0.2.0/24"])
    for _ in range(3):
        enter(books, customer.caller())
    enter(books, other.caller())
    assert (_events(customer), _events(other)) == ({"address_refused": 1}, {"address_refused": 1})
    customer.set_key(ip_allowlist=None, allowed_domains=["app.example"])
    enter(books, customer.caller())
    assert _events(customer) == {"address_refused": 1, "domain_refused": 1}
    customer.set_key(ip_allowlist=["192.0.2.0/24"])
    books.pass_time(minutes=59, seconds=59.999999)
    enter(books, customer.caller())
    assert _events(customer)["address_refused"] == 1
    books.pass_time(microseconds=1)
    enter(books, customer.caller())
    assert _events(customer)["address_refused"] == 2


def test_two_refusals_at_once_leave_one_line(books: Books) -> None:
    customer = make_customer(books)
    customer.set_key(ip_allowlist=["192.0.2.0/24"])
    second = answer_of_the_second(
        books,
        lambda session: enter_over(session, customer.caller()),
        lambda session: enter_over(session, customer.caller()),
    )
    assert second[1]["code"] == "address_not_allowed"
    assert _events(customer) == {"address_refused": 1}


def test_a_line_is_written_while_the_account_itself_is_locked(books: Books) -> None:
    customer = make_customer(books)
    customer.set_key(ip_allowlist=["192.0.2.0/24"])
    with psycopg.connect(books.url) as other:
        other.execute("select from gateway.accounts where id = %s for update", (customer.account_id,))
        assert customer.admit(tokens=10)["code"] == "address_not_allowed"
        with connect_as_service(books.url) as session:
            session.execute("set lock_timeout = '1s'")
            credit = {"account_id": customer.account_id, "amount_nanos": 5, "kind": "admin", "idempotency_key": "k"}
            assert call(session, "credit_account", **credit)["verdict"] == "credited"
    assert _events(customer) == {"address_refused": 1, "credit_changed": 1}


def test_a_host_of_any_length_leaves_a_line_of_bounded_length(books: Books) -> None:
    customer = make_customer(books)
    customer.set_key(allowed_domains=["app.example"])
    enter(books, customer.caller(origin_host="a" * 10_000))
    assert len(_lines(customer)[0][4]["origin_host"]) == 253


@pytest.mark.parametrize(
    ("kind", "amount", "actor"),
    [("admin", 50, "admin"), ("purchase", 50, "stripe"), ("refund", -50, "stripe"), ("dispute", -50, "stripe")],
)
def test_money_that_came_or_went_by_hand_or_by_payment_is_written_down_once(
    books: Books, kind: str, amount: int, actor: str
) -> None:
    customer = make_customer(books)
    customer.credit(70, kind="purchase", source="pi_1")
    for _ in range(2):
        customer.credit(amount, key=f"the {kind}", kind=kind, source="pi_1")
    line = ("credit_changed", actor, None, "pi_1", {"kind": kind, "moved_nanos": amount, "owed_nanos": 0}, None, None)
    assert _lines(customer)[1:] == [line]


def test_money_taken_back_that_was_spent_is_written_down_as_owed(books: Books) -> None:
    customer = make_customer(books, credit=30)
    customer.credit(-50, kind="dispute")
    assert _lines(customer)[-1][4] == {"kind": "dispute", "moved_nanos": -30, "owed_nanos": 20}


def test_credit_of_other_kinds_and_refused_credit_leave_no_line(books: Books) -> None:
    customer = make_customer(books)
    for kind in ("trial", "plan", "promo", "referral"):
        assert customer.credit(10, kind=kind)["verdict"] == "credited"
    assert customer.credit(0)["code"] == "zero_amount"
    assert _lines(customer) == []


def test_an_event_is_a_noun_and_a_verb(books: Books) -> None:
    statement = sql.SQL("insert into gateway.audit_log (actor, event) values ('system', {})")
    for event in ("created", "Key_created", "key created", ""):
        with pytest.raises(psycopg.errors.CheckViolation):
            books.owner.execute(statement.format(sql.Literal(event)))
