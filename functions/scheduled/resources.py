"""What the jobs are built with once."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec
from fastapi import FastAPI

from shared.billing.reconciliation import Reconciliation
from shared.catalog.books import CatalogBooks
from shared.clients.database import Database
from shared.clients.fernet import Sealer
from shared.clients.http_session import open_session
from shared.clients.object_store import open_object_store
from shared.clients.parameter_store import load_environment
from shared.clients.redis import Redis
from shared.clients.resend import open_resend
from shared.clients.stripe.client import Stripe, open_stripe
from shared.clients.upstream import Upstream
from shared.core.clock import wall_clock_ms
from shared.core.settings import ScheduledSettings
from shared.flows.archive_months import ArchiveMeans
from shared.flows.inference import configure_providers
from shared.flows.manage_keys import ROTATED
from shared.flows.purge import PurgeMeans
from shared.flows.rank_models import RankingMeans
from shared.flows.reconcile_payments import ReconcileMeans
from shared.flows.rotate_keys import RotationMeans
from shared.flows.send_email import MailMeans, open_mail_means
from shared.flows.settle_late import LateMeans
from shared.flows.sync_catalog import CatalogMeans
from shared.flows.sync_means import open_sync_means
from shared.history.chats import History
from shared.keys.store import KeyStore
from shared.ledger.late import LateSettlements
from shared.ledger.store import Ledger
from shared.limits.store import Limiter
from shared.operations.archives import Archives
from shared.operations.state import SLOW_DEADLINE_S, LossWatch
from shared.providers.openrouter import OPENROUTER
from shared.ranking.books import RankingBooks
from shared.trials.store import Trials
from shared.usage.store import UsageBooks
from shared.web.resources import kept_resources

# Nobody waits for a job: a slow Redis is better than a late settlement that stays another minute.
REDIS_DEADLINE_S = 5.0


class ScheduledResources(msgspec.Struct, frozen=True):
    """The jobs' settings and what they work on."""

    settings: ScheduledSettings
    settlements: LateMeans
    losses: LossWatch
    rotations: RotationMeans
    usage: UsageBooks
    catalog: CatalogMeans
    purge: PurgeMeans
    mails: MailMeans
    billing: ReconcileMeans | None
    trials: Trials
    ranking: RankingMeans
    archive: ArchiveMeans


@asynccontextmanager
async def open_resources() -> AsyncIterator[ScheduledResources]:
    """Read the settings and open one session for as long as the jobs run.

    raises  SettingsError, ParametersUnavailable, so that a function that lacks a setting refuses to start
    """
    settings = ScheduledSettings.read(await load_environment())
    stores = settings.stores
    providers = configure_providers(settings.providers)
    async with open_session() as session:
        redis = Redis(session, url=stores.redis_url, token=stores.redis_token, deadline_s=REDIS_DEADLINE_S)
        database = Database(session, url=stores.supabase_url, key=stores.supabase_key)
        upstream, providers = Upstream(session), configure_providers(settings.providers)
        # Thousands of rows at once take longer than any other call.
        slow = Database(session, url=stores.supabase_url, key=stores.supabase_key, deadline_s=SLOW_DEADLINE_S)
        yield ScheduledResources(
            settings=settings,
            settlements=LateMeans(
                late=LateSettlements(redis, wall_clock_ms),
                ledger=Ledger(database),
                upstream=upstream,
                providers=providers,
                clock_ms=wall_clock_ms,
                metrics=settings.metrics,
            ),
            losses=LossWatch(database),
            rotations=RotationMeans(
                store=KeyStore(database),
                sealer=Sealer(settings.secret_keys, purpose=ROTATED),
                secret_keys=settings.secret_keys,
            ),
            usage=UsageBooks(database),
            catalog=CatalogMeans(CatalogBooks(database), upstream, providers),
            purge=PurgeMeans(history=History(database), ledger=Ledger(database), ranking=RankingBooks(database)),
            trials=Trials(database),
            ranking=RankingMeans(
                books=RankingBooks(database),
                upstream=upstream,
                openrouter=providers.get(OPENROUTER.slug) if settings.imports_ranking else None,
            ),
            archive=ArchiveMeans(Archives(slow), open_object_store(settings.archive)),
            billing=_billing(open_stripe(session, settings.stripe), database, redis, settings.secret_keys),
            mails=open_mail_means(database, open_resend(session, settings.mail), settings.public, settings.secret_keys),
        )


def _billing(
    stripe: Stripe | None, database: Database, redis: Redis, secret_keys: tuple[str, ...]
) -> ReconcileMeans | None:
    """Return what payments are compared and mended with; None where nothing is sold."""
    if stripe is None:
        return None
    sync = open_sync_means(stripe, database, Limiter(redis, wall_clock_ms), secret_keys)
    return ReconcileMeans(sync=sync, books=Reconciliation(database), clock_ms=wall_clock_ms)


def resources_of(app: FastAPI) -> ScheduledResources:
    """Return what the lifespan built."""
    return kept_resources(app, ScheduledResources)
