"""Last month's usage, by e-mail, to whoever wants it."""

from shared.notifications.store import Outbox

# Of a hundred accounts each.
MAX_BATCHES = 100
# Of a thousand mails each.
MAX_FORGETTINGS = 20


async def report_usage(outbox: Outbox) -> int:
    """Put the reports of last month into the outbox, in the first days of a month; return how many.

    Once for each account, however often this runs: what one run does not reach, the next day's does.

    raises  StoreUnavailable
    """
    reports, after = 0, 0
    for _ in range(MAX_BATCHES):
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
    total = 0
    for _ in range(MAX_FORGETTINGS):
        count = await outbox.forget()
        total += count
        if count == 0:
            break
    return total
