"""Someone who calls, as our servers say it to the database."""

import time

from shared.core.caller import Caller
from shared.core.ids import RequestId
from shared.core.scopes import Scope
from shared.keys.fingerprint import fingerprints


def caller_of(api_key: str, *secret_keys: str, scope: Scope | None = "inference", address: str | None = None) -> Caller:
    """Return the caller who presents this key, under these secrets of ours, newest first."""
    return Caller(
        fingerprints=fingerprints(api_key, secret_keys),
        scope=scope,
        environment="live",
        address=address,
        origin_host=None,
        request_id=RequestId("req_test"),
        is_session=False,
        received_s=time.monotonic(),
    )
