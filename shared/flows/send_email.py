"""E-mail leaves: at once after what caused it, and else by the job that empties the outbox."""

import asyncio
import time
from collections.abc import Awaitable, Sequence
from typing import Literal

import msgspec

from shared.clients.database import Database
from shared.clients.resend import MailRefused, OutgoingMail, Resend, ResendUnavailable
from shared.core.errors import StoreUnavailable
from shared.core.ids import AccountId
from shared.core.integrations import PublicSettings
from shared.core.log import describe_bug, log_event
from shared.notifications.render import Renderer, Unsayable
from shared.notifications.store import Outbox
from shared.notifications.types import Mail

# Whoever waits for an answer waits for a mail no longer than this; the job sends what is left.
IMMEDIATE_TRY_S = 3.0
# The job runs every minute.
JOB_TIME_S = 45.0
# Then Resend is away, and the rest would only fail as well.
MAX_FAILURES_IN_A_ROW = 3
FIRST_RETRY_S = 60
LONGEST_RETRY_S = 3600
# Resend takes a few mails a second, and asks for a second's patience beyond them: that is waited out, so often for one
# mail.
LONGEST_WAIT_S = 5
MAX_WAITS = 3

Ending = Literal["sent", "waiting", "dead"]


class MailMeans(msgspec.Struct, frozen=True):
    """What sends e-mail; resend is None where none is sent, and the outbox then keeps what is news."""

    outbox: Outbox
    resend: Resend | None
    renderer: Renderer


def open_mail_means(
    database: Database, resend: Resend | None, public: PublicSettings, secret_keys: Sequence[str]
) -> MailMeans:
    """Make the means of a function; secret_keys are newest first."""
    return MailMeans(outbox=Outbox(database), resend=resend, renderer=Renderer(public, secret_keys))


class Emptied(msgspec.Struct):
    """How many mails were sent, wait for another try, were given up."""

    sent: int = 0
    waiting: int = 0
    dead: int = 0


async def send_at_once(means: MailMeans, account_id: AccountId) -> bool:
    """Send what is due to one account, after the transaction that wrote it; return whether any was sent.

    policy  open: whatever fails is logged, a bug too, and left to the job: what caused the mail is done
    """
    try:
        async with asyncio.timeout(IMMEDIATE_TRY_S):
            return (await _send_due(means, account_id, IMMEDIATE_TRY_S)).sent > 0
    except (TimeoutError, StoreUnavailable) as error:
        log_event("mail_left_to_the_job", level="warning", account_id=account_id, reason=type(error).__name__)
    except Exception as bug:  # noqa: BLE001 - logged once here; the request that caused the mail has succeeded
        log_event("mail_crashed", level="error", account_id=account_id, error=describe_bug(bug))
    return False


async def empty_outbox(means: MailMeans) -> Emptied:
    """Send what is due, for as long as the job has time. Two at once send each mail once.

    raises  StoreUnavailable
    """
    return await _send_due(means, None, JOB_TIME_S)


async def _send_due(means: MailMeans, account_id: AccountId | None, within_s: float) -> Emptied:
    emptied, failures, ends_s = Emptied(), 0, time.monotonic() + within_s
    while means.resend is not None and failures < MAX_FAILURES_IN_A_ROW and time.monotonic() < ends_s:
        taken = await means.outbox.take(account_id)
        if not taken.mails and not taken.ended:
            break
        for mail in taken.mails:
            ending = await _send(means.outbox, mail, _leave(means.resend, means.renderer, mail, ends_s))
            failures = failures + 1 if ending == "waiting" else 0
            setattr(emptied, ending, getattr(emptied, ending) + 1)
    return emptied


async def _send(outbox: Outbox, mail: Mail, leaving: Awaitable[str | None]) -> Ending:
    try:
        resend_id = await leaving
    except (Unsayable, MailRefused) as error:
        return await _try_later(outbox, mail, None, error)
    except ResendUnavailable as error:
        asked_s = min(error.retry_after_s or 0, LONGEST_RETRY_S)
        return await _try_later(outbox, mail, max(_pause_s(mail.attempt), asked_s), error)
    # Should this fail, the mail is taken again, and Resend knows its key.
    await outbox.finish(mail.id, resend_id)
    return "sent"


async def _leave(resend: Resend, renderer: Renderer, mail: Mail, ends_s: float) -> str | None:
    """Have a mail sent; return Resend's id of it."""
    rendered = renderer.render(mail)
    outgoing = OutgoingMail(
        to=mail.address,
        subject=rendered.subject,
        text=rendered.text,
        html=rendered.html,
        headers=rendered.headers,
        idempotency_key=f"mail-{mail.id}",
    )
    for _ in range(MAX_WAITS):
        try:
            return await resend.send(outgoing)
        except ResendUnavailable as error:
            wait_s = error.retry_after_s
            is_short = error.is_refused and wait_s is not None and wait_s <= LONGEST_WAIT_S
            if wait_s is None or not is_short or time.monotonic() + wait_s >= ends_s:
                raise
        await asyncio.sleep(wait_s)
    return await resend.send(outgoing)


async def _try_later(
    outbox: Outbox, mail: Mail, after_s: int | None, error: Unsayable | MailRefused | ResendUnavailable
) -> Ending:
    # Of several requests within one try the last one counts: to those before it Resend had said no.
    is_refused = isinstance(error, ResendUnavailable) and error.is_refused
    is_waiting = await outbox.retry(mail, after_s=after_s, reason=str(error), is_refused=is_refused)
    log_event(
        "mail_not_sent",
        level="warning" if is_waiting else "error",
        mail_id=str(mail.id),
        template=mail.template,
        attempt=mail.attempt,
        is_given_up=not is_waiting,
    )
    return "waiting" if is_waiting else "dead"


def _pause_s(attempt: int) -> int:
    """Return 1, 2, 4 … minutes, an hour at most."""
    return min(FIRST_RETRY_S << min(attempt - 1, 10), LONGEST_RETRY_S)
