"""Last month's usage, by e-mail, to whoever wants it."""

import time

from shared.flows.due_work import repeat_until_none
from shared.notifications.store import Outbox

# Of a hundred reports each, and for so long.
MAX_BATCHES = 1000
JOB_TIME_S = 45.0
# Of a thousand mails each.
MAX_FORGETTINGS = 20


async def report_usage(outbox: Outbox) -> int:
    """Put the reports of last month into the outbox, in the first days of a month; return how many.

    Once for each account, however often this runs: what one run does not reach, the next day's does.

    raises  StoreUnavailable
    """
    reports, after, ends_s = 0, 0, time.monotonic() + JOB_TIME_S
    for _ in range(MAX_BATCHES):
        if time.monotonic() >= ends_s:
            break
        put = await outbox.put_usage_reports(after)
        reports += put.count
        if put.next is None:
            break
        after = put.next
    return reports


async def forget_mails(outbox: Outbox) -> int:
    """Erase what is three months old; return how many.

    raises  StoreUnavailable
    """
    return await repeat_until_none(outbox.forget, most_calls=MAX_FORGETTINGS)
