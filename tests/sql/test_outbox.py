"""The outbox: what is written into it, who takes it out, and when it is given up."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest

from tests.sql.books import Books, call, connect_as_service
from tests.sql.customers import Customer, make_customer
from tests.sql.mailboxes import mails, make_reader, put_mail, set_account, take, templates

READ_LETTERS = "select subject, payload, reason, tries from gateway.dead_letters where kind = 'mail' order by id"
SWITCH_OFF = '{"payments": false, "trial": false}'


def fail(
    books: Books, mail: dict[str, Any], after_s: int | None, reason: str = "503", *, is_refused: bool = False
) -> str:
    told = {"try": mail["try"], "after_s": after_s, "error": reason, "is_refused": is_refused}
    return str(books.call("retry_mail", id=mail["id"], **told)["state"])


def test_a_mail_is_written_once_for_each_template_and_key_of_an_account(books: Books) -> None:
    reader, other = make_reader(books), make_reader(books)
    for customer in (reader, reader, other):
        put_mail(customer, key="same")
    put_mail(reader, "welcome", key="same")
    assert mails(reader) == [("test", "same", "waiting", 0), ("welcome", "same", "waiting", 0)]
    assert mails(other) == [("test", "same", "waiting", 0)]


def test_what_is_undone_is_not_told(books: Books) -> None:
    reader = make_reader(books)
    with psycopg.connect(books.url) as session:
        session.execute(b"select gateway.put_mail(%s, 'test', '{}', 'k', gateway.clock())", (reader.account_id,))
        session.rollback()
    assert mails(reader) == []


def test_there_is_no_mail_without_a_template(books: Books) -> None:
    with pytest.raises(psycopg.errors.CheckViolation):
        put_mail(make_reader(books), "nonsense")


def test_who_cannot_be_reached_is_not_written_to(books: Books) -> None:
    without_address = make_customer(books)
    bounced = make_reader(books, email_bounced_at=books.now())
    for customer in (without_address, bounced):
        put_mail(customer)
        assert mails(customer) == []
    put_mail_to_nobody = "select gateway.put_mail(999999, 'test', '{}', 'k', gateway.clock())"
    books.rows(put_mail_to_nobody)
    assert books.value("select count(*) from gateway.outbox where account_id = 999999") == 0


def test_preferences_are_honoured_and_what_is_about_the_account_itself_is_always_told(books: Books) -> None:
    reader = make_reader(books, email_preferences=SWITCH_OFF)
    for template in ("payment_received", "trial_started", "key_created", "security_notice", "welcome"):
        put_mail(reader, template)
    assert sorted(templates(reader)) == ["key_created", "security_notice", "welcome"]


def test_a_mail_is_his_who_took_it_until_the_lease_is_over(books: Books) -> None:
    reader = make_reader(books)
    put_mail(reader)
    (mail,) = take(books, reader)
    assert (mail["try"], mail["template"], mail["category"]) == (1, "test", "account")
    books.pass_time(seconds=119)
    assert take(books, reader) == []
    books.pass_time(seconds=2)
    ((second),) = take(books, reader)
    assert (second["id"], second["try"]) == (mail["id"], 2)
    assert books.call("finish_mail", id=mail["id"], resend_id="r") == {"count": 1}
    assert books.call("finish_mail", id=mail["id"], resend_id="r") == {"count": 0}
    assert mails(reader) == [("test", "k", "sent", 2)]
    books.pass_time(hours=1)
    assert take(books, reader) == []


def test_takers_at_once_take_each_mail_once(books: Books) -> None:
    reader = make_reader(books)
    for number in range(60):
        put_mail(reader, key=str(number))

    def empty(_: int) -> list[str]:
        taken: list[str] = []
        with connect_as_service(books.url) as session:
            while found := call(session, "take_due_mails", limit=1, account_id=reader.account_id)["mails"]:
                taken += [mail["id"] for mail in found]
        return taken

    with ThreadPoolExecutor(8) as threads:
        taken = [mail_id for each in threads.map(empty, range(8)) for mail_id in each]
    assert len(set(taken)) == len(taken)
    left = [mail["id"] for mail in take(books, reader, limit=100)]
    assert len(taken) + len(left) == 60


def test_a_failed_mail_is_due_when_it_was_said_and_a_stale_try_says_nothing(books: Books) -> None:
    reader = make_reader(books)
    put_mail(reader)
    (first,) = take(books, reader)
    assert fail(books, first, 60) == "waiting"
    assert take(books, reader) == []
    books.pass_time(seconds=61)
    (second,) = take(books, reader)
    # The first one comes back after its time, while the second is under way.
    assert fail(books, first, None) == "unchanged"
    assert mails(reader) == [("test", "k", "waiting", 2)]
    assert fail(books, second, 60) == "waiting"


def test_a_mail_is_given_up_before_its_idempotency_key_is_forgotten(books: Books) -> None:
    reader = make_reader(books)
    put_mail(reader)
    (mail,) = take(books, reader)
    assert fail(books, mail, 3600) == "waiting"
    books.pass_time(hours=22, minutes=30)
    (mail,) = take(books, reader)
    assert fail(books, mail, 3600, "still 503") == "dead"
    assert books.rows(READ_LETTERS)[-1] == (
        mail["id"], {"account_id": reader.account_id, "template": "test"}, "still 503", 2,
    )  # fmt: skip
    books.pass_time(hours=48)
    assert take(books, reader) == []


def test_a_mail_that_was_certainly_not_sent_is_tried_three_times_however_long_that_takes(books: Books) -> None:
    reader = make_reader(books)
    put_mail(reader)
    for _ in range(2):
        (mail,) = take(books, reader)
        assert fail(books, mail, 3600, is_refused=True) == "waiting"
        books.pass_time(hours=25)
    (mail,) = take(books, reader)
    assert fail(books, mail, 3600, is_refused=True) == "dead"


def test_of_two_tries_one_without_an_answer_is_enough_to_give_up_after_a_day(books: Books) -> None:
    reader = make_reader(books)
    put_mail(reader)
    (mail,) = take(books, reader)
    assert fail(books, mail, 60) == "waiting"
    books.pass_time(minutes=2)
    (mail,) = take(books, reader)
    assert fail(books, mail, 60, is_refused=True) == "waiting"
    books.pass_time(hours=23)
    assert take(books, reader) == []
    assert mails(reader) == [("test", "k", "dead", 2)]


def test_what_was_tried_days_ago_is_no_news_either(books: Books) -> None:
    reader = make_reader(books)
    put_mail(reader)
    (mail,) = take(books, reader)
    assert fail(books, mail, 60, is_refused=True) == "waiting"
    books.pass_time(days=4)
    assert take(books, reader) == []
    assert mails(reader) == [("test", "k", "dead", 1)]


def test_a_bounce_ends_what_waits_for_an_address_of_before(books: Books) -> None:
    reader = make_reader(books, email="before.it.bounced@example.com")
    books.rows("delete from gateway.outbox where account_id = %s", reader.account_id)
    put_mail(reader)
    set_account(reader, email="since@example.com")
    assert books.call("record_bounce", address="Before.It.Bounced@example.com", kind="bounce") == {"count": 0}
    put_mail(reader, key="after")
    states = {key: state for template, key, state, _ in mails(reader) if template == "test"}
    assert states == {"k": "dropped", "after": "waiting"}


def test_a_mail_whose_process_died_a_day_ago_is_not_tried_again(books: Books) -> None:
    reader = make_reader(books)
    put_mail(reader)
    (mail,) = take(books, reader)
    books.pass_time(hours=23)
    assert take(books, reader) == []
    assert mails(reader) == [("test", "k", "dead", 1)]
    assert books.rows(READ_LETTERS)[-1][0] == mail["id"]


def test_what_can_never_be_sent_is_given_up_at_once(books: Books) -> None:
    reader = make_reader(books)
    put_mail(reader)
    (mail,) = take(books, reader)
    assert fail(books, mail, None, "422 validation_error") == "dead"
    assert mails(reader) == [("test", "k", "dead", 1)]


@pytest.mark.parametrize(
    "columns",
    [{"email_preferences": SWITCH_OFF}, {"email_bounced_at": "2030-01-01"}],
    ids=["switched off", "bounced"],
)
def test_what_became_unwanted_while_it_waited_is_dropped(books: Books, columns: dict[str, object]) -> None:
    reader = make_reader(books)
    put_mail(reader, "payment_received")
    set_account(reader, **columns)
    assert take(books, reader) == []
    assert mails(reader) == [("payment_received", "k", "dropped", 0)]


def test_what_nobody_could_send_for_days_is_no_news(books: Books) -> None:
    reader = make_reader(books)
    put_mail(reader)
    books.pass_time(days=3)
    put_mail(reader, key="new")
    assert [mail["try"] for mail in take(books, reader)] == [1]
    assert mails(reader) == [("test", "k", "dropped", 0), ("test", "new", "waiting", 1)]


def test_what_is_not_to_be_sent_does_not_hide_what_is(books: Books) -> None:
    unwilling, reader = make_reader(books), make_reader(books)
    for number in range(30):
        put_mail(unwilling, "payment_received", key=str(number))
    set_account(unwilling, email_preferences=SWITCH_OFF)
    books.pass_time(seconds=1)
    put_mail(reader)
    taken = take(books, limit=1)
    assert [mail["account_id"] for mail in taken] == [reader.account_id]


def test_a_mail_goes_where_it_was_meant_to_though_the_address_has_changed(books: Books) -> None:
    reader = make_reader(books)
    put_mail(reader)
    (before,) = take(books, reader)
    set_account(reader, email="new@example.com")
    books.pass_time(minutes=3)
    again = next(mail for mail in take(books, reader) if mail["id"] == before["id"])
    assert again["address"] == before["address"]


def test_an_account_that_ends_takes_its_mails_along(books: Books) -> None:
    reader = make_reader(books)
    put_mail(reader)
    books.rows("select gateway.erase_account(%s, gateway.clock())", reader.account_id)
    assert mails(reader) == []


def test_mails_are_forgotten_after_three_months(books: Books) -> None:
    reader = make_reader(books)
    put_mail(reader, key="old")
    books.pass_time(days=91)
    put_mail(reader, key="new")
    assert books.call("forget_mails")["count"] >= 1
    assert mails(reader) == [("test", "new", "waiting", 0)]


def test_a_bounce_stops_every_account_of_the_address_until_it_has_another(books: Books) -> None:
    first, second, other = (make_reader(books) for _ in range(3))
    for customer in (first, second):
        set_account(customer, email="Shared@Example.com")
    assert books.call("record_bounce", address="shared@example.COM", kind="bounce") == {"count": 2}
    assert books.call("record_bounce", address="shared@example.com", kind="bounce") == {"count": 0}
    for customer in (first, second, other):
        put_mail(customer, key="after")
    assert _puts(first) == _puts(second) == []
    assert _puts(other) == ["after"]
    set_account(first, email="another@example.com")
    put_mail(first, key="again")
    assert _puts(first) == ["again"]
    assert first.books.value(
        "select count(*) from gateway.audit_log where account_id = %s and event = 'email_bounced'", first.account_id
    ) == 1  # fmt: skip


def test_unsubscribing_switches_one_kind_off_and_again_changes_nothing(books: Books) -> None:
    reader = make_reader(books)
    assert books.call("unsubscribe", account_id=reader.account_id, category="payments") == {"count": 1}
    assert books.call("unsubscribe", account_id=reader.account_id, category="payments") == {"count": 0}
    for template in ("payment_received", "trial_started"):
        put_mail(reader, template)
    assert templates(reader) == ["trial_started"]
    with pytest.raises(psycopg.errors.InvalidParameterValue):
        books.call("unsubscribe", account_id=reader.account_id, category="account")


def test_an_account_that_is_gone_is_unsubscribed_from_nothing(books: Books) -> None:
    reader = make_reader(books)
    books.rows("select gateway.erase_account(%s, gateway.clock())", reader.account_id)
    assert books.call("unsubscribe", account_id=reader.account_id, category="payments") == {"count": 0}


def _puts(customer: Customer) -> list[str]:
    return [row[1] for row in mails(customer) if row[0] == "test"]
