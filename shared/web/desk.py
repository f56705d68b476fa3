"""What a function is opened with that answers people about what is theirs."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec

from shared.clients.database import Database
from shared.clients.http_session import open_session
from shared.clients.privy import Privy, open_privy
from shared.clients.redis import Redis
from shared.core.clock import wall_clock_ms
from shared.core.settings import DeskSettings
from shared.flows.ask import Desk
from shared.limits.store import Limiter
from shared.web.auth import Authenticator


class OpenDesk(msgspec.Struct, frozen=True):
    """The stores behind one session, and who is believed to be calling; privy: None where nobody can sign in."""

    desk: Desk
    authenticator: Authenticator
    privy: Privy | None


@asynccontextmanager
async def open_desk(settings: DeskSettings) -> AsyncIterator[OpenDesk]:
    """Open one session for the life of the function."""
    stores = settings.stores
    async with open_session() as session:
        redis = Redis(session, url=stores.redis_url, token=stores.redis_token)
        privy = open_privy(session, settings.privy)
        yield OpenDesk(
            desk=Desk(
                limiter=Limiter(redis, wall_clock_ms),
                database=Database(session, url=stores.supabase_url, key=stores.supabase_key),
            ),
            authenticator=Authenticator(settings.secret_keys, settings.address_source, privy),
            privy=privy,
        )
