"""Who operates the gateway, as far as a request alone tells; whether a person may, the database says."""

from typing import Any

import msgspec

from shared.core.caller import Caller
from shared.core.ids import RequestId


class Admin(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody who calls a route of admins; caller: None where he has shown ADMIN_API_KEY, and nobody's key."""

    caller: Caller | None
    address: str | None
    request_id: RequestId

    def to_json(self) -> dict[str, Any]:
        """Say it as the SQL functions take it, as p_admin.

        source  gateway.enter_admin in infra/supabase/migrations
        """
        if self.caller is None:
            return {"is_operator": True, "address": self.address, "request_id": self.request_id}
        # Not a scope lets him in, but his role.
        return {**self.caller.to_json(), "scope": None}
