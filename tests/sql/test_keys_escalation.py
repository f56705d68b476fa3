"""Nobody makes, changes or takes over a key that may do more than his own, or that is another's."""

from typing import Any

import psycopg
import pytest

from tests.sql.books import Books
from tests.sql.claims import set_account
from tests.sql.customers import caller_of, hmac_of
from tests.sql.key_owners import (
    MadeKey,
    create,
    events,
    make_key,
    make_owner,
    new_secret,
    read,
    reader,
    receipt_of,
    refusal,
    revoke,
    rotate,
    session_of,
    update,
    writer,
)


@pytest.mark.parametrize("scope", ["billing:write", "inference", "account:write"])
def test_a_key_gives_no_scope_that_it_lacks(books: Books, scope: str) -> None:
    owner = make_owner(books)
    limited = make_key(owner, scopes=["keys:write", "keys:read"])
    assert refusal(create(owner, by=limited, scopes=["keys:read", scope])) == (
        403,
        "key_exceeds_yours",
        {"scope": scope},
    )
    assert create(owner, by=limited, scopes=["keys:read"])["verdict"] == "key"
    own = make_key(owner, scopes=["keys:read"])
    assert refusal(update(own, by=limited, scopes=["keys:read", scope]))[1] == "key_exceeds_yours"
    assert read(own)["scopes"] == ["keys:read"]


def test_a_key_gives_itself_no_scope(books: Books) -> None:
    owner = make_owner(books)
    limited = make_key(owner, scopes=["keys:write"])
    assert refusal(update(limited, by=limited, scopes=["keys:write", "inference"]))[2] == {"scope": "inference"}
    assert limited.admit() == "missing_scope"


def test_a_key_with_more_scopes_is_not_changed_but_may_be_ended(books: Books) -> None:
    owner = make_owner(books)
    limited, richer = make_key(owner, scopes=["keys:write"]), make_key(owner, scopes=["inference"])
    assert refusal(update(richer, by=limited, is_active=False))[1] == "key_exceeds_yours"
    # Not even where it would have less afterwards: its other rules could be lifted with the same change.
    assert refusal(update(richer, by=limited, scopes=["keys:write"]))[1] == "key_exceeds_yours"
    assert richer.admit() == "admitted"
    assert revoke(richer, by=limited)["verdict"] == "revoked"


@pytest.mark.parametrize(
    ("own", "other", "is_allowed"),
    [
        ("live", "live", True), ("live", "staging", True), ("live", "test", True),
        ("staging", "live", False), ("staging", "staging", True), ("staging", "development", True),
        ("development", "staging", True), ("development", "test", True), ("development", "live", False),
        ("test", "test", True), ("test", "development", False), ("test", "staging", False), ("test", "live", False),
    ],
)  # fmt: skip
def test_a_key_makes_changes_and_ends_only_keys_that_spend_no_more(
    books: Books, own: str, other: str, is_allowed: bool
) -> None:
    owner = make_owner(books)
    by = make_key(owner, scopes=["keys:write", "inference"], environment=own)
    made, target = create(owner, by=by, environment=other), make_key(owner, environment=other)
    answers = [made, update(target, by=by, max_requests=9), revoke(target, by=by)]
    if is_allowed:
        assert [answer["verdict"] for answer in answers] == ["key", "key", "revoked"]
    else:
        assert [refusal(answer) for answer in answers] == [(403, "key_exceeds_yours", {"environment": other})] * 3
        assert (read(target)["max_requests"], read(target)["is_active"]) == (None, True)


@pytest.mark.parametrize("function", ["read_key", "update_key", "rotate_key", "collect_key", "revoke_key"])
def test_another_accounts_key_answers_like_none(books: Books, function: str) -> None:
    owner, stranger = make_owner(books), make_owner(books)
    key, hidden = make_key(owner), session_of(stranger)
    revoked = make_key(stranger)
    revoke(revoked)
    arguments: dict[str, dict[str, object]] = {
        "update_key": {"changes": {"is_active": False}},
        "rotate_key": {"secret": new_secret(), "overlap_hours": 0, "receipt": None},
        "collect_key": {"secret_ids": [], "receipt": None},
    }
    more = arguments.get(function, {})
    caller = reader(stranger) if function == "read_key" else writer(stranger)
    numbers = [key.id, 999_999_999, hidden] + ([revoked.id] if function != "revoke_key" else [])
    for key_id in numbers:
        answer = books.call(function, caller=caller, key_id=key_id, **more)
        assert refusal(answer) == (404, "key_not_found", {}), key_id
    assert key.admit() == "admitted"


@pytest.mark.parametrize("column", ["id", "account_id", "kind", "spent_nanos", "requests_used", "revoked_at", "masked"])
def test_a_change_reaches_nothing_but_settings(books: Books, column: str) -> None:
    key = make_key(make_owner(books))
    with pytest.raises(psycopg.errors.InvalidParameterValue):
        update(key, **{column: None})


def test_a_replay_shows_no_secret_to_a_key_that_could_not_have_made_it(books: Books) -> None:
    owner = make_owner(books)
    limited = make_key(owner, scopes=["keys:write"])
    create(owner, receipt=receipt_of("mine", sealed="sealed secret"))
    assert "sealed" not in create(owner, by=limited, receipt=receipt_of("mine"))


def test_a_replay_shows_no_secret_to_a_key_that_could_not_take_the_key_over_by_now(books: Books) -> None:
    owner = make_owner(books)
    limited = make_key(owner, scopes=["keys:write", "inference"])
    asked: dict[str, Any] = {"name": "deploy", "receipt": receipt_of("deploy", sealed="sealed secret")}
    made = MadeKey(owner, create(owner, **asked)["key"]["id"], "")
    assert create(owner, by=limited, **asked)["sealed"] == "sealed secret"
    update(made, scopes=["inference", "billing:write"])
    assert refusal(create(owner, by=limited, **asked)) == (403, "key_exceeds_yours", {"scope": "billing:write"})
    assert create(owner, **asked)["sealed"] == "sealed secret"


@pytest.mark.parametrize("end", ["revoked", "rotated", "rotated, and over"])
def test_a_replay_shows_no_secret_that_is_gone(books: Books, end: str) -> None:
    owner = make_owner(books)
    asked: dict[str, Any] = {"name": f"was {end}", "receipt": receipt_of(end, sealed="sealed secret")}
    made = MadeKey(owner, create(owner, **asked)["key"]["id"], "")
    if end == "revoked":
        revoke(made)
    elif end == "rotated":
        rotate(made)
    else:
        rotate(made, overlap_hours=1)
        assert create(owner, **asked)["sealed"] == "sealed secret"
        books.rows("update gateway.key_secrets set expires_at = %s where key_id = %s and expires_at is not null",
                   books.now(), made.id)  # fmt: skip
    replay = create(owner, **asked)
    assert (replay["is_replayed"], replay["key"]["id"], replay["sealed"]) == (True, made.id, None)
    assert "secret_id" not in replay


def test_a_secret_that_has_moved_to_our_newest_is_shown_again(books: Books) -> None:
    owner, secret = make_owner(books), new_secret()
    asked: dict[str, Any] = {"receipt": receipt_of("moved", sealed="sealed secret")}
    create(owner, secret=secret, **asked)
    caller = caller_of(hmac_of(f"newest {secret['key_hmac']}"), secret["key_hmac"], scope=None)
    assert books.call("read_policy", caller=caller)["verdict"] == "policy"
    assert create(owner, **asked)["sealed"] == "sealed secret"


def test_a_suspended_owner_ends_a_key_and_changes_none(books: Books) -> None:
    owner = make_owner(books)
    leaked = make_key(owner)
    set_account(owner, status="suspended")
    assert refusal(create(owner))[1] == refusal(update(leaked, max_requests=1))[1] == "account_suspended"
    assert refusal(rotate(leaked))[1] == "account_suspended"
    assert revoke(leaked)["verdict"] == "revoked"
    assert read(leaked)["code"] == "key_not_found"
    assert events(owner)[-1][0] == "key_revoked"


@pytest.mark.parametrize(
    ("rule", "code"),
    [
        ({"scopes": ["inference"]}, "missing_scope"),
        ({"ip_allowlist": ["192.0.2.0/24"]}, "address_not_allowed"),
        ({"allowed_domains": ["app.example"]}, "domain_not_allowed"),
    ],
)
def test_suspension_opens_no_other_way_to_end_a_key(books: Books, rule: dict[str, Any], code: str) -> None:
    owner = make_owner(books)
    target = make_key(owner)
    owner.set_key(**rule)
    set_account(owner, status="suspended")
    assert refusal(revoke(target))[1] == code
