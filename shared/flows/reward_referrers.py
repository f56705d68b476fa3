"""Give those who have brought somebody what his purchase earns them, and take back what it earns them no more."""

from shared.flows.due_work import do_all_due
from shared.trials.codes import Codes


async def reward_referrers(codes: Codes) -> int:
    """Settle all rewards that are due, each referrer's in a transaction of its own; return how many there were.

    raises  StoreUnavailable, after all other referrers, where one could not be settled; a retry is safe, and so are two
            at once: each reward is given once
    """
    return sum(settled.count for settled in await do_all_due(codes.find_due_referrers, codes.reward_referrer))


async def reward_referrer_of(codes: Codes, payment_id: str) -> None:
    """Settle with whom a payment rewards; there is one at most.

    raises  StoreUnavailable; as above
    """
    for account_id in await codes.find_due_referrers(payment_id):
        await codes.reward_referrer(account_id)
