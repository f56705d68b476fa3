"""A key's secrets follow each other: by hand with an overlap, and by themselves when their time has come."""

from datetime import timedelta
from typing import Any

import pytest

from tests.sql.books import Books
from tests.sql.key_owners import (
    MadeKey,
    events,
    make_key,
    make_owner,
    new_secret,
    read,
    receipt_of,
    revoke,
    rotate,
    update,
    writer,
)
from tests.sql.races import crowd_of

WEEK_H = 168
# The name of the secret of ours that rotations by schedule seal under.
SECRET_ID = "01020304"
LOCK_KEYS = "select from gateway.api_keys where account_id = %s for no key update"


def test_a_rotation_without_overlap_ends_the_old_secret_at_once(books: Books) -> None:
    key = make_key(make_owner(books), max_requests=9)
    before = read(key)
    answer = rotate(key)
    assert answer["fingerprints"] == [key.key_hmac]
    assert answer["key"] == before
    assert key.admit() == "invalid_api_key"
    assert MadeKey(key.owner, key.id, answer["key_hmac"]).admit() == "admitted"


@pytest.mark.parametrize("hours", [1, WEEK_H])
def test_an_old_secret_works_exactly_through_its_overlap(books: Books, hours: int) -> None:
    key = make_key(make_owner(books))
    new = MadeKey(key.owner, key.id, rotate(key, overlap_hours=hours)["key_hmac"])
    ends_at = books.now() + timedelta(hours=hours)
    assert read(key)["old_secrets_until"] == ends_at.isoformat()
    books.set_time(ends_at - timedelta(microseconds=1))
    assert [key.admit(), new.admit()] == ["admitted", "admitted"]
    books.set_time(ends_at)
    assert [key.admit(), new.admit()] == ["invalid_api_key", "admitted"]
    assert read(key)["old_secrets_until"] is None


def test_the_old_and_the_new_secret_count_against_the_same_limits(books: Books) -> None:
    key = make_key(make_owner(books), max_requests=2)
    new = MadeKey(key.owner, key.id, rotate(key, overlap_hours=1)["key_hmac"])
    assert [key.admit(), new.admit(), key.admit(), new.admit()] == ["admitted"] * 2 + ["key_requests_exhausted"] * 2


def test_a_second_rotation_does_not_lengthen_the_life_of_the_first_secret(books: Books) -> None:
    key = make_key(make_owner(books))
    second = MadeKey(key.owner, key.id, rotate(key, overlap_hours=1)["key_hmac"])
    third = MadeKey(key.owner, key.id, rotate(key, overlap_hours=WEEK_H)["key_hmac"])
    books.pass_time(hours=1)
    assert [each.admit() for each in (key, second, third)] == ["invalid_api_key", "admitted", "admitted"]
    rotate(key)
    assert [each.admit() for each in (second, third)] == ["invalid_api_key"] * 2


def test_only_so_many_old_secrets_work_at_a_time(books: Books) -> None:
    key = make_key(make_owner(books))
    for _ in range(5):
        assert rotate(key, overlap_hours=1)["verdict"] == "key"
    refused = rotate(key, overlap_hours=1)
    assert (refused["status"], refused["code"], refused["numbers"]) == (409, "too_many_old_secrets", {"limit": 5})
    assert key.admit() == "admitted"
    books.pass_time(hours=1)
    assert rotate(key, overlap_hours=1)["verdict"] == "key"
    assert rotate(key)["verdict"] == "key"


def test_a_key_with_more_scopes_is_not_taken_over_by_rotation_or_collection(books: Books) -> None:
    owner = make_owner(books)
    limited, richer = make_key(owner, scopes=["keys:write"]), make_key(owner, rotate_every_days=7)
    books.pass_time(days=7)
    _rotate_due(books, richer)
    answers = [
        rotate(richer, by=limited),
        books.call("collect_key", caller=limited.caller(), key_id=richer.id, secret_ids=[SECRET_ID], receipt=None),
    ]
    assert [(answer["status"], answer["code"]) for answer in answers] == [(403, "key_exceeds_yours")] * 2
    assert "sealed" not in answers[1]
    assert read(richer)["has_new_secret"] is True


def test_a_rotation_that_comes_again_is_made_once(books: Books) -> None:
    owner = make_owner(books)
    key = make_key(owner)
    first = rotate(key, receipt=receipt_of("rotation", sealed="the secret"))
    again = rotate(key, receipt=receipt_of("rotation", sealed="another secret"))
    assert (again["is_replayed"], again["sealed"], again["key"]) == (True, "the secret", first["key"])
    assert MadeKey(owner, key.id, first["key_hmac"]).admit() == "admitted"
    assert [event[0] for event in events(owner)] == ["key_created", "key_rotated"]


def test_a_key_that_is_due_gets_a_new_secret_a_weeks_overlap_and_its_next_date(books: Books) -> None:
    owner = make_owner(books)
    key = make_key(owner, rotate_every_days=30)
    books.pass_time(days=30, seconds=-1)
    assert key.id not in _due(books)
    books.pass_time(seconds=1)
    new = _rotate_due(books, key)
    assert _due(books).get(key.id) is None
    view = read(key)
    assert view["has_new_secret"] is True
    assert view["rotates_at"] == (books.now() + timedelta(days=30)).isoformat()
    assert events(owner)[-1] == (
        "key_rotated", "system", None, str(key.id), {"overlap_hours": WEEK_H, "is_by_schedule": True},
    )  # fmt: skip
    books.pass_time(days=7, seconds=-1)
    assert [key.admit(), new.admit()] == ["admitted", "admitted"]
    books.pass_time(seconds=1)
    assert [key.admit(), new.admit()] == ["invalid_api_key", "admitted"]


def test_a_rotation_that_is_due_is_made_once_however_many_ask_for_it(books: Books) -> None:
    key = make_key(make_owner(books), rotate_every_days=7)
    books.pass_time(days=7)
    due_at = _due(books)[key.id]
    asked = [_due_arguments(key.id, due_at) for _ in range(10)]
    with crowd_of(books, 10) as crowd:
        calls = [("rotate_due_key", each) for each in asked]
        answers = crowd.call_at_once(key.owner.account_id, calls, lock=LOCK_KEYS)
    assert sorted(answer["verdict"] for answer in answers) == ["rotated"] + ["unchanged"] * 9
    assert books.value("select count(*) from gateway.key_secrets where key_id = %s", key.id) == 2


@pytest.mark.parametrize("change", [{"is_active": False}, {"rotate_every_days": None}, {"expires_in_days": 7}])
def test_a_key_that_needs_no_new_secret_gets_none(books: Books, change: dict[str, Any]) -> None:
    key = make_key(make_owner(books), rotate_every_days=7)
    due_at = read(key)["rotates_at"]
    update(key, **change)
    books.pass_time(days=7)
    assert key.id not in _due(books)
    if "expires_in_days" not in change:
        assert books.call("rotate_due_key", **_due_arguments(key.id, due_at))["verdict"] == "unchanged"


def test_a_revoked_key_is_never_due(books: Books) -> None:
    key = make_key(make_owner(books), rotate_every_days=7)
    books.pass_time(days=7)
    due_at = _due(books)[key.id]
    revoke(key)
    assert key.id not in _due(books)
    assert books.call("rotate_due_key", **_due_arguments(key.id, due_at))["verdict"] == "unchanged"


def test_a_rotation_by_hand_puts_off_the_next_by_schedule_and_drops_what_was_not_collected(books: Books) -> None:
    key = make_key(make_owner(books), rotate_every_days=7)
    books.pass_time(days=7)
    _rotate_due(books, key)
    books.pass_time(days=1)
    view = rotate(key)["key"]
    assert (view["has_new_secret"], view["rotates_at"]) == (False, (books.now() + timedelta(days=7)).isoformat())


def test_a_new_secret_is_collected_once_and_again_only_by_the_same_request(books: Books) -> None:
    owner = make_owner(books)
    key = make_key(owner, rotate_every_days=7)
    assert _collect(books, key)["code"] == "no_secret_to_collect"
    books.pass_time(days=7)
    _rotate_due(books, key)
    first = _collect(books, key, receipt=receipt_of("collection"))
    assert (first["sealed"], first["key"]["has_new_secret"]) == ("sealed", False)
    assert _collect(books, key)["code"] == "no_secret_to_collect"
    again = _collect(books, key, receipt=receipt_of("collection"))
    assert (again["is_replayed"], again["sealed"]) == (True, "sealed")
    books.pass_time(minutes=10)
    assert _collect(books, key, receipt=receipt_of("collection"))["sealed"] is None
    assert [event[0] for event in events(owner)] == ["key_created", "key_rotated", "key_collected"]


def test_a_secret_that_whoever_asks_cannot_open_stays_for_who_can(books: Books) -> None:
    owner = make_owner(books)
    key = make_key(owner, rotate_every_days=7)
    books.pass_time(days=7)
    _rotate_due(books, key)
    refused = _collect(books, key, receipt=receipt_of("too early"), secret_id="0a0b0c0d")
    assert (refused["status"], refused["code"]) == (409, "secret_cannot_be_opened")
    assert read(key)["has_new_secret"] is True
    assert [event[0] for event in events(owner)] == ["key_created", "key_rotated"]
    assert _collect(books, key, receipt=receipt_of("too early"))["sealed"] == "sealed"


def test_a_key_gets_no_other_secret_while_the_last_waits_and_stays_due(books: Books) -> None:
    key = make_key(make_owner(books), rotate_every_days=7)
    books.pass_time(days=7)
    waiting = _rotate_due(books, key)
    books.pass_time(days=7)
    due_at = read(key)["rotates_at"]
    assert due_at == books.now().isoformat()
    assert key.id not in _due(books)
    assert books.call("rotate_due_key", **_due_arguments(key.id, due_at))["verdict"] == "unchanged"
    assert waiting.admit() == "admitted"
    _collect(books, key, receipt=receipt_of("at last"))
    assert _due(books)[key.id] == due_at
    _rotate_due(books, key)
    assert waiting.admit() == "admitted"


def test_a_collection_that_comes_again_shows_nothing_that_was_rotated_away_since(books: Books) -> None:
    key = make_key(make_owner(books), rotate_every_days=7)
    books.pass_time(days=7)
    _rotate_due(books, key)
    assert _collect(books, key, receipt=receipt_of("collected"))["sealed"] == "sealed"
    rotate(key)
    assert _collect(books, key, receipt=receipt_of("collected"))["sealed"] is None


def _due(books: Books) -> dict[int, str]:
    return {due["key_id"]: due["rotates_at"] for due in books.call("due_rotations")}


def _due_arguments(key_id: int, due_at: str) -> dict[str, Any]:
    secret = {**new_secret(), "sealed": "sealed", "secret_id": SECRET_ID}
    return {"key_id": key_id, "due_at": due_at, "secret": secret, "overlap_hours": WEEK_H}


def _rotate_due(books: Books, key: MadeKey) -> MadeKey:
    arguments = _due_arguments(key.id, _due(books)[key.id])
    assert books.call("rotate_due_key", **arguments)["verdict"] == "rotated"
    return MadeKey(key.owner, key.id, arguments["secret"]["key_hmac"])


def _collect(books: Books, key: MadeKey, receipt: Any = None, secret_id: str = SECRET_ID) -> Any:
    asked: dict[str, Any] = {"secret_ids": ["00000000", secret_id], "receipt": receipt}
    return books.call("collect_key", caller=writer(key.owner), key_id=key.id, **asked)
