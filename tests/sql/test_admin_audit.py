"""The audit log and the books, as admins read them."""

from typing import Any

from tests.sql.admins import OPERATOR, as_admin, last_event, make_admin
from tests.sql.books import Books
from tests.sql.customers import make_customer
from tests.sql.key_owners import make_key, make_owner, refusal


def _list(books: Books, *, limit: int = 100, before: int | None = None, **filter_: Any) -> list[Any]:
    answer = books.call("list_audit", admin=OPERATOR, filter=filter_, limit=limit, before=before)
    assert answer["verdict"] == "audit", answer
    return list(answer["lines"])


def test_every_line_is_listed_newest_first_a_page_at_a_time(books: Books) -> None:
    owner, before = make_owner(books), last_event(books)
    for _ in range(3):
        make_key(owner)
    ids = [line["id"] for line in _list(books)]
    assert ids == sorted(ids, reverse=True)
    assert [line["event"] for line in _list(books) if line["id"] > before] == ["key_created"] * 3
    first = _list(books, limit=2)
    assert [line["id"] for line in _list(books, limit=2, before=first[-1]["id"])] == ids[2:4]


def test_lines_are_found_by_whose_they_are_who_did_it_what_and_when(books: Books) -> None:
    admin, owner = make_admin(books), make_owner(books)
    make_key(owner)
    books.pass_time(hours=1)
    change = {"account_id": owner.account_id, "changes": {"status": "suspended"}}
    books.call("update_user", admin=as_admin(admin, address="192.0.2.1"), **change)
    of_owner = [line["event"] for line in _list(books, account_id=owner.account_id)]
    assert of_owner[:2] == ["account_suspended", "key_created"]
    (line,) = _list(books, account_id=owner.account_id, actor="admin", event="account_suspended")
    assert (line["actor_account_id"], line["key_id"], line["address"]) == (admin.account_id, admin.key_id, "192.0.2.1")
    now = books.now().isoformat()
    assert [line["event"] for line in _list(books, account_id=owner.account_id, from_at=now)] == ["account_suspended"]
    assert "account_suspended" not in [line["event"] for line in _list(books, account_id=owner.account_id, to_at=now)]


def test_books_that_balance_say_so_and_others_what_does_not(own_ledger: Books) -> None:
    books, customer, other = own_ledger, make_customer(own_ledger, credit=100), make_customer(own_ledger, credit=100)
    told = books.call("check_ledger", admin=OPERATOR)
    assert (told["broken"], told["broken_count"]) == ([], 0)
    books.rows("update gateway.wallets set posted_nanos = 99 where account_id = %s", customer.account_id)
    told = books.call("check_ledger", admin=OPERATOR)
    assert told["broken_count"] == len(told["broken"]) > 1
    assert str(customer.account_id) in {broken["subject"] for broken in told["broken"]}
    assert len(books.call("check_ledger", admin=OPERATOR, limit=1)["broken"]) == 1
    assert books.call("check_ledger", admin=OPERATOR, account_id=other.account_id)["broken"] == []
    assert books.call("check_ledger", admin=OPERATOR, account_id=customer.account_id)["broken_count"] > 0
    unknown = books.call("check_ledger", admin=OPERATOR, account_id=999)
    assert refusal(unknown) == (404, "user_not_found", {})


def test_who_is_no_admin_reads_neither(books: Books) -> None:
    owner = as_admin(make_owner(books))
    assert refusal(books.call("list_audit", admin=owner, filter={}, limit=5)) == (403, "admin_required", {})
    assert refusal(books.call("check_ledger", admin=owner)) == (403, "admin_required", {})
