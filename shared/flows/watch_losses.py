"""Raise the alarm when the house loses more in a day than it may; the database has paused trials by then."""

from shared.core.log import log_event
from shared.operations.state import LossWatch


async def watch_losses(watch: LossWatch) -> int:
    """Write the line that the alarm listens for, once a day; return how many were written.

    raises  StoreUnavailable; a retry is safe
    """
    alarm = await watch.take_alarm()
    if not alarm.is_due:
        return 0
    log_event(
        "house_loss_bound_passed",
        level="error",
        loss_nanos=alarm.loss_nanos,
        trial_spend_nanos=alarm.trial_spend_nanos,
        bound_nanos=alarm.bound_nanos or 0,
    )
    return 1
