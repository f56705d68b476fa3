"""Someone who is signed in: a hidden key of his account, found by who he is."""

import psycopg

from shared.core.scopes import USER_SCOPES
from tests.sql.books import Books
from tests.sql.customers import Customer, caller_of, hmac_of, make_customer
from tests.sql.entries import enter
from tests.sql.races import answer_of_the_second

OPEN = "select gateway.open_session(%s, %s)"
COUNT = "select count(*) from gateway.api_keys where account_id = %s and kind = 'session'"


def _open(customer: Customer, *hmacs: str) -> int:
    return int(customer.books.value(OPEN, customer.account_id, list(hmacs)))


def test_a_session_has_every_scope_of_a_user_and_is_admitted_and_charged_as_a_key(books: Books) -> None:
    customer = make_customer(books, credit=100)
    who = hmac_of(f"session {customer.account_id}")
    key_id = _open(customer, who)
    for scope in USER_SCOPES:
        assert enter(books, caller_of(who, scope=scope)) == (key_id, None)
    assert books.value("select gateway.user_scopes()") == list(USER_SCOPES)
    generation_id = customer.admitted(tokens=10, key_hmacs=[who])
    assert customer.settle(generation_id, 7)["charged_nanos"] == 7
    assert books.rows("select key_id from gateway.usage_lines where generation_id = %s", generation_id) == [(key_id,)]
    assert books.broken_rules(customer.account_id) == []


def test_who_signs_in_again_has_the_same_session_and_a_new_secret_only_where_the_old_one_is_gone(books: Books) -> None:
    customer = make_customer(books)
    older, newer = hmac_of(f"older {customer.account_id}"), hmac_of(f"newer {customer.account_id}")
    first = _open(customer, older)
    assert _open(customer, newer, older) == first
    assert books.value("select gateway.key_fingerprints(%s)", [first]) == [older]
    books.rows("delete from gateway.key_secrets where key_id = %s", first)
    assert _open(customer, newer, older) == first
    assert books.value("select gateway.key_fingerprints(%s)", [first]) == [newer]


def test_who_signs_in_twice_at_once_has_one_session(books: Books) -> None:
    customer = make_customer(books)
    arguments = (customer.account_id, [hmac_of(f"twice {customer.account_id}")])

    def sign_in(session: psycopg.Connection) -> int:
        return int(session.execute(OPEN.encode(), arguments).fetchall()[0][0])

    first: list[int] = []
    second = answer_of_the_second(books, lambda session: first.append(sign_in(session)), sign_in)
    assert [second] == first
    assert books.value(COUNT, customer.account_id) == 1


def test_a_session_takes_no_name_from_the_keys(books: Books) -> None:
    customer = make_customer(books)
    _open(customer, hmac_of(f"named {customer.account_id}"))
    key = {"name": "session", "environment": "live", "masked": "gw_…", "key_hmac": hmac_of(f"k{customer.account_id}")}
    made = books.call("create_api_key", account_id=customer.account_id, **key)
    assert books.value("select kind from gateway.api_keys where id = %s", made["key_id"]) == "secret"
