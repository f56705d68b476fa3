"""What the database itself holds to when an account ends."""

import time
from collections import Counter
from typing import Any

import psycopg
import pytest

from tests.sql.books import Books, call
from tests.sql.customers import Customer, hmac_of, make_customer
from tests.sql.key_owners import make_key, make_owner, refusal
from tests.sql.pages import caller_of, give_scopes
from tests.sql.races import Call, answer_of_the_second, crowd_of

SET_PERSON = """
    update gateway.accounts set privy_id = %s, email = %s, email_normalised = %s, external_id = null where id = %s
"""
COUNT_DELETIONS = "select count(*) from gateway.audit_log where account_id = %s and event = 'account_deleted'"
READ_AUDIT = "select event, actor, key_id, created_at from gateway.audit_log where account_id = %s order by id"
READ_WHEREABOUTS = "select host(address), details ->> 'origin_host' from gateway.audit_log where account_id = %s"
WHEREABOUTS = {"address": "192.0.2.7", "origin_host": "evil.example"}
READ_STATUS = "select status from gateway.accounts where id = %s"
READ_OPTIONAL = """
    select column_name, udt_name from information_schema.columns
     where table_schema = 'gateway' and table_name = %s and is_nullable = 'YES'
"""
# What is not about a person, or says that the end has come.
STAYS = {
    # Money may still have to go back, and whoever asks for it is known at Stripe by his customer's id.
    "accounts": {"deleted_at", "stripe_customer_id", "dispute_status", "plan_changed_at"},
    "api_keys": {
        "expires_at",
        "model_globs",
        "requests_per_minute",
        "tokens_per_minute",
        "concurrency",
        "max_requests",
        "spend_limit_nanos",
        "last_used_at",
        "revoked_at",
        "app_public_since",
    },
}
# Something for a column of each type; those that must fit each other are filled below.
FILLING = {
    "text": "'something of his'",
    "int8": "7",
    "int4": "7",
    "timestamptz": "now()",
    "_text": "'{something.example}'",
    "_cidr": "'{192.0.2.0/24}'",
    "bytea": r"'\x01020304'",
}
# Those that may not be just anything.
FITTING = {"stripe_customer_id": "'cus_his'", "dispute_status": "'lost'"}
FILL_PREFERENCES = """
    update gateway.accounts set preferences = '{"a": 1}', email_preferences = '{"news": true}' where id = %s
"""
READ_PREFERENCES = "select preferences::text, email_preferences::text from gateway.accounts where id = %s"
INSERT_HOLDS = """
    insert into gateway.holds (id, account_id, key_id, model_id, price_id, quantities, amount_nanos, state, expires_at,
                               ended_at)
    select gen_random_uuid(), %s, %s, 'm', 1, row(1, 0, 0, 0, 0, 1)::gateway.quantities, 0, 'settled', now(), now()
      from generate_series(1, %s)
"""
INSERT_ANSWERS = """
    insert into gateway.replays (generation_id, account_id, key_id, body_hmac, answer, expires_at)
    select id, account_id, key_id, id::text, repeat('x', 1500), now() + interval '1 day'
      from gateway.holds where account_id = %s
"""
COUNT_ANSWERS = "update gateway.quota_usage set kept_bytes = 1500 * %s where account_id = %s"
READ_KEPT = """
    select (select count(*) from gateway.replays where account_id = %(id)s and answer is not null),
           (select kept_bytes from gateway.quota_usage where account_id = %(id)s)
"""
COUNT_SECRETS = "select count(*) from gateway.key_secrets where key_id = %s"
MAKE_DUE = """
    update gateway.api_keys set rotate_every_days = 7, rotates_at = now() - interval '1 day' where id = %s
    returning rotates_at
"""


def _person(books: Books) -> Customer:
    customer = make_customer(books, credit=500)
    give_scopes(customer, "account:write")
    mailbox = f"someone{customer.account_id}@example.com"
    books.rows(SET_PERSON, f"did:privy:{customer.account_id}", mailbox, mailbox, customer.account_id)
    return customer


def _delete(customer: Customer) -> Any:
    return customer.books.call("delete_account", caller=caller_of(customer, "account:write"))


def test_the_wallet_and_its_ledger_stay_and_balance(books: Books) -> None:
    customer = _person(books)
    customer.settle(customer.admitted(tokens=40), 40)
    late = customer.admitted(tokens=60, lifetime_s=60)
    answer = _delete(customer)
    assert (answer["verdict"], answer["fingerprints"]) == ("deleted", [customer.key_hmac])
    assert customer.balance()["posted_nanos"] == 460
    assert customer.settle(late, 50)["charged_nanos"] == 50
    books.pass_time(hours=1)
    assert customer.balance()["posted_nanos"] == 410
    assert books.broken_rules() == []
    assert _delete(customer)["code"] == "invalid_api_key"
    assert customer.admit(tokens=1)["code"] == "invalid_api_key"


def test_the_audit_log_forgets_where_someone_was_and_keeps_what_he_did(books: Books) -> None:
    customer = _person(books)
    stays = _person(books)
    for owner in (customer, stays):
        owner.set_key(allowed_domains=["app.example"])
        refused = books.call("read_person", caller=owner.caller(scope="account:write", **WHEREABOUTS))
        assert refused["code"] == "domain_not_allowed"
        owner.set_key(allowed_domains=None)
    before = books.rows(READ_AUDIT, customer.account_id)
    kept = books.rows(READ_WHEREABOUTS, stays.account_id)
    assert _delete(customer)["verdict"] == "deleted"
    assert books.rows(READ_AUDIT, customer.account_id)[: len(before)] == before
    assert set(books.rows(READ_WHEREABOUTS, customer.account_id)) == {(None, None)}
    assert books.rows(READ_WHEREABOUTS, stays.account_id) == kept
    assert ("192.0.2.7", "evil.example") in kept


def test_of_deletions_that_met_at_the_lock_one_deletes(books: Books) -> None:
    customer = make_customer(books, credit=500)
    give_scopes(customer, "account:write")
    call: Call = ("delete_account", {"caller": caller_of(customer, "account:write")})
    with crowd_of(books, 12) as crowd:
        answers = crowd.call_at_once(customer.account_id, [call] * 12)
    outcomes = Counter(answer.get("code", answer["verdict"]) for answer in answers)
    assert outcomes == {"deleted": 1, "invalid_api_key": 11}
    assert books.value(COUNT_DELETIONS, customer.account_id) == 1


def _fill_all_optional(books: Books, table: str, row_id: int) -> set[str]:
    """Put something into every column that may be empty, and return their names."""
    columns = dict(books.rows(READ_OPTIONAL, table))
    parts = ", ".join(
        f"{name} = coalesce({name}, {FITTING.get(name, FILLING[kind])})" for name, kind in columns.items()
    )
    books.rows(f"update gateway.{table} set {parts} where id = %s", row_id)
    return set(columns)


def test_every_column_that_may_be_empty_is_empty_afterwards_but_what_is_named_here(books: Books) -> None:
    customer = _person(books)
    names = {"accounts": customer.account_id, "api_keys": customer.key_id}
    columns = {"accounts": _fill_all_optional(books, "accounts", customer.account_id)}
    books.rows(FILL_PREFERENCES, customer.account_id)
    books.rows("update gateway.accounts set deleted_at = null where id = %s", customer.account_id)
    # A key that is over or revoked deletes nothing: another one of the account is filled.
    other = books.call(
        "create_api_key",
        account_id=customer.account_id,
        name="another",
        environment="live",
        key_hmac=hmac_of("another key of one who leaves"),
        masked="gw_…",
    )["key_id"]
    names["api_keys"] = other
    columns["api_keys"] = _fill_all_optional(books, "api_keys", other)
    assert _delete(customer)["verdict"] == "deleted"
    for table, row_id in names.items():
        left = books.value(f"select to_jsonb(line) from gateway.{table} as line where id = %s", row_id)
        assert {name for name in columns[table] if left[name] is not None} == STAYS[table], table
    assert books.rows(READ_PREFERENCES, customer.account_id) == [("{}", "{}")]


def test_of_many_kept_answers_ten_times_as_many_take_about_ten_times_as_long(own_ledger: Books) -> None:
    taken = {count: _time_of_erasing(own_ledger, count) for count in (2_000, 20_000)}
    assert taken[20_000] < 25 * taken[2_000], taken
    assert taken[20_000] < 4, taken


def _time_of_erasing(books: Books, count: int) -> float:
    customer = make_customer(books)
    give_scopes(customer, "account:write")
    books.rows(INSERT_HOLDS, customer.account_id, customer.key_id, count)
    books.rows(INSERT_ANSWERS, customer.account_id)
    books.rows(COUNT_ANSWERS, count, customer.account_id)
    books.owner.execute("vacuum analyze gateway.replays")
    changes = {"is_zero_retention": True}
    started_s = time.perf_counter()
    answer = books.call("update_profile", caller=caller_of(customer, "account:write"), changes=changes)
    taken_s = time.perf_counter() - started_s
    assert answer["verdict"] == "profile"
    assert books.owner.execute(READ_KEPT.encode(), {"id": customer.account_id}).fetchall() == [(0, 0)]
    return taken_s


def test_who_owes_is_told_how_much_and_is_not_deleted(books: Books) -> None:
    customer = _person(books)
    customer.settle(customer.admitted(tokens=400), 400)
    assert customer.credit(-500, kind="refund")["owed_nanos"] == 400
    refused = _delete(customer)
    assert (refused["status"], refused["code"], refused["numbers"]) == (409, "account_owes", {"owed_nanos": 400})
    assert books.value(READ_STATUS, customer.account_id) == "active"
    customer.credit(400)
    assert _delete(customer)["verdict"] == "deleted"


def test_a_deleted_account_gets_no_credit_and_loses_what_is_refunded(books: Books) -> None:
    customer = _person(books)
    assert customer.credit(50, key="before")["verdict"] == "credited"
    assert _delete(customer)["verdict"] == "deleted"
    for kind in ("purchase", "admin", "promo"):
        refused = customer.credit(70, kind=kind)
        assert (refused["status"], refused["code"]) == (409, "account_deleted")
    assert customer.credit(50, key="before")["is_repeated"] is True
    assert customer.credit(-30, kind="refund")["moved_nanos"] == -30
    assert customer.balance()["posted_nanos"] == 520
    assert books.broken_rules(customer.account_id) == []


def test_a_rotation_that_is_under_way_leaves_no_secret(books: Books) -> None:
    customer = make_customer(books)
    give_scopes(customer, "account:write")
    due_at = books.value(MAKE_DUE, customer.key_id)
    secret = {"key_hmac": hmac_of("made by rotation"), "masked": "gw_…", "sealed": "sealed", "secret_id": "00000000"}

    def rotate(session: psycopg.Connection) -> None:
        session.execute("set role service_role")
        rotated = call(
            session, "rotate_due_key", key_id=customer.key_id, due_at=due_at, secret=secret, overlap_hours=168
        )
        assert rotated["verdict"] == "rotated"

    def delete(session: psycopg.Connection) -> Any:
        session.execute("set role service_role")
        answer = call(session, "delete_account", caller=caller_of(customer, "account:write"))
        session.commit()
        return answer

    books.rows("update gateway.accounts set external_id = null where id = %s", customer.account_id)
    assert answer_of_the_second(books, rotate, delete)["verdict"] == "deleted"
    assert books.value(COUNT_SECRETS, customer.key_id) == 0


def test_a_secret_of_someone_who_takes_the_key_alone_is_gone_too(books: Books) -> None:
    customer = make_customer(books)
    give_scopes(customer, "account:write")

    def add_secret(session: psycopg.Connection) -> None:
        session.execute(b"select from gateway.api_keys where id = %s for no key update", (customer.key_id,))
        session.execute(
            b"insert into gateway.key_secrets (key_hmac, key_id) values (decode(%s, 'hex'), %s)",
            (hmac_of("made beside the deletion"), customer.key_id),
        )

    def delete(session: psycopg.Connection) -> Any:
        session.execute("set role service_role")
        answer = call(session, "delete_account", caller=caller_of(customer, "account:write"))
        session.commit()
        return answer

    assert answer_of_the_second(books, add_secret, delete)["verdict"] == "deleted"
    assert books.value(COUNT_SECRETS, customer.key_id) == 0


@pytest.mark.parametrize("environment", ["test", "development", "staging"])
def test_a_key_that_may_not_spend_the_account_does_not_end_it(books: Books, environment: str) -> None:
    owner = make_owner(books)
    key = make_key(owner, environment=environment, scopes=["account:write"])
    answer = books.call("delete_account", caller=key.caller("account:write"))
    assert refusal(answer) == (403, "key_exceeds_yours", {"environment": "live"})
    assert books.value(READ_STATUS, owner.account_id) == "active"
