"""The door that every function of api enters by: which key calls, and whether it may."""

import json
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from tests.sql.books import Books
from tests.sql.claims import set_account
from tests.sql.customers import Customer, caller_of, hmac_of, make_customer, secrets_of
from tests.sql.entries import enter
from tests.sql.races import LOCK_WALLET, answer_of_the_second

UNKNOWN = {"verdict": "refused", "status": 401, "code": "invalid_api_key", "numbers": {}}
REVOKE = "delete from gateway.key_secrets where key_id = %s"
MARK_REVOKED = "update gateway.api_keys set revoked_at = %s where id = %s"
END_SECRET = "update gateway.key_secrets set expires_at = %s where key_id = %s"
ADD_SECRET = "insert into gateway.key_secrets (key_hmac, key_id, created_at) values (decode(%s, 'hex'), %s, %s)"
TOUCHED = """
    select relname from pg_stat_xact_user_tables
     where schemaname = 'gateway' and seq_scan + coalesce(idx_scan, 0) + n_tup_ins + n_tup_upd + n_tup_del > 0
"""
SCANS_OF_SECRETS = "select seq_scan, idx_scan from pg_stat_xact_user_tables where relname = 'key_secrets'"
MANY_KEYS = """
    with made as (
        insert into gateway.api_keys (account_id, name, environment, masked)
        select %s, 'many ' || number, 'live', 'gw_…' from generate_series(1, 20000) as number returning id)
    insert into gateway.key_secrets (key_hmac, key_id)
    select sha256(convert_to('many ' || id, 'UTF8')), id from made
"""
EXPLAIN = """
    explain (analyze, format json)
    select (found.key).id from gateway.find_key(gateway.read_caller(%s), '2030-01-01'::timestamptz) as found
"""


def _make_dead_customers(books: Books) -> list[Customer]:
    """Return owners of keys that were revoked, marked as revoked, switched off, expired, and rotated away."""
    customers = [make_customer(books, credit=100) for _ in range(5)]
    revoked, marked, switched_off, expired, rotated = customers
    books.rows(REVOKE, revoked.key_id)
    books.rows(MARK_REVOKED, books.now(), marked.key_id)
    switched_off.set_key(is_active=False)
    expired.set_key(expires_at=books.now())
    books.rows(END_SECRET, books.now(), rotated.key_id)
    return customers


def test_unknown_revoked_expired_and_rotated_keys_enter_nowhere_in_the_same_words(books: Books) -> None:
    nobody = caller_of(hmac_of("nobody"))
    for caller in (nobody, *(customer.caller() for customer in _make_dead_customers(books))):
        assert enter(books, caller) == (None, UNKNOWN)


def test_a_key_that_may_not_be_used_is_looked_for_and_nothing_else_is_touched(books: Books) -> None:
    callers = [caller_of(hmac_of("nobody")), *(customer.caller() for customer in _make_dead_customers(books))]
    for caller in callers:
        with psycopg.connect(books.url) as session:
            session.execute("set local enable_seqscan = off")
            session.execute("select gateway.enter(%s)", (json.dumps(caller),))
            assert {name for (name,) in session.execute(TOUCHED.encode())} <= {"key_secrets", "api_keys"}
            assert session.execute(SCANS_OF_SECRETS.encode()).fetchall() == [(0, 1)]


def test_a_key_is_found_among_many_by_one_look_up_of_its_hmac(own_ledger: Books) -> None:
    customer = make_customer(own_ledger)
    own_ledger.rows(MANY_KEYS, customer.account_id)
    own_ledger.rows("analyze gateway.key_secrets, gateway.api_keys")
    for caller in (customer.caller(), caller_of(hmac_of("nobody"))):
        plan = json.dumps(own_ledger.value(EXPLAIN, json.dumps(caller)))
        scans = [node for node in _nodes(json.loads(plan)[0]["Plan"]) if "Relation Name" in node]
        assert {(node["Node Type"], node.get("Index Name")) for node in scans} == {
            ("Index Scan", "key_secrets_pkey"),
            ("Index Scan", "api_keys_pkey"),
        }
        assert sum(node["Rows Removed by Filter"] for node in scans if "Rows Removed by Filter" in node) == 0


def _nodes(plan: dict[str, Any]) -> list[dict[str, Any]]:
    return [plan, *(node for child in plan.get("Plans", []) for node in _nodes(child))]


def test_an_old_secret_works_exactly_through_its_overlap_and_the_new_one_on(books: Books) -> None:
    customer = make_customer(books, credit=100)
    end, newer = books.now() + timedelta(hours=1), hmac_of(f"newer {customer.key_id}")
    books.rows(END_SECRET, end, customer.key_id)
    books.rows(ADD_SECRET, newer, customer.key_id, books.now())
    books.set_time(end - timedelta(microseconds=1))
    assert enter(books, customer.caller()) == (customer.key_id, None)
    customer.admitted(tokens=1)
    books.set_time(end)
    assert enter(books, customer.caller()) == (None, UNKNOWN)
    assert customer.admit(tokens=1) == UNKNOWN
    assert enter(books, caller_of(newer)) == (customer.key_id, None)
    customer.admitted(tokens=1, key_hmacs=[newer])


@pytest.mark.parametrize("end", [REVOKE, "update gateway.api_keys set is_active = false where id = %s"])
def test_a_key_that_ends_while_its_request_waits_for_the_wallet_is_not_admitted(books: Books, end: str) -> None:
    customer = make_customer(books, credit=100)

    def spend_and_end_the_key(session: psycopg.Connection) -> None:
        session.execute(LOCK_WALLET.encode(), (customer.account_id,))
        session.execute(end.encode(), (customer.key_id,))

    assert answer_of_the_second(books, spend_and_end_the_key, lambda _: customer.admit(tokens=10)) == UNKNOWN
    assert customer.counted() == (0, 0, 0)


def test_a_secret_that_is_moved_to_the_newest_hmac_keeps_its_end(books: Books) -> None:
    customer = make_customer(books)
    end, newest = books.now() + timedelta(hours=1), hmac_of(f"newest {customer.key_id}")
    books.rows(END_SECRET, end, customer.key_id)
    assert enter(books, customer.caller(key_hmacs=[newest, customer.key_hmac])) == (customer.key_id, None)
    assert secrets_of(customer) == [newest]
    assert books.value("select expires_at from gateway.key_secrets where key_id = %s", customer.key_id) == end


def test_a_secret_under_the_newest_hmac_is_not_written_again(books: Books) -> None:
    customer = make_customer(books)
    read_version = "select xmin::text from gateway.key_secrets where key_id = %s"
    before = books.value(read_version, customer.key_id)
    assert enter(books, customer.caller(key_hmacs=[customer.key_hmac, hmac_of("older")])) == (customer.key_id, None)
    assert books.value(read_version, customer.key_id) == before


def test_a_key_that_already_stands_under_the_newest_hmac_too_enters_as_ever(books: Books) -> None:
    customer = make_customer(books)
    newest = hmac_of(f"newest {customer.key_id}")
    books.rows(ADD_SECRET, newest, customer.key_id, books.now())
    assert enter(books, customer.caller(key_hmacs=[newest, customer.key_hmac])) == (customer.key_id, None)
    assert sorted(secrets_of(customer)) == sorted([newest, customer.key_hmac])


def test_a_secret_that_another_call_is_moving_is_waited_for_by_nobody(books: Books) -> None:
    customer = make_customer(books)
    newest = hmac_of(f"newest {customer.key_id}")
    moving = customer.caller(key_hmacs=[newest, customer.key_hmac])
    with psycopg.connect(books.url) as other, books.owner.transaction():
        other.execute("select from gateway.key_secrets where key_id = %s for update", (customer.key_id,))
        books.rows("set local lock_timeout = '1s'")
        assert enter(books, moving) == (customer.key_id, None)
        assert secrets_of(customer) == [customer.key_hmac]
    assert enter(books, moving) == (customer.key_id, None)
    assert secrets_of(customer) == [newest]


@pytest.mark.parametrize("scope", [None, "models:read", "account:read", "keys:read", "history:read", "billing:write"])
def test_who_is_suspended_may_still_look_and_pay(books: Books, scope: str | None) -> None:
    customer = _suspended(books)
    assert enter(books, customer.caller(scope=scope)) == (customer.key_id, None)


@pytest.mark.parametrize("scope", ["inference", "account:write", "keys:write", "history:write", "read", "x:reader"])
def test_who_is_suspended_may_do_nothing_else(books: Books, scope: str) -> None:
    customer = _suspended(books)
    customer.set_key(scopes=[scope])
    assert enter(books, customer.caller(scope=scope))[1]["code"] == "account_suspended"


def _suspended(books: Books) -> Customer:
    customer = make_customer(books)
    customer.set_key(scopes=books.value("select gateway.user_scopes()"))
    set_account(customer, status="suspended")
    return customer


def test_a_route_that_asks_for_no_scope_lets_any_key_enter_but_by_its_other_rules(books: Books) -> None:
    customer = make_customer(books)
    customer.set_key(scopes=[])
    assert enter(books, customer.caller(scope=None)) == (customer.key_id, None)
    customer.set_key(ip_allowlist=["192.0.2.0/24"])
    assert enter(books, customer.caller(scope=None))[1]["code"] == "address_not_allowed"
    customer.set_key(ip_allowlist=None, allowed_domains=["app.example"])
    assert enter(books, customer.caller(scope=None))[1]["code"] == "domain_not_allowed"


def test_a_refusal_of_a_known_key_tells_its_limits(books: Books) -> None:
    customer = make_customer(books)
    key_id, refusal = enter(books, customer.caller(scope="keys:write"))
    assert (key_id, refusal["status"], refusal["numbers"]) == (customer.key_id, 403, {"scope": "keys:write"})
    assert refusal["policy"]["account_id"] == customer.account_id


def test_a_key_that_has_made_its_requests_may_still_look_and_be_managed(books: Books) -> None:
    customer = make_customer(books, credit=100)
    customer.set_key(max_requests=1, scopes=["inference", "account:read"])
    generation_id = customer.admitted(tokens=1)
    assert customer.admit(tokens=1)["code"] == "key_requests_exhausted"
    assert enter(books, customer.caller(scope="account:read")) == (customer.key_id, None)
    told = books.call("read_generation", caller=customer.caller(), generation_id=generation_id)
    assert told["verdict"] == "generation"


def test_entering_counts_nothing(books: Books) -> None:
    customer = make_customer(books)
    enter(books, customer.caller())
    assert customer.counted() == (0, 0, 0)
    assert books.value("select last_used_at from gateway.api_keys where id = %s", customer.key_id) is None


@pytest.mark.parametrize(
    "broken",
    [
        {"key_hmacs": []},
        {"key_hmacs": None},
        {"key_hmacs": [None]},
        {"key_hmacs": ["no hex"]},
        {"key_hmacs": ["00" * 31]},
        {"key_hmacs": ["00" * 32, "00"]},
    ],
)
def test_a_caller_without_its_hmacs_is_our_own_mistake(books: Books, broken: dict[str, object]) -> None:
    with pytest.raises(psycopg.errors.InvalidParameterValue):
        enter(books, {**make_customer(books).caller(), **broken})


@pytest.mark.parametrize("missing", ["key_hmacs", "scope"])
def test_a_caller_of_whom_a_part_is_not_said_is_our_own_mistake(books: Books, missing: str) -> None:
    caller = make_customer(books).caller()
    del caller[missing]
    with pytest.raises(psycopg.errors.InvalidParameterValue):
        enter(books, caller)


def test_a_key_is_known_to_the_limiter_by_all_its_secrets(books: Books) -> None:
    customer, other = make_customer(books), make_customer(books)
    newer = hmac_of(f"newer {customer.key_id}")
    books.rows(ADD_SECRET, newer, customer.key_id, books.now())
    of_one = books.value("select gateway.key_fingerprints(%s)", [customer.key_id])
    of_both = books.value("select gateway.key_fingerprints(%s)", [customer.key_id, other.key_id])
    assert of_one == sorted([customer.key_hmac, newer])
    assert of_both == sorted([*of_one, other.key_hmac])
    assert books.value("select gateway.key_fingerprints(array[0::bigint])") == []


def test_a_name_is_free_again_once_its_key_is_revoked(books: Books) -> None:
    customer = make_customer(books)
    (name,) = books.rows("select name from gateway.api_keys where id = %s", customer.key_id)[0]
    again = {"account_id": customer.account_id, "name": name, "environment": "live", "masked": "gw_…"}
    newer = hmac_of(f"again {name}")
    assert books.call("create_api_key", key_hmac=newer, **again) == {"key_id": customer.key_id}
    assert secrets_of(customer) == [newer]
    books.rows(MARK_REVOKED, books.now(), customer.key_id)
    assert books.call("create_api_key", key_hmac=hmac_of(f"third {name}"), **again)["key_id"] > customer.key_id


def test_a_key_is_registered_once_for_its_account_and_for_no_other(books: Books) -> None:
    owner, other = make_customer(books), make_customer(books)
    again = {"name": "again", "environment": "live", "masked": "gw_…", "key_hmac": owner.key_hmac}
    assert books.call("create_api_key", account_id=owner.account_id, **again) == {"key_id": owner.key_id}
    assert books.call("create_api_key", account_id=other.account_id, **again) is None
    assert secrets_of(owner) == [owner.key_hmac]


def test_a_keys_limits_are_told_before_anything_is_changed_and_nothing_is_counted(books: Books) -> None:
    customer = make_customer(books, credit=100)
    before = customer.counted()
    told = books.call("read_policy", caller=customer.caller())
    assert (told["verdict"], told["policy"]) == (
        "policy",
        books.value("select gateway.limits_policy(%s)", customer.key_id),
    )
    assert books.call("read_policy", caller=customer.caller(scope="keys:write"))["code"] == "missing_scope"
    assert books.call("read_policy", caller=caller_of(hmac_of("nobody at all"))) == UNKNOWN
    set_account(customer, status="suspended")
    assert books.call("read_policy", caller=customer.caller())["policy"] == told["policy"]
    assert customer.counted() == before
