"""Accounts as admins find, change and make them."""

from typing import Any

import pytest

from tests.sql.admins import LOCK_ADMINS, OPERATOR, as_admin, events_since, last_event, make_admin, provisioning
from tests.sql.books import Books
from tests.sql.customers import Customer, caller_of, hmac_of, make_customer
from tests.sql.gifts import delete_account, make_person
from tests.sql.key_owners import make_owner, new_secret, receipt_of, refusal
from tests.sql.races import crowd_of

READ_EVENTS = "select event, actor, address is null from gateway.audit_log where account_id = %s order by id"
READ_MAILS = "select template from gateway.outbox where account_id = %s order by created_at, template"
READ_KEY_EVENTS = """
    select event, subject from gateway.audit_log
     where account_id = %s and event in ('key_created', 'key_rotated') order by id
"""
FILL_KEYS = """
    insert into gateway.api_keys (account_id, name, environment, masked, scopes)
    select %s, 'key ' || number, 'live', 'gw_…', '{inference}' from generate_series(2, 500) as number
"""


def _find(books: Books, *, limit: int = 50, before: int | None = None, **filter_: Any) -> list[int]:
    answer = books.call("list_users", admin=OPERATOR, filter=filter_, limit=limit, before=before)
    assert answer["verdict"] == "users", answer
    return [user["id"] for user in answer["users"]]


def _read(books: Books, account_id: int) -> Any:
    return books.call("read_user", admin=OPERATOR, account_id=account_id).get("user")


def _change(books: Books, account_id: int, **changes: Any) -> Any:
    return books.call("update_user", admin=OPERATOR, account_id=account_id, changes=changes)


def _provision(books: Books, external_id: str | None = None, **other: Any) -> Any:
    return books.call("provision_user", admin=OPERATOR, **provisioning(external_id, **other))


def _name(books: Books, owner: Customer, **columns: Any) -> None:
    for column, value in columns.items():
        books.rows(f"update gateway.accounts set {column} = %s where id = %s", value, owner.account_id)


def test_accounts_are_listed_newest_first_a_page_at_a_time(own_ledger: Books) -> None:
    ids = [make_customer(own_ledger).account_id for _ in range(5)]
    assert _find(own_ledger) == ids[::-1]
    assert _find(own_ledger, limit=2) == ids[:2:-1]
    assert _find(own_ledger, limit=2, before=ids[3]) == [ids[2], ids[1]]
    assert _find(own_ledger, limit=9, before=ids[0]) == []


def test_an_account_is_found_by_how_its_address_name_or_external_id_begins(books: Books) -> None:
    owner, other = make_owner(books), make_owner(books)
    _name(books, owner, email="Ada@Example.com", name="Ada Lovelace", external_id="CRM-77_a", privy_id="did:privy:ada")
    _name(books, other, email="adam@example.com", name="Adam", external_id="CRM-770", privy_id="did:privy:adam")
    for search in ("ada@", "ADA@EXAMPLE.COM", "ada l", "crm-77_", "did:privy:ada"):
        assert _find(books, search=search) == [owner.account_id], search
    assert _find(books, search="ada") == [other.account_id, owner.account_id]
    for search in ("%", "_", "\\", "lovelace", "did:privy:", "crm-77%"):
        assert _find(books, search=search) == [], search


def test_what_is_asked_for_together_holds_together(books: Books) -> None:
    first, second = make_owner(books), make_owner(books)
    for owner in (first, second):
        _name(books, owner, name="Together")
    _change(books, first.account_id, status="suspended")
    assert _find(books, search="together", status="suspended") == [first.account_id]
    assert _find(books, search="together", status="active") == [second.account_id]
    assert _find(books, search="together", role="admin") == []
    assert _find(books, account_id=second.account_id, status="active") == [second.account_id]
    assert _find(books, account_id=second.account_id, status="suspended") == []
    assert _find(books, search="together", plan_id="no-such") == []


def test_an_account_is_told_as_the_ledger_has_it_now_whether_or_not_a_sweep_has_run(books: Books) -> None:
    owner = make_owner(books)
    owner.credit(500, kind="promo", expires_at=books.now().replace(year=books.now().year + 1))
    held = owner.admitted(tokens=300)
    told = _read(books, owner.account_id)
    assert (told["posted_nanos"], told["held_nanos"], told["available_nanos"]) == (10_500, 300, 10_200)
    assert (told["keys"], told["status"], told["role"], told["standing"]) == (1, "active", "user", "active")
    books.pass_time(minutes=5)
    told = _read(books, owner.account_id)
    assert told["held_nanos"] == 0
    owner.settle(held, 300)
    assert _read(books, owner.account_id)["posted_nanos"] == 10_200


def test_an_account_that_there_is_not_is_not_found(books: Books) -> None:
    for answer in (
        books.call("read_user", admin=OPERATOR, account_id=999),
        _change(books, 999, status="suspended"),
    ):
        assert refusal(answer) == (404, "user_not_found", {})


def test_who_is_suspended_may_look_and_asks_no_model_until_he_is_reinstated(books: Books) -> None:
    owner, before = make_owner(books), last_event(books)
    for _ in range(2):
        answer = _change(books, owner.account_id, status="suspended")
        assert answer["fingerprints"] == [owner.key_hmac]
    assert owner.admit(tokens=1)["code"] == "account_suspended"
    assert books.call("read_account_balance", caller=owner.caller(scope="account:read"))["verdict"] == "balance"
    _change(books, owner.account_id, status="active")
    assert owner.admit(tokens=1)["verdict"] == "admitted"
    assert [(event, account) for event, account, *_ in events_since(books, before)] == [
        ("account_suspended", owner.account_id),
        ("account_reinstated", owner.account_id),
    ]


def test_a_role_is_given_and_taken_by_an_admin_alone(books: Books) -> None:
    admin, owner, before = make_admin(books), make_owner(books), last_event(books)
    assert books.call("check_admin", admin=as_admin(owner))["verdict"] == "refused"
    answer = books.call("update_user", admin=as_admin(admin), account_id=owner.account_id, changes={"role": "admin"})
    assert answer["user"]["role"] == "admin"
    assert books.call("check_admin", admin=as_admin(owner))["verdict"] == "admin"
    books.call("update_user", admin=as_admin(owner), account_id=admin.account_id, changes={"role": "user"})
    assert books.call("check_admin", admin=as_admin(admin))["verdict"] == "refused"
    assert events_since(books, before) == [
        ("role_changed", owner.account_id, admin.key_id, None, {"from": "user", "to": "admin"}),
        ("role_changed", admin.account_id, owner.key_id, None, {"from": "admin", "to": "user"}),
    ]


def test_a_deleted_account_stays_as_it_is(books: Books) -> None:
    person = make_person(books)
    delete_account(person)
    for changes in ({"status": "active"}, {"role": "admin"}, {"name": "N"}):
        assert refusal(_change(books, person.account_id, **changes)) == (409, "account_deleted", {})
    assert _read(books, person.account_id)["status"] == "deleted"


def test_a_provisioned_account_works_with_its_first_key(books: Books) -> None:
    given = provisioning("customer 7", user={"email": "seven@example.com", "name": "Seven"})
    answer = books.call("provision_user", admin=OPERATOR, **given)
    user, key = answer["user"], answer["key"]
    assert (answer["verdict"], answer["is_new_user"]) == ("provisioned", True)
    assert (user["external_id"], user["email"], user["plan_id"], user["role"]) == (
        "customer 7", "seven@example.com", "free", "user",
    )  # fmt: skip
    assert (key["name"], key["environment"], key["scopes"]) == ("first key", "live", ["inference", "keys:write"])
    caller = caller_of(given["secret"]["key_hmac"], scope="inference")
    assert books.call("check_caller", caller=caller)["verdict"] == "policy"
    assert (
        books.call("read_key", caller=caller_of(given["secret"]["key_hmac"], scope=None), key_id=None)["key"]["id"]
        == key["id"]
    )
    assert books.rows(READ_EVENTS, user["id"]) == [("account_created", "admin", False), ("key_created", "admin", True)]
    assert books.rows(READ_MAILS, user["id"]) == [("welcome",)]
    assert books.broken_rules(user["id"]) == []


def test_the_same_external_id_again_is_the_same_account_without_its_key(books: Books) -> None:
    first = _provision(books, "again")
    again = _provision(books, "again", user={"plan_id": "team", "name": "Another"})
    assert (again["is_new_user"], again["key"], again["user"]["id"]) == (False, None, first["user"]["id"])
    assert (again["user"]["plan_id"], again["user"]["name"]) == ("free", None)
    assert books.value("select count(*) from gateway.api_keys where account_id = %s", first["user"]["id"]) == 1


def test_a_lost_key_is_replaced_where_that_is_asked_for(books: Books) -> None:
    given = provisioning("lost")
    first = books.call("provision_user", admin=OPERATOR, **given)
    secret = new_secret()
    again = books.call("provision_user", admin=OPERATOR, **{**given, "secret": secret}, is_key_replaced=True)
    assert (again["is_new_user"], again["key"]["id"]) == (False, first["key"]["id"])
    assert given["secret"]["key_hmac"] in again["fingerprints"]
    found = {
        hmac: books.call("check_caller", caller=caller_of(hmac))["verdict"]
        for hmac in (given["secret"]["key_hmac"], secret["key_hmac"])
    }
    assert found == {given["secret"]["key_hmac"]: "refused", secret["key_hmac"]: "policy"}


@pytest.mark.parametrize("other", [{"environment": "test"}, {"scopes": ["inference"]}, {"scopes": ["billing:read"]}])
def test_a_key_that_may_do_other_things_than_are_asked_for_is_not_replaced(
    books: Books, other: dict[str, object]
) -> None:
    external_id = f"differs {other}"
    given = provisioning(external_id)
    first = books.call("provision_user", admin=OPERATOR, **given)
    before = last_event(books)
    told = {"name": "first key", "environment": "live", "scopes": "inference, keys:write"}
    assert refusal(_provision(books, external_id, key=other, is_key_replaced=True)) == (409, "key_differs", told)
    assert events_since(books, before) == []
    caller = caller_of(given["secret"]["key_hmac"], scope="keys:write")
    assert books.call("check_caller", caller=caller)["verdict"] == "policy"
    turned = {"scopes": ["keys:write", "inference"]}
    assert _provision(books, external_id, key=turned, is_key_replaced=True)["key"]["id"] == first["key"]["id"]


@pytest.mark.parametrize(
    ("state", "columns"),
    [("switched off", "is_active = false"), ("expired", "expires_at = gateway.clock() - interval '1 minute'")],
)
def test_a_key_that_is_refused_everywhere_is_not_replaced(books: Books, state: str, columns: str) -> None:
    external_id = f"unused {state}"
    first = _provision(books, external_id)
    books.rows(f"update gateway.api_keys set {columns} where id = %s", first["key"]["id"])
    before = last_event(books)
    told = {"name": "first key", "state": state}
    assert refusal(_provision(books, external_id, is_key_replaced=True)) == (409, "key_not_active", told)
    assert events_since(books, before) == []
    other = {"name": "another key"}
    assert _provision(books, external_id, key=other, is_key_replaced=True)["key"]["name"] == "another key"


def test_a_key_of_another_name_is_one_more_and_is_written_down_as_that(books: Books) -> None:
    first = _provision(books, "one more", user={"email": "more@example.com"})
    added = _provision(books, "one more", key={"name": "another key", "environment": "test"}, is_key_replaced=True)
    assert (added["key"]["name"], added["key"]["environment"]) == ("another key", "test")
    replaced = _provision(books, "one more", is_key_replaced=True)
    events = books.rows(READ_KEY_EVENTS, first["user"]["id"])
    keys = (first["key"]["id"], added["key"]["id"], replaced["key"]["id"])
    assert keys[0] == keys[2]
    assert events == [
        (event, str(key_id)) for event, key_id in zip(("key_created", "key_created", "key_rotated"), keys, strict=True)
    ]
    assert books.rows(READ_MAILS, first["user"]["id"]) == [("key_created",), ("key_rotated",), ("welcome",)]


def test_an_account_that_has_all_the_keys_there_may_be_gets_no_other(books: Books) -> None:
    user = _provision(books, "many keys")["user"]
    books.rows(FILL_KEYS, user["id"])
    one_more = _provision(books, "many keys", key={"name": "one more"}, is_key_replaced=True)
    assert refusal(one_more) == (409, "too_many_keys", {"limit": 500})
    assert _provision(books, "many keys", is_key_replaced=True)["key"]["name"] == "first key"


def test_a_repeated_request_shows_the_sealed_key_for_a_while(books: Books) -> None:
    call = provisioning("replayed", receipt=receipt_of("provision", sealed="sealed key"))
    first = books.call("provision_user", admin=OPERATOR, **call)
    again = books.call("provision_user", admin=OPERATOR, **{**call, "secret": new_secret()})
    assert (again["is_replayed"], again["sealed"], again["key"]) == (True, "sealed key", first["key"])
    books.pass_time(minutes=11)
    again = books.call("provision_user", admin=OPERATOR, **{**call, "secret": new_secret()})
    assert (again["is_replayed"], again["sealed"], again["user"]["id"]) == (True, None, first["user"]["id"])


def test_an_unknown_plan_makes_nobody(books: Books) -> None:
    answer = _provision(books, "planless", user={"plan_id": "no-such"})
    assert refusal(answer) == (404, "unknown_plan", {"plan_id": "no-such"})
    assert _find(books, search="planless") == []


def test_of_many_who_make_the_same_account_at_once_one_makes_it(own_ledger: Books) -> None:
    calls: list[tuple[str, dict[str, object]]] = [
        ("provision_user", {"admin": OPERATOR, **provisioning("at once")}) for _ in range(10)
    ]
    with crowd_of(own_ledger, 10) as crowd:
        answers = crowd.call_at_once(1, calls, lock=LOCK_ADMINS)
    assert sorted(answer["is_new_user"] for answer in answers) == [False] * 9 + [True]
    assert len({answer["user"]["id"] for answer in answers}) == 1
    assert own_ledger.value("select count(*) from gateway.api_keys") == 1
    assert own_ledger.broken_rules() == []


@pytest.mark.parametrize("function", ["provision_user", "update_user"])
def test_nobody_makes_or_changes_accounts_who_is_no_admin(books: Books, function: str) -> None:
    owner = make_owner(books)
    arguments = (
        provisioning("by nobody")
        if function == "provision_user"
        else {"account_id": owner.account_id, "changes": {"role": "admin"}}
    )
    assert refusal(books.call(function, admin=as_admin(owner), **arguments)) == (403, "admin_required", {})
    assert _find(books, search="by nobody") == []
    assert _read(books, owner.account_id)["role"] == "user"
    unknown = books.call(function, admin=caller_of(hmac_of("nobody"), scope=None), **arguments)
    assert unknown["code"] == "invalid_api_key"
