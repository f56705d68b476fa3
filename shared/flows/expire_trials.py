"""Close the trials that are over, and write those who have one that it soon ends."""

import msgspec

from shared.flows.due_work import do_all_due
from shared.trials.store import Trials


class ExpiryCounts(msgspec.Struct, frozen=True, kw_only=True):
    """What was done."""

    ended: int
    reminded: int


async def expire_trials(trials: Trials) -> ExpiryCounts:
    """Look after every trial that is due, each in a transaction of its own.

    raises  StoreUnavailable, after all other trials, where one could not be closed; a retry is safe, and so are two at
            once: each trial is closed once
    """
    verdicts = [closed.verdict for closed in await do_all_due(trials.find_due, trials.expire)]
    return ExpiryCounts(ended=verdicts.count("ended"), reminded=verdicts.count("reminded"))
