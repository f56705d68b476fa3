"""How a change is known when our own second attempt, after a connection that broke, brings it to the database again."""

from collections.abc import Sequence

from shared.core.admin import Admin
from shared.core.caller import Caller
from shared.core.receipts import Receipt
from shared.keys.fingerprint import fingerprints


def own_receipt(receipt: Receipt | None, caller: Caller | Admin, secret_keys: Sequence[str]) -> Receipt:
    """Return the receipt of the request's Idempotency-Key; without one, a receipt by the request's own id.

    So a request that the database client asks twice finds what its first attempt has made, and is not refused for it.
    """
    if receipt is not None:
        return receipt
    hmacs = fingerprints(f"request {caller.request_id}", secret_keys)
    return Receipt(key_hmacs=hmacs, body_hmacs=hmacs, route="this request")
