"""Keys as their owners make, see, change and end them."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from infra.local.stack import LocalStack
from tests.sql.books import Books, own_books
from tests.sql.customers import caller_of, hmac_of
from tests.sql.key_owners import (
    begin_month,
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
    session_of,
    settings,
    update,
    writer,
)
from tests.sql.races import crowd_of

LOCK_ACCOUNT = "select from gateway.accounts where id = %s for no key update"


def test_a_key_is_made_with_its_settings_and_works_at_once(books: Books) -> None:
    owner = make_owner(books)
    key = make_key(
        owner, name="ci", expires_in_days=30, max_requests=5, spend_limit_nanos=100, spend_limit_period="day",
        ip_allowlist=["192.0.2.7/32", "2001:db8::/32"], allowed_domains=["*.example.com"], model_globs=["test/*"],
        requests_per_minute=3, rotate_every_days=10,
    )  # fmt: skip
    view = read(key)
    assert (view["name"], view["masked"], view["kind"], view["is_active"]) == (
        "ci",
        "gw_live_ab12…wxyz",
        "secret",
        True,
    )
    assert view["ip_allowlist"] == ["192.0.2.7", "2001:db8::/32"]
    assert (view["spend_limit_nanos"], view["spend_limit_period"], view["spent_nanos"]) == (100, "day", 0)
    assert (view["requests_per_minute"], view["tokens_per_minute"]) == (3, None)
    now = books.now()
    assert [view[name][:10] for name in ("expires_at", "rotates_at", "spend_resets_at")] == [
        str((now + timedelta(days=days)).date()) for days in (30, 10, 1)
    ]
    assert "key_hmac" not in str(view)
    assert key.admit(address="192.0.2.7", origin_host="a.example.com") == "admitted"
    assert key.admit(address="192.0.2.8", origin_host="a.example.com") == "address_not_allowed"
    assert events(owner) == [
        ("key_created", "key", owner.key_id, str(key.id), {"environment": "live", "scopes": ["inference"]})
    ]


def test_a_name_is_taken_until_its_key_is_revoked_and_by_its_own_account_alone(books: Books) -> None:
    owner, stranger = make_owner(books), make_owner(books)
    key = make_key(owner, name="ci")
    assert refusal(create(owner, name="ci")) == (409, "key_name_taken", {})
    make_key(stranger, name="ci")
    other = make_key(owner, name="other")
    assert refusal(update(other, name="ci"))[1] == "key_name_taken"
    assert read(other)["name"] == "other"
    revoke(key)
    make_key(owner, name="ci")


def test_of_ten_who_ask_for_one_name_at_once_one_gets_it(books: Books) -> None:
    owner = make_owner(books)
    calls = [
        ("create_key", {"caller": writer(owner), "key": settings(name="one"), "secret": new_secret(),
                        "receipt": receipt_of(f"race {number}")})
        for number in range(10)
    ]  # fmt: skip
    with crowd_of(books, 10) as crowd:
        answers = crowd.call_at_once(owner.account_id, calls, lock=LOCK_ACCOUNT)
    assert sorted(answer.get("code", "made") for answer in answers) == ["key_name_taken"] * 9 + ["made"]


def test_of_ten_who_send_the_same_creation_at_once_all_get_the_one_key(books: Books) -> None:
    owner = make_owner(books)
    calls = [
        ("create_key", {"caller": writer(owner), "key": settings(name="one"), "secret": new_secret(),
                        "receipt": receipt_of("same", sealed=f"secret {number}")})
        for number in range(10)
    ]  # fmt: skip
    with crowd_of(books, 10) as crowd:
        answers = crowd.call_at_once(owner.account_id, calls, lock=LOCK_ACCOUNT)
    assert len({answer["key"]["id"] for answer in answers}) == 1
    replays = [answer for answer in answers if "is_replayed" in answer]
    assert (len(replays), len({answer["sealed"] for answer in replays})) == (9, 1)
    assert books.value("select count(*) from gateway.api_keys where account_id = %s", owner.account_id) == 2


def test_an_account_has_a_bounded_number_of_keys(books: Books) -> None:
    owner = make_owner(books)
    books.rows(
        "insert into gateway.api_keys (account_id, name, environment, masked)"
        " select %s, 'filler ' || number, 'live', '…' from generate_series(1, 498) as number",
        owner.account_id,
    )
    last = make_key(owner)
    assert refusal(create(owner)) == (409, "too_many_keys", {"limit": 500})
    revoke(last)
    make_key(owner)


def test_a_list_shows_the_accounts_live_keys_alone_a_page_at_a_time(books: Books) -> None:
    owner, stranger = make_owner(books), make_owner(books)
    session_of(owner)
    keys = [make_key(owner) for _ in range(4)]
    make_key(stranger)
    revoke(keys[1])
    expected = [owner.key_id, keys[0].id, keys[2].id, keys[3].id]
    pages, after = [], None
    for _ in range(3):
        page = books.call("list_keys", caller=reader(owner), limit=2, after=after)["keys"]
        pages.append([key["id"] for key in page])
        after = pages[-1][-1] if pages[-1] else after
    assert pages == [expected[:2], expected[2:], []]


def test_a_change_touches_the_named_key_and_the_named_settings_alone(books: Books) -> None:
    owner = make_owner(books)
    key, other = make_key(owner, max_requests=5, model_globs=["test/*"], expires_in_days=9), make_key(owner)
    before, other_before = read(key), read(other)
    answer = update(key, max_requests=7)
    assert answer["key"] == {**before, "max_requests": 7} == read(key)
    assert answer["fingerprints"] == [key.key_hmac]
    lifted = update(key, max_requests=None, model_globs=None, expires_in_days=None)["key"]
    assert lifted == {**before, "max_requests": None, "model_globs": None, "expires_at": None}
    assert read(other) == other_before
    assert [event[0] for event in events(owner)] == ["key_created"] * 2 + ["key_updated"] * 2
    assert events(owner)[-1][4]["changed"] == ["expires_at", "max_requests", "model_globs"]


def test_a_change_that_changes_nothing_leaves_no_line(books: Books) -> None:
    owner = make_owner(books)
    key = make_key(owner, name="same", max_requests=5)
    assert update(key, name="same", max_requests=5)["verdict"] == "key"
    assert [event[0] for event in events(owner)] == ["key_created"]


def test_the_environment_that_a_secret_says_does_not_change(books: Books) -> None:
    key = make_key(make_owner(books), environment="staging")
    assert update(key, environment="staging")["verdict"] == "key"
    assert refusal(update(key, environment="test")) == (400, "key_environment_fixed", {"environment": "staging"})
    assert read(key)["environment"] == "staging"


def test_a_key_that_is_switched_off_is_refused_until_it_is_switched_on(books: Books) -> None:
    key = make_key(make_owner(books))
    assert update(key, is_active=False)["key"]["is_active"] is False
    assert key.admit() == "invalid_api_key"
    assert update(key, is_active=True)["key"]["is_active"] is True
    assert key.admit() == "admitted"


def test_a_key_works_to_the_last_moment_of_its_days_and_again_when_it_is_given_more(books: Books) -> None:
    key = make_key(make_owner(books), expires_in_days=1)
    books.pass_time(days=1, microseconds=-1)
    assert key.admit() == "admitted"
    books.pass_time(microseconds=1)
    assert key.admit() == "invalid_api_key"
    update(key, expires_in_days=2)
    books.pass_time(days=2, microseconds=-1)
    assert key.admit() == "admitted"
    books.pass_time(microseconds=1)
    assert key.admit() == "invalid_api_key"


def test_a_revoked_key_is_refused_has_no_secret_and_comes_back_by_no_change(books: Books) -> None:
    owner = make_owner(books)
    key = make_key(owner, rotate_every_days=7)
    assert revoke(key)["fingerprints"] == [key.key_hmac]
    assert key.admit() == "invalid_api_key"
    assert books.value("select count(*) from gateway.key_secrets where key_id = %s", key.id) == 0
    assert refusal(update(key, is_active=True))[1] == "key_not_found"
    row = books.rows(
        "select is_active, revoked_at, rotates_at, name is not null from gateway.api_keys where id = %s", key.id
    )
    assert row == [(False, books.now(), None, True)]


def test_revoking_again_is_harmless_and_written_down_once(books: Books) -> None:
    owner = make_owner(books)
    key = make_key(owner)
    assert [revoke(key)["verdict"] for _ in range(3)] == ["revoked"] * 3
    assert [event[0] for event in events(owner)] == ["key_created", "key_revoked"]


def test_another_spend_period_counts_what_was_spent_in_it_so_far(books: Books) -> None:
    begin_month(books)
    key = make_key(make_owner(books), spend_limit_nanos=100, spend_limit_period="day")
    _spend(key, 60)
    books.pass_time(days=1)
    _spend(key, 10)
    assert read(key)["spent_nanos"] == 10
    assert update(key, spend_limit_period="month")["key"]["spent_nanos"] == 70
    assert key.admit(tokens=31) == "key_spend_limit_reached"
    _spend(key, 30)
    assert update(key, spend_limit_period="day")["key"]["spent_nanos"] == 40
    assert key.admit(tokens=60) == "admitted"


@pytest.mark.parametrize(
    ("period", "resets_at"), [("day", "2031-05-09"), ("week", "2031-05-12"), ("month", "2031-06-01"), ("total", None)]
)
def test_a_spend_limit_holds_to_the_last_moment_of_its_period(
    ledger_stack: LocalStack, period: str, resets_at: str | None
) -> None:
    with own_books(ledger_stack) as books:
        # A Thursday.
        books.set_time(datetime(2031, 5, 8, 23, tzinfo=UTC))
        key = make_key(make_owner(books), spend_limit_nanos=50, spend_limit_period=period)
        _spend(key, 50)
        view = read(key)
        assert (view["spent_nanos"], view["spend_resets_at"]) == (50, resets_at and f"{resets_at}T00:00:00+00:00")
        next_begins = datetime.fromisoformat(view["spend_resets_at"] or "2041-05-08T00:00:00+00:00")
        books.set_time(next_begins - timedelta(microseconds=1))
        assert key.admit(tokens=1) == "key_spend_limit_reached"
        books.set_time(next_begins)
        assert key.admit(tokens=50) == ("admitted" if resets_at else "key_spend_limit_reached")
        assert key.admit(tokens=1) == "key_spend_limit_reached"
        assert read(key)["spent_nanos"] == (0 if resets_at else 50)


def test_the_key_in_use_is_shown_to_itself_whatever_it_may_do(books: Books) -> None:
    owner = make_owner(books)
    for key in (make_key(owner, scopes=["models:read"]), make_key(owner, environment="test", max_requests=1)):
        answer = books.call("read_key", caller=key.caller(scope=None), key_id=None)
        assert (answer["key"]["id"], answer["key"]["kind"]) == (key.id, "secret")
    session = books.call("read_key", caller=caller_of(hmac_of(f"session {session_of(owner)}"), scope=None), key_id=None)
    assert (session["key"]["kind"], session["key"]["masked"]) == ("session", "session")


def test_a_creation_that_comes_again_is_answered_with_its_secret_for_ten_minutes(books: Books) -> None:
    owner = make_owner(books)
    first = create(owner, name="once", receipt=receipt_of("first", sealed="sealed secret"))
    again: dict[str, Any] = {"name": "once", "secret": new_secret()}
    books.pass_time(minutes=9, seconds=59)
    replay = create(owner, **again, receipt=receipt_of("first", sealed="another"))
    assert (replay["key"], replay["is_replayed"], replay["sealed"]) == (first["key"], True, "sealed secret")
    books.pass_time(seconds=1)
    masked = create(owner, **again, receipt=receipt_of("first", sealed="another"))
    assert (masked["key"], masked["is_replayed"], masked["sealed"]) == (first["key"], True, None)
    assert refusal(create(owner, **again, receipt=receipt_of("first", "other body")))[1] == "idempotency_key_reused"
    books.pass_time(days=1)
    assert refusal(create(owner, **again, receipt=receipt_of("first")))[1] == "key_name_taken"
    assert [event[0] for event in events(owner)] == ["key_created"]


def test_a_creation_that_was_refused_frees_its_key(books: Books) -> None:
    owner = make_owner(books)
    taken = make_key(owner, name="taken")
    assert refusal(create(owner, name="taken", receipt=receipt_of("again")))[1] == "key_name_taken"
    revoke(taken)
    assert create(owner, name="taken", receipt=receipt_of("again"))["verdict"] == "key"


def _spend(key: Any, tokens: int) -> None:
    generation_id = key.owner.admitted(tokens=tokens, key_hmacs=[key.key_hmac])
    assert key.owner.settle(generation_id, tokens)["charged_nanos"] == tokens
