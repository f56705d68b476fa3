"""E-mails that follow from what happens: sign-ups, keys, refused uses, addresses, low balances, a month's end."""

from datetime import UTC, datetime

import pytest
from psycopg import sql

from tests.sql.books import Books, call, connect_as_service
from tests.sql.customers import Customer
from tests.sql.key_owners import create, make_key, writer
from tests.sql.mailboxes import facts, mails, make_reader, put_mail, set_account, templates
from tests.sql.test_sign_in import Someone

MAILS_OF = "select template from gateway.outbox where account_id = %s order by created_at, template"
DUE_ROTATION = "update gateway.api_keys set rotate_every_days = 30, rotates_at = gateway.clock() where id = %s"


def welcomed(someone: Someone) -> list[str]:
    return [template for (template,) in someone.books.rows(MAILS_OF, someone.account[0])]


def test_who_is_new_is_welcomed_once_and_not_told_of_his_first_key(books: Books) -> None:
    someone = Someone(books, email="ada@example.com")
    for _ in range(2):
        someone.sign_in()
    assert welcomed(someone) == ["welcome"]


def test_who_came_without_an_address_is_welcomed_when_he_has_one(books: Books) -> None:
    someone = Someone(books)
    someone.sign_in()
    assert welcomed(someone) == []
    for _ in range(2):
        someone.sign_in(email="later@example.com")
    assert welcomed(someone) == ["welcome"]


def test_another_address_is_told_to_the_one_before(books: Books) -> None:
    someone = Someone(books, email="first@example.com")
    someone.sign_in()
    someone.sign_in(email="second@example.com")
    notices = books.rows(
        "select address, data ->> 'event' from gateway.outbox where account_id = %s and template = 'security_notice'",
        someone.account[0],
    )
    assert notices == [("first@example.com", "email_changed")]


def test_another_spelling_of_an_address_is_the_same_address(books: Books) -> None:
    someone = Someone(books, email="ada.spelt@example.com")
    someone.sign_in()
    books.call("record_bounce", address="ada.spelt@example.com", kind="complaint")
    someone.sign_in(email="Ada.Spelt@example.com")
    assert welcomed(someone) == ["welcome"]
    email, bounced_at = books.rows(
        "select email, email_bounced_at from gateway.accounts where id = %s", someone.account[0]
    )[0]
    assert (email, bounced_at is None) == ("Ada.Spelt@example.com", False)


def test_who_comes_with_an_address_that_has_bounced_is_not_written_to(books: Books) -> None:
    books.call("record_bounce", address="Nobody.Home@example.com", kind="bounce")
    someone = Someone(books, email="nobody.home@example.com")
    someone.sign_in()
    assert welcomed(someone) == []
    for key, address in (("first", "somebody.home@example.com"), ("second", "nobody.home@example.com")):
        someone.sign_in(email=address)
        books.rows("select gateway.put_mail(%s, 'test', '{}', %s, gateway.clock())", someone.account[0], key)
    tests = books.rows(
        "select dedupe_key from gateway.outbox where account_id = %s and template = 'test'", someone.account[0]
    )
    assert tests == [("first",)]


def test_a_key_that_is_made_is_told_by_its_name_and_never_by_its_secret(books: Books) -> None:
    reader = make_reader(books)
    answer = create(reader, name="robot <b>")
    assert templates(reader) == ["key_created"]
    told = facts(reader, "key_created")
    assert (told["name"], told["masked"], told["environment"]) == ("robot <b>", "gw_live_ab12…wxyz", "live")
    assert told["key_id"] == answer["key"]["id"]


def test_a_rotation_is_told_with_how_long_the_old_secret_lives(books: Books) -> None:
    reader = make_reader(books)
    key = make_key(reader)
    secret = {"key_hmac": "ab" * 32, "masked": "gw_live_cd34…wxyz"}
    books.call("rotate_key", caller=writer(reader), key_id=key.id, secret=secret, overlap_hours=5, receipt=None)
    told = facts(reader, "key_rotated")
    assert (told["overlap_hours"], told["is_by_schedule"], told["masked"]) == (5, False, "gw_live_cd34…wxyz")


def test_a_rotation_by_schedule_is_told_as_one(books: Books) -> None:
    reader = make_reader(books)
    key = make_key(reader)
    books.rows(DUE_ROTATION, key.id)
    due_at = books.value("select rotates_at from gateway.api_keys where id = %s", key.id)
    secret = {"key_hmac": "cd" * 32, "masked": "gw_live_ef56…wxyz", "pending": "sealed", "pending_id": "00" * 4}
    books.call("rotate_due_key", key_id=key.id, due_at=due_at, secret=secret, overlap_hours=168)
    told = facts(reader, "key_rotated")
    assert (told["overlap_hours"], told["is_by_schedule"]) == (168, True)


def test_a_key_used_from_elsewhere_is_told_once_a_day(books: Books) -> None:
    reader = make_reader(books)
    key = make_key(reader, ip_allowlist=["203.0.113.0/24"])
    for _ in range(30):
        assert key.admit(address="198.51.100.9") == "address_not_allowed"
        books.pass_time(hours=1)
    notices = [mail for mail in mails(reader) if mail[0] == "security_notice"]
    assert len(notices) in (2, 3)
    days = {key for _, key, _, _ in notices}
    assert len(days) == len(notices)
    addresses = books.rows(
        "select data ->> 'address', data ->> 'event' from gateway.outbox where account_id = %s and template = %s",
        reader.account_id, "security_notice",
    )  # fmt: skip
    assert set(addresses) == {("198.51.100.9", "address_refused")}


def spend(customer: Customer, tokens: int) -> None:
    customer.settle(customer.admitted(tokens=tokens), tokens)


def warnings(customer: Customer) -> list[str]:
    return [template for template in templates(customer) if template == "low_balance"]


def test_a_balance_below_the_threshold_is_told_once_a_day(books: Books) -> None:
    reader = make_reader(books, low_balance_threshold_nanos=9_000)
    spend(reader, 1_000)
    assert warnings(reader) == []
    spend(reader, 1)
    assert facts(reader, "low_balance") == {"available_nanos": 8_999, "threshold_nanos": 9_000}
    for _ in range(3):
        spend(reader, 100)
    assert len(warnings(reader)) == 1
    books.pass_time(days=1)
    spend(reader, 1)
    assert len(warnings(reader)) == 2


def test_who_wants_no_warning_gets_none(books: Books) -> None:
    without_threshold = make_reader(books)
    switched_off = make_reader(books, low_balance_threshold_nanos=9_000, email_preferences='{"low_balance": false}')
    for reader in (without_threshold, switched_off):
        spend(reader, 5_000)
        assert warnings(reader) == []


def test_what_is_only_held_does_not_warn(books: Books) -> None:
    reader = make_reader(books, low_balance_threshold_nanos=5_000)
    under_way = [reader.admitted(tokens=3_000) for _ in range(3)]
    spend(reader, 1_000)
    assert warnings(reader) == []
    for generation_id in under_way:
        reader.settle(generation_id, 1_000)
    assert warnings(reader) == []
    spend(reader, 1_100)
    assert facts(reader, "low_balance")["available_nanos"] == 4_900


def test_credit_that_is_not_live_yet_does_not_keep_the_warning_back(books: Books) -> None:
    reader = make_reader(books, low_balance_threshold_nanos=5_000)
    reader.credit(1_000_000, kind="plan", live_from=books.now().replace(year=2035))
    spend(reader, 5_001)
    assert facts(reader, "low_balance")["available_nanos"] == 4_999


def test_credit_that_lapses_warns_as_well(books: Books) -> None:
    reader = make_reader(books, low_balance_threshold_nanos=20_000)
    reader.credit(50_000, kind="promo", expires_at=books.now().replace(year=books.now().year + 1))
    books.pass_time(days=400)
    spend(reader, 1)
    assert len(warnings(reader)) == 1
    assert reader.books.broken_rules(reader.account_id) == []


@pytest.mark.parametrize("zone", ["UTC", "America/Los_Angeles", "Pacific/Kiritimati"])
def test_last_months_report_has_its_numbers_and_comes_once_whatever_the_time_zone(books: Books, zone: str) -> None:
    books.set_time(datetime(2031, 3, 31, 23, 59, tzinfo=UTC))
    reader, idle = make_reader(books), make_reader(books)
    spend(reader, 300)
    books.set_time(datetime(2031, 4, 1, 0, 0, 1, tzinfo=UTC))
    spend(reader, 7)
    _report(books, zone=zone)
    _report(books, zone=zone)
    assert templates(reader) == ["usage_report"]
    assert templates(idle) == []
    told = facts(reader, "usage_report")
    assert (told["month"], told["total"]["requests"], told["total"]["input_tokens"]) == ("2031-03", 1, 300)
    assert told["total"]["charged_nanos"] == 300
    assert [(each["value"], each["charged_nanos"]) for each in told["models"]] == [("test/nano", 300)]
    assert [each["charged_nanos"] for each in told["keys"]] == [300]


def test_reports_go_on_where_the_last_call_ended(books: Books) -> None:
    books.set_time(datetime(2032, 1, 15, tzinfo=UTC))
    readers = [make_reader(books) for _ in range(5)]
    for reader in readers:
        spend(reader, 10)
    books.set_time(datetime(2032, 2, 1, 3, tzinfo=UTC))
    _report(books, limit=2)
    assert [templates(reader) for reader in readers] == [["usage_report"]] * 5


def test_a_run_that_ends_early_is_gone_on_with_by_the_next(books: Books) -> None:
    books.set_time(datetime(2034, 1, 15, tzinfo=UTC))
    readers = [make_reader(books) for _ in range(5)]
    for reader in readers:
        spend(reader, 10)
    books.set_time(datetime(2034, 2, 1, 3, tzinfo=UTC))
    for _ in range(3):
        # As if its time were over after one call.
        books.call("put_usage_reports", after=readers[0].account_id - 1, limit=2)
    assert [templates(reader) for reader in readers] == [["usage_report"]] * 5


def test_late_in_a_month_the_last_one_is_no_news(books: Books) -> None:
    books.set_time(datetime(2033, 1, 15, tzinfo=UTC))
    reader = make_reader(books)
    spend(reader, 10)
    books.set_time(datetime(2033, 2, 8, tzinfo=UTC))
    _report(books)
    assert templates(reader) == []


def test_what_follows_from_a_deletion_is_not_told_to_anybody(books: Books) -> None:
    reader = make_reader(books)
    put_mail(reader)
    set_account(reader, low_balance_threshold_nanos=9_000_000)
    books.rows("select gateway.erase_account(%s, gateway.clock())", reader.account_id)
    reader.credit(-5_000, kind="refund")
    assert mails(reader) == []


def _report(books: Books, *, limit: int = 100, zone: str = "UTC") -> None:
    after = 0
    with connect_as_service(books.url) as session:
        session.execute(sql.SQL("set timezone = {}").format(zone))
        while after is not None:
            after = call(session, "put_usage_reports", after=after, limit=limit)["next"]
