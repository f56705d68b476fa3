"""The sweep behind every crash: what a request held and never settled is let go when its time is over."""

from shared.ledger.store import Ledger

# Some hundreds of wallets each; what is left waits for the next minute.
MOST_CALLS = 20


async def sweep_settlements(ledger: Ledger) -> int:
    """Bring wallets with overdue holds or expired lots to the present; return how many.

    A wallet that is busy is passed over: whoever uses it does the same under its lock.

    raises  StoreUnavailable; a retry is safe, and so are two at once
    """
    count = 0
    for _ in range(MOST_CALLS):
        swept = await ledger.expire_holds()
        count += swept.wallets
        if swept.wallets == 0:
            break
    return count
