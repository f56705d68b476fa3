"""Signing in, as the database does it: who someone is, is his Privy id and nothing else."""

import itertools
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb

from tests.sql.books import Books, call, connect_as_service
from tests.sql.customers import caller_of, hmac_of

_numbers = itertools.count(1)

READ_ACCOUNT = """
    select id, plan_id, status, email, email_normalised, signup_referral_code
      from gateway.accounts where privy_id = %s
"""
READ_KEYS = "select kind, name, environment, scopes from gateway.api_keys where account_id = %s order by id"
READ_SECRETS = """
    select key.kind, encode(secret.key_hmac, 'hex')
      from gateway.key_secrets as secret join gateway.api_keys as key on key.id = secret.key_id
     where key.account_id = %s order by secret.created_at, key.id
"""
READ_EVENTS = "select event from gateway.audit_log where account_id = %s order by id"
READ_RECEIPTS = "select result, sealed from gateway.receipts where account_id = %s"
COUNT_MADE = """
    select (select count(*) from gateway.accounts), (select count(*) from gateway.wallets),
           (select count(*) from gateway.quota_usage)
"""
DELETE_SECRETS = """
    delete from gateway.key_secrets where key_id in (select id from gateway.api_keys where account_id = %s)
"""
DELETE_ACCOUNT = """
    update gateway.accounts set status = 'deleted', privy_id = null, email = null, email_normalised = null where id = %s
"""
USER_SCOPES = "select gateway.user_scopes()"


class Someone:
    """A person, and the requests with which he signs in."""

    def __init__(self, books: Books, *, email: str | None = None) -> None:
        number = next(_numbers)
        self.books = books
        self.privy_id = f"did:privy:person{number}"
        self.email = email
        self.session_hmacs = [hmac_of(f"session {number}")]

    def sign_in(self, **other: object) -> Any:
        """Sign in by a request of its own."""
        return self.books.call("sign_in", **self.request(**other))

    def request(self, *, key: object = None, receipt: object = None, **person: object) -> dict[str, object]:
        """Return one request's arguments; key: what its first key is found by."""
        name = str(key or f"key {next(_numbers)}")
        email = person.get("email", self.email)
        return {
            "person": {
                "privy_id": self.privy_id,
                "email": email,
                "email_normalised": email,
                "referral_code": None,
                **person,
            },
            "session_hmacs": self.session_hmacs,
            "first_key": {"name": "First key", "key_hmac": hmac_of(name), "masked": "gw_live_ab12…wxyz"},
            "request": {"address": "203.0.113.7", "request_id": "req_1", "receipt": receipt},
        }

    @property
    def account(self) -> tuple[Any, ...]:
        """Return id, plan, status, e-mail, mailbox and referral code of his account."""
        (row,) = self.books.rows(READ_ACCOUNT, self.privy_id)
        return row

    @property
    def events(self) -> list[str]:
        """Return what the audit log says of his account."""
        return [event for (event,) in self.books.rows(READ_EVENTS, self.account[0])]


def receipt_of(key: str, body: str = "body", sealed: str | None = "sealed secret") -> dict[str, object]:
    return {"key_hmacs": [hmac_of(key)], "body_hmacs": [hmac_of(body)], "route": "POST /auth/privy", "sealed": sealed}


def test_someone_new_gets_an_account_a_wallet_a_first_key_and_a_session(books: Books) -> None:
    before = books.rows(COUNT_MADE)[0]
    someone = Someone(books, email="ada@example.com")
    answer = someone.sign_in(key="ada's key", referral_code="REF-1")
    account_id = someone.account[0]
    assert (answer["verdict"], answer["is_new_user"], answer["user"]["id"]) == ("signed_in", True, account_id)
    assert answer["user"]["email"] == "ada@example.com"
    assert answer["policy"]["account_id"] == account_id
    assert someone.account[1:] == ("free", "active", "ada@example.com", "ada@example.com", "REF-1")
    scopes = books.value(USER_SCOPES)
    assert books.rows(READ_KEYS, account_id) == [
        ("secret", "First key", "live", scopes),
        ("session", "session", "live", scopes),
    ]
    assert set(books.rows(READ_SECRETS, account_id)) == {
        ("secret", hmac_of("ada's key")),
        ("session", someone.session_hmacs[0]),
    }
    assert books.rows(COUNT_MADE)[0] == tuple(count + 1 for count in before)
    assert someone.events == ["account_created", "key_created", "user_signed_in"]
    assert books.broken_rules(account_id) == []


def test_who_comes_again_finds_his_account_and_gets_no_key(books: Books) -> None:
    someone = Someone(books)
    first, again = someone.sign_in(), someone.sign_in(key="a second first key")
    assert first["user"] == again["user"]
    assert again["is_new_user"] is False
    assert len(books.rows(READ_KEYS, someone.account[0])) == 2
    assert ("secret", hmac_of("a second first key")) not in books.rows(READ_SECRETS, someone.account[0])
    assert someone.events[-2:] == ["user_signed_in", "user_signed_in"]


def test_two_people_with_one_address_are_two_accounts(books: Books) -> None:
    one, other = Someone(books, email="shared@example.com"), Someone(books, email="shared@example.com")
    assert one.sign_in()["user"]["id"] != other.sign_in()["user"]["id"]
    assert one.sign_in()["user"]["id"] == one.account[0]


def test_a_new_address_is_taken_over_and_no_address_leaves_the_old_one(books: Books) -> None:
    someone = Someone(books, email="old@example.com")
    someone.sign_in()
    assert someone.sign_in(email=None)["user"]["email"] == "old@example.com"
    assert "profile_updated" not in someone.events
    answer = someone.sign_in(email="new@example.com", email_normalised="n@example.com")
    assert answer["user"]["email"] == "new@example.com"
    assert someone.account[3:5] == ("new@example.com", "n@example.com")
    assert someone.events.count("profile_updated") == 1
    log = books.value("select string_agg(audit_log::text, ' ') from gateway.audit_log")
    assert "@" not in log


def test_a_referral_code_counts_at_the_first_sign_in_only(books: Books) -> None:
    someone = Someone(books)
    someone.sign_in()
    someone.sign_in(referral_code="LATER")
    assert someone.account[5] is None


def test_the_audit_log_says_from_where_and_in_which_request(books: Books) -> None:
    someone = Someone(books)
    someone.sign_in()
    rows = books.rows(
        "select actor, host(address), request_id from gateway.audit_log where account_id = %s", someone.account[0]
    )
    assert rows == [("user", "203.0.113.7", "req_1")] * 3


def test_an_address_that_is_none_does_not_keep_anyone_out(books: Books) -> None:
    request = Someone(books).request()
    request["request"] = {"address": "somewhere", "request_id": "req_1", "receipt": None}
    assert books.call("sign_in", **request)["verdict"] == "signed_in"


def test_who_is_suspended_may_sign_in_and_sees_it(books: Books) -> None:
    someone = Someone(books)
    someone.sign_in()
    books.rows("update gateway.accounts set status = 'suspended' where id = %s", someone.account[0])
    assert someone.sign_in()["user"]["status"] == "suspended"


def test_who_signs_in_after_his_account_was_deleted_is_someone_new(books: Books) -> None:
    someone = Someone(books)
    first = someone.sign_in()["user"]["id"]
    books.rows(DELETE_SECRETS, first)
    books.rows(DELETE_ACCOUNT, first)
    answer = someone.sign_in()
    assert answer["is_new_user"] is True
    assert answer["user"]["id"] != first


def test_a_deleted_account_keeps_nothing_of_the_person(books: Books) -> None:
    someone = Someone(books, email="left@example.com")
    someone.sign_in()
    with pytest.raises(psycopg.errors.CheckViolation):
        books.rows("update gateway.accounts set status = 'deleted' where id = %s", someone.account[0])


def test_a_session_may_do_all_that_a_person_may(books: Books) -> None:
    someone = Someone(books)
    someone.sign_in()
    for scope in (*books.value(USER_SCOPES), None):
        refusal = books.value(
            "select refusal from gateway.enter(%s::jsonb)",
            Jsonb(caller_of(*someone.session_hmacs, scope=scope)),
        )
        assert refusal is None, scope


def test_a_session_under_an_older_secret_of_ours_is_the_same_and_one_whose_secret_is_gone_is_made_again(
    books: Books,
) -> None:
    someone = Someone(books)
    someone.sign_in()
    keys = books.rows(READ_KEYS, someone.account[0])
    someone.session_hmacs = [hmac_of("newer"), *someone.session_hmacs]
    someone.sign_in()
    assert len([kind for kind, _ in books.rows(READ_SECRETS, someone.account[0]) if kind == "session"]) == 1
    someone.session_hmacs = [hmac_of("newest of all")]
    someone.sign_in()
    assert ("session", hmac_of("newest of all")) in books.rows(READ_SECRETS, someone.account[0])
    assert books.rows(READ_KEYS, someone.account[0]) == keys


def test_our_own_second_attempt_answers_as_the_first(books: Books) -> None:
    someone = Someone(books)
    request = someone.request()
    first, second = books.call("sign_in", **request), books.call("sign_in", **request)
    assert first == second
    assert first["is_new_user"] is True
    assert someone.events == ["account_created", "key_created", "user_signed_in"]


def test_an_idempotency_key_gives_the_first_answer_again_with_the_secret_for_ten_minutes(books: Books) -> None:
    someone = Someone(books, email="ada@example.com")
    first = someone.sign_in(receipt=receipt_of("i-1"))
    again = someone.sign_in(receipt=receipt_of("i-1", sealed="another secret"))
    assert again == {**first, "is_replayed": True, "sealed": "sealed secret"}
    books.pass_time(minutes=11)
    late = someone.sign_in(receipt=receipt_of("i-1", sealed="another secret"))
    assert late == {**first, "is_replayed": True, "sealed": None}
    assert someone.events.count("user_signed_in") == 1
    ((result, _),) = books.rows(READ_RECEIPTS, someone.account[0])
    assert result == {"is_new_user": True}


def test_an_idempotency_key_with_another_body_is_refused(books: Books) -> None:
    someone = Someone(books)
    someone.sign_in(receipt=receipt_of("i-2"))
    refused = someone.sign_in(receipt=receipt_of("i-2", body="another"))
    assert (refused["verdict"], refused["status"], refused["code"]) == ("refused", 409, "idempotency_key_reused")


def test_nothing_is_sealed_for_someone_who_gets_no_key(books: Books) -> None:
    someone = Someone(books)
    someone.sign_in()
    someone.sign_in(receipt=receipt_of("i-3", sealed="a secret of no key"))
    assert books.rows(READ_RECEIPTS, someone.account[0]) == [({"is_new_user": False}, None)]


def test_nobody_signs_in_without_a_name_a_session_or_a_key(books: Books) -> None:
    before = books.rows(COUNT_MADE)
    for part in ("person", "session_hmacs", "first_key"):
        request = Someone(books).request()
        request[part] = [] if part == "session_hmacs" else {}
        with pytest.raises(psycopg.Error):
            books.call("sign_in", **request)
    for privy_id in ("ada", "did:privy:", "did:privy:a b", "did:web:ada"):
        with pytest.raises(psycopg.errors.CheckViolation):
            Someone(books).sign_in(privy_id=privy_id)
    assert books.rows(COUNT_MADE) == before


@contextmanager
def _nobody_moves(books: Books) -> Iterator[None]:
    """Have everyone wait at the accounts until the block ends."""
    with psycopg.connect(books.url) as gate:
        gate.execute("lock table gateway.accounts in access exclusive mode")
        yield


def _wait_until_waiting(books: Books, count: int) -> None:
    waiting = "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
    for _ in range(500):
        if books.value(waiting) == count:
            return
        books.rows("select pg_sleep(0.02)")
    raise TimeoutError(f"not all {count} came to wait")


def _at_once(books: Books, requests: list[dict[str, object]]) -> list[Any]:
    sessions = [connect_as_service(books.url) for _ in requests]
    try:
        with ThreadPoolExecutor(len(requests)) as threads:
            with _nobody_moves(books):
                answers = [
                    threads.submit(call, session, "sign_in", **request)
                    for session, request in zip(sessions, requests, strict=True)
                ]
                _wait_until_waiting(books, len(requests))
            return [answer.result(30) for answer in answers]
    finally:
        for session in sessions:
            session.close()


def test_20_first_sign_ins_at_once_make_one_account_and_one_of_them_gets_its_key(own_ledger: Books) -> None:
    for _ in range(5):
        someone = Someone(own_ledger, email="ada@example.com")
        requests = [someone.request(key=f"{someone.privy_id} {number}") for number in range(20)]
        answers = _at_once(own_ledger, requests)
        assert {answer["user"]["id"] for answer in answers} == {someone.account[0]}
        (winner,) = [number for number, answer in enumerate(answers) if answer["is_new_user"]]
        secrets = own_ledger.rows(READ_SECRETS, someone.account[0])
        assert ("secret", hmac_of(f"{someone.privy_id} {winner}")) in secrets
        assert len(secrets) == 2
        assert someone.events == ["account_created", "key_created", *["user_signed_in"] * 20]


def test_many_people_at_once_with_one_address_do_not_meet(own_ledger: Books) -> None:
    people = [Someone(own_ledger, email="shared@example.com") for _ in range(20)]
    answers = _at_once(own_ledger, [person.request() for person in people])
    assert [answer["is_new_user"] for answer in answers] == [True] * 20
    assert len({answer["user"]["id"] for answer in answers}) == 20


def test_who_signs_in_while_his_account_is_being_deleted_is_someone_new(own_ledger: Books) -> None:
    someone = Someone(own_ledger)
    first = someone.sign_in()["user"]["id"]
    with ThreadPoolExecutor(1) as thread, psycopg.connect(own_ledger.url) as deletion:
        deletion.execute(DELETE_SECRETS.encode(), (first,))
        deletion.execute(DELETE_ACCOUNT.encode(), (first,))
        answer = thread.submit(someone.sign_in)
        _wait_until_waiting(own_ledger, 1)
        deletion.commit()
        assert answer.result(30)["is_new_user"] is True
    assert own_ledger.rows(READ_SECRETS, first) == []
    assert someone.account[0] != first
