"""Who is calling, as far as a request alone tells; whether that key exists and what it may do, the database says."""

from typing import Any

import msgspec

from shared.core.ids import KeyEnvironment, RequestId
from shared.core.scopes import Scope


class CallingApp(msgspec.Struct, frozen=True):
    """The app that a request says it comes from: the address that is its name, and what it calls itself."""

    url: str
    title: str | None = None


class Caller(msgspec.Struct, frozen=True, kw_only=True):
    """The key's fingerprints, newest secret first, what its route asks for, and where the request came from.

    scope: None where any key will do; is_session: someone signed in with Privy calls, and no API key; is_counted: the
    limiter has counted the request, when something was looked up for it; app: None where the request names none
    units   received_s: when it came, on the monotonic clock; the request's deadline counts from there
    """

    fingerprints: tuple[str, ...]
    scope: Scope | None
    environment: KeyEnvironment
    address: str | None
    origin_host: str | None
    request_id: RequestId
    is_session: bool
    received_s: float
    is_counted: bool = False
    app: CallingApp | None = None

    def counted(self) -> "Caller":
        """Return the caller of a request that counts no more."""
        return msgspec.structs.replace(self, is_counted=True)

    def to_json(self) -> dict[str, Any]:
        """Say it as the SQL functions take it, as p_caller.

        source  gateway.read_caller in infra/supabase/migrations
        """
        return {
            "key_hmacs": list(self.fingerprints),
            "scope": self.scope,
            "address": self.address,
            "origin_host": self.origin_host,
            "request_id": self.request_id,
        }
