"""Changes of keys that had to wait: whoever may no longer make them when their turn comes makes none."""

from typing import Any

import psycopg
import pytest

from tests.sql.books import Books, call
from tests.sql.customers import caller_of, hmac_of
from tests.sql.key_owners import (
    MadeKey,
    events,
    make_key,
    make_owner,
    new_secret,
    read,
    receipt_of,
    rotate,
    settings,
    update,
    writer,
)
from tests.sql.races import Call, answer_of_the_second

NAME_PERSON = "update gateway.accounts set privy_id = %s, external_id = null where id = %s"
READ_NAME = "select name from gateway.accounts where id = %s"
NEWEST_ACCOUNT = "select max(id) from gateway.accounts where privy_id = %s"


def _changes(by: MadeKey, target: MadeKey) -> dict[str, Call]:
    named: dict[str, object] = {"caller": by.caller(), "key_id": target.id}
    receipt = receipt_of("change", sealed="sealed")
    secret = new_secret()
    return {
        "create": ("create_key", {"caller": by.caller(), "key": settings(), "secret": secret, "receipt": receipt}),
        "update": ("update_key", {**named, "changes": {"name": "stolen"}}),
        "rotate": ("rotate_key", {**named, "secret": secret, "overlap_hours": 0, "receipt": receipt}),
        "collect": ("collect_key", {**named, "secret_ids": ["01020304"], "receipt": receipt}),
        "revoke": ("revoke_key", named),
    }


@pytest.mark.parametrize("change", ["create", "update", "rotate", "collect", "revoke"])
def test_a_key_that_is_revoked_while_its_change_waits_changes_nothing(books: Books, change: str) -> None:
    owner = make_owner(books)
    thief, target = make_key(owner, scopes=["keys:write", "inference"]), make_key(owner)
    function, arguments = _changes(thief, target)[change]
    before = read(target)
    answer = answer_of_the_second(
        books,
        lambda session: call(session, "revoke_key", caller=writer(owner), key_id=thief.id),
        lambda session: call(session, function, **arguments),
    )
    assert (answer["status"], answer["code"]) == (401, "invalid_api_key")
    assert read(target) == before
    assert target.admit() == "admitted"
    assert [event[0] for event in events(owner)] == ["key_created", "key_created", "key_revoked"]


def test_a_key_that_loses_its_scope_while_its_change_waits_changes_nothing(books: Books) -> None:
    owner = make_owner(books)
    limited, target = make_key(owner, scopes=["keys:write", "inference"]), make_key(owner)
    fewer = {"scopes": ["inference"]}
    answer = answer_of_the_second(
        books,
        lambda session: call(session, "update_key", caller=writer(owner), key_id=limited.id, changes=fewer),
        lambda session: call(session, "update_key", caller=limited.caller(), key_id=target.id, changes={"name": "x"}),
    )
    assert answer["code"] == "missing_scope"


def test_who_leaves_and_signs_in_again_while_his_change_waits_changes_neither_account(books: Books) -> None:
    owner = make_owner(books)
    privy_id = f"did:privy:back{owner.account_id}"
    session_hmac = hmac_of(privy_id)
    books.rows(NAME_PERSON, privy_id, owner.account_id)
    books.rows("select gateway.open_session(%s, %s)", owner.account_id, [session_hmac])

    def leave_and_come_back(session: psycopg.Connection) -> None:
        assert call(session, "delete_account", caller=owner.caller(scope="account:write"))
        first_key = {"name": "default", **new_secret()}
        call(
            session,
            "sign_in",
            person={"privy_id": privy_id},
            session_hmacs=[session_hmac],
            first_key=first_key,
            request={},
        )

    caller = caller_of(session_hmac, scope="account:write")
    answer = answer_of_the_second(
        books,
        leave_and_come_back,
        lambda session: call(session, "update_profile", caller=caller, changes={"name": "old wish"}),
    )
    assert (answer["status"], answer["code"]) == (401, "invalid_api_key")
    assert books.value(READ_NAME, books.value(NEWEST_ACCOUNT, privy_id)) is None
    assert books.call("update_profile", caller=caller, changes={"name": "new wish"})["verdict"] == "profile"


def _rotation_of_itself(key: MadeKey) -> dict[str, Any]:
    receipt = receipt_of("itself", sealed="sealed")
    return {"caller": key.caller(), "key_id": key.id, "secret": new_secret(), "overlap_hours": 0, "receipt": receipt}


def test_a_key_that_rotates_itself_is_answered_as_the_first_time_when_the_answer_was_lost(books: Books) -> None:
    owner = make_owner(books)
    key = make_key(owner, scopes=["keys:write", "inference"])
    asked = _rotation_of_itself(key)
    first, again = (books.call("rotate_key", **asked) for _ in range(2))
    assert first["fingerprints"] == [key.key_hmac]
    assert key.key_hmac in again["fingerprints"]
    assert [(each["verdict"], each["key"], each["policy"]) for each in (first, again)] == [
        ("key", first["key"], first["policy"])
    ] * 2
    assert MadeKey(owner, key.id, asked["secret"]["key_hmac"]).admit() == "admitted"
    assert [event[0] for event in events(owner)] == ["key_created", "key_rotated"]


def test_a_rotation_of_itself_that_is_asked_again_while_the_first_is_made_is_made_once(books: Books) -> None:
    owner = make_owner(books)
    key = make_key(owner, scopes=["keys:write"])
    asked = _rotation_of_itself(key)
    answer = answer_of_the_second(
        books,
        lambda session: call(session, "rotate_key", **asked),
        lambda session: call(session, "rotate_key", **asked),
    )
    assert (answer["verdict"], answer["key"]["id"]) == ("key", key.id)
    assert [event[0] for event in events(owner)] == ["key_created", "key_rotated"]


def test_another_secret_does_not_stand_in_for_a_lost_answer(books: Books) -> None:
    owner = make_owner(books)
    key, other = make_key(owner, scopes=["keys:write"]), make_key(owner)
    asked = _rotation_of_itself(key)
    assert books.call("rotate_key", **asked)["verdict"] == "key"
    for changed in ({"secret": new_secret()}, {"key_id": other.id}):
        assert books.call("rotate_key", **{**asked, **changed})["code"] == "invalid_api_key"
    update(key, is_active=False)
    rotate(key)
    assert books.call("rotate_key", **asked)["code"] == "invalid_api_key"
