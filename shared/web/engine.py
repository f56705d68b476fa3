"""What every function works with that has providers answer, opened for the life of the function."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec

from shared.clients.collector import open_collector
from shared.clients.database import Database
from shared.clients.fernet import Sealer
from shared.clients.http_session import open_session
from shared.clients.privy import open_privy
from shared.clients.redis import Redis
from shared.clients.upstream import Upstream
from shared.core.clock import wall_clock_ms
from shared.core.settings import InferenceSettings
from shared.flows.ask import Desk
from shared.flows.inference import Inference, configure_providers
from shared.ledger.late import LateSettlements
from shared.ledger.store import Ledger
from shared.limits.store import Limiter
from shared.routing.health import ProviderHealth
from shared.routing.store import SharedHealth
from shared.web.auth import Authenticator


class Engine(msgspec.Struct, frozen=True):
    """Who calls, who answers people about what is theirs, and who has providers answer."""

    authenticator: Authenticator
    desk: Desk
    inference: Inference


@asynccontextmanager
async def open_engine(settings: InferenceSettings) -> AsyncIterator[Engine]:
    """Open one session, and what speaks over it.

    raises  SettingsError where spans are to be sent and cannot be
    """
    stores = settings.stores
    async with open_session() as session:
        redis = Redis(session, url=stores.redis_url, token=stores.redis_token)
        desk = Desk(
            limiter=Limiter(redis, wall_clock_ms),
            database=Database(session, url=stores.supabase_url, key=stores.supabase_key),
        )
        privy = open_privy(session, settings.privy)
        health = ProviderHealth(wall_clock_ms)
        yield Engine(
            authenticator=Authenticator(settings.secret_keys, settings.address_source, privy),
            desk=desk,
            inference=Inference(
                ledger=Ledger(desk.database),
                limiter=desk.limiter,
                late=LateSettlements(redis, wall_clock_ms),
                upstream=Upstream(session),
                health=health,
                shared_health=SharedHealth(redis, health),
                providers=configure_providers(settings.providers),
                time_limit_s=settings.time_limit_s,
                connection_silence_limit_s=settings.connection_silence_limit_s,
                silence_limit_s=settings.silence_limit_s,
                hold_grace_s=settings.hold_grace_s,
                sees_hang_ups=settings.address_source.tells_of_hang_ups,
                sealer=Sealer(settings.secret_keys, purpose="kept answers"),
                collector=open_collector(session, settings.collector),
                metrics=settings.metrics,
            ),
        )
