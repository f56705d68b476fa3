"""What was given up, seen over HTTP and brought to its end by its own job."""

import json
import secrets

import msgspec
import pytest

from shared.flows.settle_late import settle_late
from tests.functions.admin.people import Office
from tests.functions.keys.client import outcome, run_sql
from tests.harness.gateways import Gateways
from tests.harness.mail import MailCatcher
from tests.shared.flows.late_support import Bench, record, usage

LETTERS = "/admin/dead-letters"
OUTBOX, CRON_SECRET = "/internal/jobs/outbox", "a cron secret of the tests"
AS_SCHEDULER = {"Authorization": f"Bearer {CRON_SECRET}"}
# Whoever drills a backup in the same stack finds what stands open.
FORGET_LETTER = "delete from gateway.dead_letters where id = %s"
GIVE_UP_MAILS = """
    with mail as (
        update gateway.outbox set state = 'dead', ended_at = now(), tries = 9 where account_id = %s returning id
    )
    select api.add_dead_letter('mail', id::text, '{}', 'gave up', 9) from mail
"""


async def _open(office: Office, kind: str) -> list[int]:
    return [int(each["id"]) for each in (await office.done("GET", f"{LETTERS}?kind={kind}&limit=100"))["data"]]


async def test_a_late_settlement_that_was_given_up_is_charged_once_after_its_retry(
    office: Office, bench: Bench
) -> None:
    customer, model = office.tenant(), office.make_model()
    generation_id, price_id = await bench.admit(customer, model)
    late = record(generation_id, usage(price_id), tries=20)
    letter_id = office.add_letter("late_settlement", str(generation_id), msgspec.json.encode(late).decode())
    (shown,) = (await office.done("GET", f"{LETTERS}?kind=late_settlement&limit=1"))["data"]
    assert (shown["id"], shown["subject"], shown["resolved_at"]) == (str(letter_id), str(generation_id), None)
    told = await office.done("POST", f"{LETTERS}/{letter_id}/retry")
    assert told["resolved_at"] is not None
    assert [(each.generation_id, each.tries) for each in await bench.listed()] == [(generation_id, 0)]
    # The list's time is the gateway's, which is later than the bench's.
    bench.wait(10)
    assert (await settle_late(bench.means())).settled == 1
    assert [line["charged_nanos"] for line in bench.lines(customer)] == [20_000]
    again = await office.operator.call("POST", f"{LETTERS}/{letter_id}/retry")
    assert outcome(again) == "dead_letter_resolved"
    assert await bench.listed() == []
    assert customer.books.broken_rules() == []


async def test_what_fails_again_stands_open_again_under_its_number(office: Office, bench: Bench) -> None:
    subject = secrets.token_hex(8)
    letter_id = office.add_letter("payment", f"pi_{subject}")
    await office.done("POST", f"{LETTERS}/{letter_id}/retry")
    assert letter_id not in await _open(office, "payment")
    assert office.add_letter("payment", f"pi_{subject}") == letter_id
    assert letter_id in await _open(office, "payment")
    await office.done("POST", f"{LETTERS}/{letter_id}/retry")


async def test_without_redis_no_late_settlement_is_taken_for_resolved(office: Office, bench: Bench) -> None:
    customer, model = office.tenant(), office.make_model()
    generation_id, price_id = await bench.admit(customer, model)
    late = msgspec.json.encode(record(generation_id, usage(price_id))).decode()
    letter_id = office.add_letter("late_settlement", str(generation_id), late)
    with bench.stack.without("redis"):
        answer = await office.operator.call("POST", f"{LETTERS}/{letter_id}/retry")
        assert outcome(answer) == "storage_unavailable"
    assert letter_id in await _open(office, "late_settlement")
    await office.done("POST", f"{LETTERS}/{letter_id}/retry")
    # The list's time is the gateway's, which is later than the bench's.
    bench.wait(10)
    assert (await settle_late(bench.means())).settled == 1


async def test_what_holds_nothing_that_could_be_tried_stays(office: Office, bench: Bench) -> None:
    torn = office.add_letter("late_settlement", secrets.token_hex(8), '{"beginning": "{\\"gener"}')
    gone = office.add_letter("mail", "00000000-0000-4000-8000-000000000000", "{}")
    for letter_id in (torn, gone):
        assert outcome(await office.operator.call("POST", f"{LETTERS}/{letter_id}/retry")) == "dead_letter_stays"
        run_sql(office.database_url, FORGET_LETTER, letter_id)
    assert await bench.listed() == []


async def test_a_late_settlement_that_cannot_be_read_any_more_stays_open(office: Office, bench: Bench) -> None:
    customer, model = office.tenant(), office.make_model()
    generation_id, price_id = await bench.admit(customer, model)
    written = msgspec.to_builtins(record(generation_id, usage(price_id), tries=20))
    # As a gateway of another version has written it.
    del written["usage"]["price_id"]
    letter_id = office.add_letter("late_settlement", str(generation_id), json.dumps(written))
    before = office.count_events()
    assert outcome(await office.operator.call("POST", f"{LETTERS}/{letter_id}/retry")) == "dead_letter_stays"
    assert letter_id in await _open(office, "late_settlement")
    assert (await bench.listed(), office.count_events()) == ([], before)
    run_sql(office.database_url, FORGET_LETTER, letter_id)


async def test_a_retry_that_comes_again_puts_nothing_back_again(office: Office, bench: Bench) -> None:
    customer, model = office.tenant(), office.make_model()
    generation_id, price_id = await bench.admit(customer, model)
    late = msgspec.json.encode(record(generation_id, usage(price_id), tries=20)).decode()
    letter_id, key = office.add_letter("late_settlement", str(generation_id), late), secrets.token_hex(8)
    retry = ("POST", f"{LETTERS}/{letter_id}/retry", None, {"Idempotency-Key": key})
    first = await office.operator.call(*retry)
    # The list's time is the gateway's, which is later than the bench's.
    bench.wait(10)
    assert (await settle_late(bench.means())).settled == 1
    assert office.add_letter("late_settlement", str(generation_id), late) == letter_id
    before = office.count_events()
    again = await office.operator.call(*retry)
    assert (again.status, again.json) == (200, first.json)
    assert again.headers["Idempotent-Replayed"] == "true"
    assert (await bench.listed(), office.count_events()) == ([], before)
    # It stands open, and is tried again by whoever asks for that anew.
    await office.done("POST", f"{LETTERS}/{letter_id}/retry")
    assert len(await bench.listed()) == 1
    bench.wait(10)
    await settle_late(bench.means())
    assert [line["charged_nanos"] for line in bench.lines(customer)] == [20_000]


@pytest.mark.parametrize("letter_id", ["0", "x", "999999999999999999", "1%2F2", "-1"])
async def test_a_record_that_never_was_is_told_as_such(office: Office, letter_id: str) -> None:
    answer = await office.operator.call("POST", f"{LETTERS}/{letter_id}/retry")
    assert answer.status == 404


async def test_an_email_that_was_given_up_leaves_after_its_retry_and_once(
    office: Office, start_gateway: Gateways, mail_catcher: MailCatcher
) -> None:
    (tenant, holder), address = office.customer(), f"{secrets.token_hex(6)}@example.com"
    run_sql(office.database_url, "update gateway.accounts set email = %s where id = %s", address, tenant.account_id)
    assert (await holder.call("POST", "/user/notifications/test")).status == 202
    letters = [told["id"] for (told,) in run_sql(office.database_url, GIVE_UP_MAILS, tenant.account_id)]
    mail_catcher.reset()
    sender = holder.on(start_gateway(CRON_SECRET=CRON_SECRET))
    assert (await sender.call("POST", OUTBOX, headers=AS_SCHEDULER)).status == 200
    assert mail_catcher.mails(address) == []
    for letter_id in letters:
        await office.done("POST", f"{LETTERS}/{letter_id}/retry")
    for _ in range(2):
        assert (await sender.call("POST", OUTBOX, headers=AS_SCHEDULER)).status == 200
        assert len(mail_catcher.mails(address)) == len(letters) > 0
