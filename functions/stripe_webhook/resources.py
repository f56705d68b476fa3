"""What the function that Stripe calls builds once."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec
from starlette.requests import Request

from shared.clients.database import Database
from shared.clients.http_session import open_session
from shared.clients.parameter_store import load_environment
from shared.clients.redis import Redis
from shared.clients.resend import open_resend
from shared.clients.stripe.client import open_stripe
from shared.core.clock import wall_clock_ms
from shared.core.settings import StripeWebhookSettings
from shared.flows.send_email import MailMeans, open_mail_means
from shared.flows.sync_means import SyncMeans, open_sync_means
from shared.limits.store import Limiter
from shared.web.resources import kept_resources


class StripeWebhookResources(msgspec.Struct, frozen=True):
    """The function's settings, and what events are handled with; means: None where nothing is sold."""

    settings: StripeWebhookSettings
    means: SyncMeans | None
    mails: MailMeans

    @property
    def webhook_secrets(self) -> tuple[str, ...]:
        """What Stripe may have signed with."""
        return self.settings.stripe.webhook_secrets if self.settings.stripe else ()


@asynccontextmanager
async def open_resources() -> AsyncIterator[StripeWebhookResources]:
    """Read the settings and open one session for the life of the function.

    raises  SettingsError, ParametersUnavailable
    """
    settings = StripeWebhookSettings.read(await load_environment())
    stores, secret_keys = settings.stores, settings.secret_keys
    async with open_session() as session:
        redis = Redis(session, url=stores.redis_url, token=stores.redis_token)
        database = Database(session, url=stores.supabase_url, key=stores.supabase_key)
        stripe = open_stripe(session, settings.stripe)
        limiter = Limiter(redis, wall_clock_ms)
        yield StripeWebhookResources(
            settings=settings,
            means=open_sync_means(stripe, database, limiter, secret_keys) if stripe else None,
            mails=open_mail_means(database, open_resend(session, settings.mail), settings.public, secret_keys),
        )


def resources_of(request: Request) -> StripeWebhookResources:
    """Return what the lifespan built."""
    return kept_resources(request.app, StripeWebhookResources)
