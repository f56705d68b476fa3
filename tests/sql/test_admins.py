"""Who may operate the gateway, and that what he does is done once, one after the other, and written down."""

from typing import Any

import psycopg
import pytest

from shared.core.scopes import USER_SCOPES
from tests.sql.admins import LOCK_ADMINS, MAKE_ADMIN, OPERATOR, as_admin, events_since, last_event, make_admin
from tests.sql.books import Books
from tests.sql.customers import Customer, hmac_of
from tests.sql.gifts import delete_account
from tests.sql.key_owners import make_owner, receipt_of, refusal, session_of
from tests.sql.races import crowd_of

SET_STATUS = "update gateway.accounts set status = %s where id = %s"
READ_REFUSED = "select event from gateway.audit_log where account_id = %s and event like '%%refused'"
READ_WHEREABOUTS = "select host(address) from gateway.audit_log where actor = 'admin' and key_id = %s"
COUNT_RECEIPTS = "select count(*), count(sealed) from gateway.admin_receipts"
READS: dict[str, dict[str, Any]] = {
    "check_admin": {},
    "list_users": {"filter": {}, "limit": 10},
    "read_user": {"account_id": 1000},
    "read_switches": {},
    "read_monitor": {"from": None, "to": None},
}


@pytest.fixture
def admin(books: Books) -> Customer:
    return make_admin(books)


def _verdict(answer: Any) -> str:
    return str(answer["code"] if answer["verdict"] == "refused" else answer["verdict"])


def test_whoever_has_the_operators_key_and_a_person_whose_role_it_is_operate(books: Books, admin: Customer) -> None:
    told = books.call("check_admin", admin=OPERATOR)
    assert (told["verdict"], told["policy"]) == ("admin", None)
    told = books.call("check_admin", admin=as_admin(admin))
    assert (told["verdict"], told["policy"]["account_id"]) == ("admin", admin.account_id)


def test_who_is_signed_in_operates_as_his_keys_do(books: Books, admin: Customer) -> None:
    session = as_admin(admin, key_hmacs=[hmac_of(f"session {session_of(admin)}")])
    assert _verdict(books.call("check_admin", admin=session)) == "admin"


@pytest.mark.parametrize(
    "columns",
    [{"scopes": ["inference"]}, {"scopes": [*USER_SCOPES][1:]}, {"environment": "staging"}],
    ids=["inference", "all but one scope", "staging"],
)
def test_a_key_that_may_do_less_than_its_owner_does_not_operate(books: Books, columns: dict[str, Any]) -> None:
    admin = make_admin(books, **columns)
    assert refusal(books.call("check_admin", admin=as_admin(admin))) == (403, "admin_required", {})


@pytest.mark.parametrize("function", sorted(READS))
def test_nobody_else_is_told_anything_and_it_is_written_down(books: Books, function: str) -> None:
    owner = make_owner(books)
    for _ in range(2):
        answer = books.call(function, admin=as_admin(owner), **READS[function])
        assert refusal(answer) == (403, "admin_required", {})
        assert set(answer) == {"verdict", "status", "code", "numbers", "policy"}
    assert books.rows(READ_REFUSED, owner.account_id) == [("admin_refused",)]


@pytest.mark.parametrize("status", ["suspended", "deleted"])
def test_an_admin_who_is_suspended_or_gone_operates_nothing(books: Books, status: str) -> None:
    admin = make_admin(books)
    if status == "deleted":
        delete_account(admin)
    else:
        books.rows(SET_STATUS, status, admin.account_id)
    assert _verdict(books.call("check_admin", admin=as_admin(admin))) in {"admin_required", "invalid_api_key"}
    changed = books.call("set_switches", admin=as_admin(admin), changes={"is_inference_stopped": True})
    assert changed["verdict"] == "refused"
    assert books.call("read_switches", admin=OPERATOR)["switches"]["is_inference_stopped"] is False


def test_an_unknown_key_is_told_that_and_no_more(books: Books) -> None:
    answer = books.call(
        "check_admin", admin={**OPERATOR, "is_operator": False, "key_hmacs": [hmac_of("?")], "scope": None}
    )
    assert answer == {"verdict": "refused", "status": 401, "code": "invalid_api_key", "numbers": {}}


def test_what_says_neither_who_it_is_nor_that_it_is_the_operator_is_a_fault(books: Books) -> None:
    with pytest.raises(psycopg.errors.InvalidParameterValue):
        books.call("check_admin", admin={"address": None, "request_id": "req"})


def test_somebody_who_may_not_change_anything_takes_nobody_s_lock(books: Books) -> None:
    owner, other = make_owner(books), make_owner(books)
    with psycopg.connect(books.url) as holder:
        holder.execute("select from gateway.accounts where id = %s for update", (other.account_id,))
        answer = books.call(
            "update_user", admin=as_admin(owner), account_id=other.account_id, changes={"role": "admin"}
        )
    assert refusal(answer) == (403, "admin_required", {})


def test_a_change_that_comes_again_is_answered_as_the_first_time(books: Books, admin: Customer) -> None:
    other, before = make_owner(books), last_event(books)
    call = {"account_id": other.account_id, "changes": {"status": "suspended"}, "receipt": receipt_of("suspend")}
    first = books.call("update_user", admin=as_admin(admin), **call)
    books.rows(SET_STATUS, "active", other.account_id)
    again = books.call("update_user", admin=as_admin(admin), **call)
    assert (again.pop("is_replayed"), again.pop("sealed")) == (True, None)
    assert again == first
    assert books.value("select status from gateway.accounts where id = %s", other.account_id) == "active"
    assert len(events_since(books, before)) == 1


def test_a_key_of_one_admin_is_nothing_to_another(books: Books, admin: Customer) -> None:
    other, stranger = make_admin(books), make_owner(books)
    for who in (as_admin(admin), as_admin(other), OPERATOR):
        answer = books.call(
            "update_user",
            admin=who,
            account_id=stranger.account_id,
            changes={"name": "N"},
            receipt=receipt_of("same key", "same body"),
        )
        assert (answer["verdict"], "is_replayed" in answer) == ("user", False)


def test_the_same_key_for_something_else_is_refused(books: Books, admin: Customer) -> None:
    other = make_owner(books)
    for body, verdict in (("one", "user"), ("another", "idempotency_key_reused")):
        answer = books.call(
            "update_user",
            admin=as_admin(admin),
            account_id=other.account_id,
            changes={"name": body},
            receipt=receipt_of("reused", body),
        )
        assert _verdict(answer) == verdict


def test_receipts_and_what_is_sealed_in_them_are_erased_in_their_time(own_ledger: Books) -> None:
    books, other = own_ledger, make_owner(own_ledger)
    books.call(
        "update_user",
        admin=OPERATOR,
        account_id=other.account_id,
        changes={"name": "N"},
        receipt=receipt_of("erased", sealed="secret"),
    )
    assert books.rows(COUNT_RECEIPTS) == [(1, 1)]
    books.rows("update gateway.admin_receipts set sealed_until = now()")
    books.call("erase_answers")
    assert books.rows(COUNT_RECEIPTS) == [(1, 0)]
    books.rows("update gateway.admin_receipts set expires_at = now()")
    books.call("erase_answers")
    assert books.rows(COUNT_RECEIPTS) == [(0, 0)]


def test_where_an_admin_was_is_forgotten_with_his_account(books: Books) -> None:
    admin, other = make_admin(books), make_owner(books)
    make_admin(books)
    books.call(
        "update_user", admin=as_admin(admin, address="192.0.2.9"), account_id=other.account_id, changes={"name": "N"}
    )
    assert books.rows(READ_WHEREABOUTS, admin.key_id) == [("192.0.2.9",)]
    delete_account(admin)
    assert books.rows(READ_WHEREABOUTS, admin.key_id) == [(None,)]


def test_of_two_admins_who_take_each_other_s_role_at_once_one_stays(own_ledger: Books) -> None:
    books = own_ledger
    first, second = make_admin(books), make_admin(books)
    calls: list[tuple[str, dict[str, object]]] = [
        ("update_user", {"admin": as_admin(by), "account_id": of.account_id, "changes": {"role": "user"}})
        for by, of in ((first, second), (second, first))
    ]
    with crowd_of(books, 2) as crowd:
        answers = crowd.call_at_once(1, calls, lock=LOCK_ADMINS)
    assert sorted(map(_verdict, answers)) == ["admin_required", "user"]
    assert books.value("select count(*) from gateway.accounts where role = 'admin'") == 1


def test_the_last_admin_stays_one_and_active(own_ledger: Books) -> None:
    books = own_ledger
    admin, suspended = make_admin(books), make_owner(books)
    books.rows(MAKE_ADMIN, suspended.account_id)
    books.rows(SET_STATUS, "suspended", suspended.account_id)
    for who in (as_admin(admin), OPERATOR):
        for changes in ({"role": "user"}, {"status": "suspended"}):
            answer = books.call("update_user", admin=who, account_id=admin.account_id, changes=changes)
            assert refusal(answer) == (409, "last_admin", {})
    books.call("update_user", admin=OPERATOR, account_id=suspended.account_id, changes={"status": "active"})
    answer = books.call("update_user", admin=as_admin(admin), account_id=admin.account_id, changes={"role": "user"})
    assert answer["user"]["role"] == "user"
