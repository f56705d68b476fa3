"""The last admin stays one, whoever leaves or becomes one at the same time."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import psycopg
import pytest

from tests.sql.admins import LOCK_ADMINS, OPERATOR, as_admin, make_admin
from tests.sql.books import Books, call
from tests.sql.customers import Customer
from tests.sql.key_owners import make_owner, refusal
from tests.sql.races import PATIENCE_S, crowd_of, wait_until_waiting

COUNT_ADMINS = "select count(*) from gateway.accounts where role = 'admin' and status = 'active'"


def _leave(owner: Customer) -> Any:
    return owner.books.call("delete_account", caller=owner.caller(scope="account:write"))


def test_the_last_admin_deletes_his_account_only_after_somebody_else_is_one(own_ledger: Books) -> None:
    admin = make_admin(own_ledger)
    assert refusal(_leave(admin)) == (409, "last_admin", {})
    assert own_ledger.call("check_admin", admin=as_admin(admin))["verdict"] == "admin"
    other = make_admin(own_ledger)
    assert _leave(admin)["verdict"] == "deleted"
    assert refusal(_leave(other)) == (409, "last_admin", {})
    assert _leave(make_owner(own_ledger))["verdict"] == "deleted"


def test_of_admins_who_leave_at_once_one_stays(own_ledger: Books) -> None:
    admins = [make_admin(own_ledger) for _ in range(6)]
    calls: list[tuple[str, dict[str, object]]] = [
        ("delete_account", {"caller": admin.caller(scope="account:write")}) for admin in admins
    ]
    with crowd_of(own_ledger, 6) as crowd:
        answers = crowd.call_at_once(1, calls, lock=LOCK_ADMINS)
    assert sorted(answer["verdict"] for answer in answers) == ["deleted"] * 5 + ["refused"]
    assert own_ledger.value(COUNT_ADMINS) == 1


@pytest.mark.parametrize("is_admin_s_turn", [True, False])
def test_who_is_made_an_admin_while_he_leaves_leaves_as_one(own_ledger: Books, is_admin_s_turn: bool) -> None:
    books, admin, person = own_ledger, make_admin(own_ledger), make_owner(own_ledger)
    leaving = {"caller": person.caller(scope="account:write")}
    with ThreadPoolExecutor(2) as threads, ExitStack() as stack:
        maker, leaver, other = (stack.enter_context(psycopg.connect(books.url)) for _ in range(3))
        call(maker, "update_user", admin=OPERATOR, account_id=person.account_id, changes={"role": "admin"})
        left = threads.submit(call, leaver, "delete_account", **leaving)
        wait_until_waiting(books, 1)
        if is_admin_s_turn:
            # The lock of admins is another's again before he has his account's.
            waiting = threads.submit(call, other, "delete_account", caller=admin.caller(scope="account:write"))
            wait_until_waiting(books, 2)
            maker.commit()
            assert waiting.result(PATIENCE_S)["verdict"] == "deleted"
            with pytest.raises(psycopg.errors.LockNotAvailable):
                left.result(PATIENCE_S)
            other.commit()
        else:
            maker.commit()
            assert left.result(PATIENCE_S)["verdict"] == "deleted"
            waiting = threads.submit(call, other, "delete_account", caller=admin.caller(scope="account:write"))
            wait_until_waiting(books, 1)
            leaver.commit()
            assert refusal(waiting.result(PATIENCE_S)) == (409, "last_admin", {})
    assert books.value(COUNT_ADMINS) == 1
