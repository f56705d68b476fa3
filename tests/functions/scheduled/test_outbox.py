"""The job that sends what is due: once each, however Resend, the database and the job itself fail."""

import asyncio
import secrets
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import psycopg
import pytest

from infra.local.stack import LocalStack
from tests.functions.keys.client import run_sql
from tests.functions.scheduled.test_jobs import AS_SCHEDULER, SECRET, call, run_command, start_command
from tests.harness.gateways import Gateways, RunningGateway
from tests.harness.mail import MailCatcher
from tests.harness.tenants import Tenants
from tests.harness.wire import Fault, Wire

OUTBOX = "/internal/jobs/outbox"
SET_ADDRESS = "update gateway.accounts set email = %s, email_normalised = %s where id = %s"
FORGET_MAILS = "delete from gateway.outbox"
PUT_MAIL = "select gateway.put_mail(%s, %s, '{}', %s, gateway.clock())"
READ_MAILS = "select state, tries from gateway.outbox where account_id = %s order by dedupe_key"
# As if so much time had passed for every mail that waits.
PASS_TIME = """
    update gateway.outbox
       set due_at = due_at - make_interval(mins => %(minutes)s),
           created_at = created_at - make_interval(mins => %(minutes)s),
           first_tried_at = first_tried_at - make_interval(mins => %(minutes)s)
     where state = 'waiting'
"""
PUT_STALE_MAILS = """
    insert into gateway.outbox (account_id, template, dedupe_key, address, due_at, created_at)
    select %s, 'welcome', number::text, %s, now() - interval '10 days', now() - interval '10 days'
      from generate_series(1, %s) as number
"""
READ_LAST_ERROR = "select last_error from gateway.outbox where account_id = %s"
READ_LETTERS = """
    select letter.reason
      from gateway.dead_letters as letter join gateway.outbox as mail on mail.id::text = letter.subject
     where letter.kind = 'mail' and mail.account_id = %s
"""


@dataclass(frozen=True, slots=True)
class Reader:
    """An account that can be written to."""

    database_url: str
    account_id: int
    address: str

    def put(self, *keys: str, template: str = "test") -> None:
        """Write mails down as their causes do."""
        for key in keys:
            run_sql(self.database_url, PUT_MAIL, self.account_id, template, key)

    def mails(self) -> list[tuple[str, int]]:
        """Return state and tries of each."""
        return [(state, tries) for state, tries in run_sql(self.database_url, READ_MAILS, self.account_id)]


@pytest.fixture(scope="module")
def gateway(stack: LocalStack) -> Iterator[RunningGateway]:
    gateways = Gateways(stack)
    try:
        yield gateways(CRON_SECRET=SECRET)
    finally:
        gateways.stop_all()


@pytest.fixture
def reader(stack: LocalStack, tenant: Tenants, mail_catcher: MailCatcher) -> Reader:
    """Someone whose mails alone are in the outbox, and a catcher that has caught nothing yet."""
    account_id, address = tenant().account_id, f"reader-{secrets.token_hex(6)}@example.com"
    run_sql(stack.database_url, SET_ADDRESS, address, address, account_id)
    run_sql(stack.database_url, FORGET_MAILS)
    assert mail_catcher.mails() == []
    return Reader(stack.database_url, account_id, address)


async def empty(gateway: RunningGateway) -> dict[str, int]:
    answer = await call(gateway, OUTBOX, AS_SCHEDULER)
    assert answer.status == 200, answer.raw
    return {name: count for name, count in answer.json.items() if name != "job"}


def pass_minutes(reader: Reader, minutes: int) -> None:
    """Let time pass for what is in the outbox."""
    with psycopg.connect(reader.database_url, autocommit=True) as session:
        session.execute(PASS_TIME.encode(), {"minutes": minutes})


async def test_what_is_due_is_sent_once(gateway: RunningGateway, reader: Reader, mail_catcher: MailCatcher) -> None:
    reader.put("a", "b")
    reader.put("c", template="welcome")
    assert await empty(gateway) == {"mails_sent": 3, "mails_waiting": 0, "dead_letters": 0}
    assert await empty(gateway) == {"mails_sent": 0, "mails_waiting": 0, "dead_letters": 0}
    assert sorted(mail_catcher.subjects(reader.address)) == ["A test", "A test", "Welcome to the AI Gateway"]
    assert reader.mails() == [("sent", 1)] * 3


@pytest.mark.parametrize("fault", [{"status": 503}, {"status": 429, "retry_after_s": 600}, {"drops_answer": True}])
async def test_resend_is_down_for_an_hour_and_every_mail_is_sent_once_after_it(
    gateway: RunningGateway, reader: Reader, mail_catcher: MailCatcher, fault: dict[str, object]
) -> None:
    keys = [str(number) for number in range(5)]
    reader.put(*keys)
    mail_catcher.fail(**fault)
    for _ in range(20):
        assert (await empty(gateway))["mails_sent"] == 0
        pass_minutes(reader, 3)
    asked = mail_catcher.asked
    # Not one try a minute for each: the pauses grow, and after three failures a run stops.
    assert 5 <= asked <= 40
    mail_catcher.fail()
    for _ in range(13):
        await empty(gateway)
        pass_minutes(reader, 5)
    assert [state for state, _ in reader.mails()] == ["sent"] * 5
    caught = mail_catcher.mails(reader.address)
    assert len(caught) == 5
    assert len({mail["idempotency_key"] for mail in caught}) == 5
    assert all(mail["idempotency_key"].startswith("mail-") for mail in caught)


async def test_resend_is_down_for_a_day_and_the_mail_is_given_up(
    gateway: RunningGateway, reader: Reader, mail_catcher: MailCatcher
) -> None:
    reader.put("a")
    mail_catcher.fail(status=503)
    for _ in range(24):
        await empty(gateway)
        pass_minutes(reader, 61)
    mail_catcher.fail()
    assert (await empty(gateway))["mails_sent"] == 0
    assert [state for state, _ in reader.mails()] == ["dead"]
    ((reason,),) = run_sql(reader.database_url, READ_LETTERS, reader.account_id)
    assert "503" in reason
    assert mail_catcher.mails() == []


async def test_what_is_no_news_any_more_does_not_hold_up_what_is(
    gateway: RunningGateway, reader: Reader, mail_catcher: MailCatcher
) -> None:
    run_sql(reader.database_url, PUT_STALE_MAILS, reader.account_id, reader.address, 250)
    reader.put("new")
    assert await empty(gateway) == {"mails_sent": 1, "mails_waiting": 0, "dead_letters": 0}
    assert sorted(state for state, _ in reader.mails()) == ["dropped"] * 250 + ["sent"]


@pytest.mark.parametrize("retry_after_s", [86_400, 10**12])
async def test_a_pause_that_resend_asks_for_costs_no_mail(
    gateway: RunningGateway, reader: Reader, mail_catcher: MailCatcher, retry_after_s: int
) -> None:
    reader.put("a")
    mail_catcher.fail(status=429, retry_after_s=retry_after_s, times=1)
    assert (await empty(gateway))["mails_waiting"] == 1
    pass_minutes(reader, 61)
    assert (await empty(gateway))["mails_sent"] == 1


async def test_resend_taking_only_a_few_a_second_is_waited_for(
    gateway: RunningGateway, reader: Reader, mail_catcher: MailCatcher
) -> None:
    reader.put(*(str(number) for number in range(12)))
    mail_catcher.fail(per_second=3)
    assert await empty(gateway) == {"mails_sent": 12, "mails_waiting": 0, "dead_letters": 0}
    assert reader.mails() == [("sent", 1)] * 12


async def test_a_job_that_runs_once_a_day_tries_again_what_resend_has_refused(
    gateway: RunningGateway, reader: Reader, mail_catcher: MailCatcher
) -> None:
    reader.put("a")
    mail_catcher.fail(status=503, times=2)
    for _ in range(3):
        await empty(gateway)
        pass_minutes(reader, 24 * 60)
    assert reader.mails() == [("sent", 3)]
    assert len(mail_catcher.mails()) == 1


async def test_a_mail_that_may_have_been_sent_is_not_sent_again_after_a_day(
    gateway: RunningGateway, reader: Reader, mail_catcher: MailCatcher
) -> None:
    reader.put("a")
    mail_catcher.fail(drops_answer=True, times=1)
    for _ in range(2):
        await empty(gateway)
        pass_minutes(reader, 24 * 60)
    assert (reader.mails(), mail_catcher.asked) == ([("dead", 1)], 1)


async def test_a_dead_letter_says_nothing_that_resend_quotes(
    gateway: RunningGateway, reader: Reader, mail_catcher: MailCatcher
) -> None:
    reader.put("a")
    mail_catcher.fail(status=422, message=f"Invalid `to` field: {reader.address}")
    assert (await empty(gateway))["dead_letters"] == 1
    ((reason,),) = run_sql(reader.database_url, READ_LETTERS, reader.account_id)
    assert reason == "422 validation_error"
    assert run_sql(reader.database_url, READ_LAST_ERROR, reader.account_id) == [(reason,)]


async def test_jobs_at_once_send_each_mail_once(
    gateway: RunningGateway, reader: Reader, mail_catcher: MailCatcher
) -> None:
    reader.put(*(str(number) for number in range(24)))
    mail_catcher.fail(delay_s=0.02)
    counts = await asyncio.gather(*(empty(gateway) for _ in range(4)))
    assert sum(count["mails_sent"] for count in counts) == 24
    # Nobody leant on Resend to see that they are the same.
    assert (len(mail_catcher.mails(reader.address)), mail_catcher.asked) == (24, 24)


async def test_a_job_that_is_killed_after_resends_answer_does_not_send_twice(
    stack: LocalStack,
    gateway: RunningGateway,
    reader: Reader,
    mail_catcher: MailCatcher,
    open_wire: Callable[[str], Wire],
) -> None:
    wire = open_wire(stack.supabase_url)
    reader.put("a")
    never = Fault(delay_s=30, matches=lambda exchange: exchange.path.endswith("finish_mail"))
    with wire.broken(never):
        process = await start_command(stack, "outbox", SUPABASE_URL=wire.url)
        for _ in range(1000):
            if wire.exchanges("finish_mail"):
                break
            await asyncio.sleep(0.02)
        process.kill()
        await process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert len(mail_catcher.mails(reader.address)) == 1
    assert (await empty(gateway))["mails_sent"] == 0
    pass_minutes(reader, 3)
    assert (await empty(gateway))["mails_sent"] == 1
    assert reader.mails() == [("sent", 2)]
    assert (len(mail_catcher.mails(reader.address)), mail_catcher.asked) == (1, 2)


async def test_a_mail_that_resend_refuses_or_nobody_can_say_is_given_up_and_holds_up_no_other(
    gateway: RunningGateway, reader: Reader, mail_catcher: MailCatcher
) -> None:
    reader.put("a", template="low_balance")
    reader.put("b")
    mail_catcher.fail(status=422, times=1)
    reader.put("c")
    assert await empty(gateway) == {"mails_sent": 1, "mails_waiting": 0, "dead_letters": 2}
    assert len(run_sql(reader.database_url, READ_LETTERS, reader.account_id)) == 2


async def test_a_log_of_the_job_names_no_address(
    gateway: RunningGateway, reader: Reader, mail_catcher: MailCatcher
) -> None:
    reader.put("a")
    mail_catcher.fail(status=503, times=1)
    await empty(gateway)
    pass_minutes(reader, 2)
    await empty(gateway)
    assert reader.mails() == [("sent", 2)]
    assert "mail_not_sent" in gateway.log_text()
    assert reader.address not in gateway.log_text()


async def test_without_resend_nothing_is_sent_and_nothing_is_lost(
    start_gateway: Gateways, gateway: RunningGateway, reader: Reader, mail_catcher: MailCatcher
) -> None:
    reader.put("a")
    without = dict.fromkeys(("RESEND_API_KEY", "EMAIL_FROM", "RESEND_WEBHOOK_SECRET", "RESEND_URL"))
    poor = start_gateway(CRON_SECRET=SECRET, **without)
    assert (await empty(poor))["mails_sent"] == 0
    assert reader.mails() == [("waiting", 0)]
    assert (await empty(gateway))["mails_sent"] == 1


async def test_both_jobs_are_commands_too(stack: LocalStack, reader: Reader, mail_catcher: MailCatcher) -> None:
    reader.put("a")
    status, out, err = await run_command(stack, "outbox")
    assert (status, b'"mails_sent": 1' in out) == (0, True), err
    assert len(mail_catcher.mails(reader.address)) == 1
    status, out, _ = await run_command(stack, "monthly_reports")
    assert (status, b'"reports": ' in out) == (0, True)
