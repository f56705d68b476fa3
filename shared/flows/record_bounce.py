"""Resend tells that mail came back: nobody writes to that address any more."""

from collections.abc import Mapping

from shared.clients.resend import read_bounce
from shared.core.log import log_event
from shared.notifications.store import Outbox

# Ours go to one.
MAX_ADDRESSES = 10


async def record_bounce(outbox: Outbox, body: bytes, headers: Mapping[str, str], secret: str) -> None:
    """Take an event of Resend's in; it may come again, and in any order.

    raises  InvalidSignature, StoreUnavailable: Resend then sends it again
    """
    bounce = read_bounce(body, headers, secret)
    if bounce is None:
        return
    for address in bounce.addresses[:MAX_ADDRESSES]:
        accounts = await outbox.record_bounce(address, bounce.kind)
        log_event("email_bounced", kind=bounce.kind, accounts=accounts)
