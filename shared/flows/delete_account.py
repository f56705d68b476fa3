"""End an account: no key of it works from here on, nothing says whose it was, and its ledger stays."""

from shared.accounts.store import Accounts
from shared.accounts.types import Deleted
from shared.core.caller import Caller
from shared.core.verdicts import Refused
from shared.flows.ask import Desk, ask_within_limits


async def delete_account(desk: Desk, accounts: Accounts, caller: Caller, answer_headers: dict[str, str]) -> None:
    """Delete the caller's account and have the limiter forget its keys.

    raises  as ask_within_limits; a second time the key is not known any more
    """

    async def ask() -> Deleted | Refused:
        return await accounts.delete_account(caller)

    deleted = await ask_within_limits(desk, caller, ask, answer_headers)
    # The database knows none of them; what the limiter has would only be in the way of who signs in again.
    await desk.limiter.forget_policies([*deleted.fingerprints, *caller.fingerprints])
