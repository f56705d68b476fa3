"""What the billing function builds once and its routes use."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import msgspec
from starlette.requests import Request

from shared.billing.plan_changes import PlanChanges
from shared.billing.plans import Plans
from shared.billing.store import Payments
from shared.clients.http_session import open_session
from shared.clients.parameter_store import load_environment
from shared.clients.resend import open_resend
from shared.clients.stripe.client import Stripe, open_stripe
from shared.core.caller import Caller
from shared.core.settings import BillingSettings
from shared.core.verdicts import Refused
from shared.flows.ask import Desk, Told, ask_within_limits
from shared.flows.send_email import MailMeans, open_mail_means
from shared.flows.sync_means import open_sync_means
from shared.flows.till import Till
from shared.web.auth import Authenticator
from shared.web.context import context_of
from shared.web.desk import open_desk
from shared.web.resources import kept_resources


class BillingResources(msgspec.Struct, frozen=True):
    """The function's settings, who it believes to be calling, and what it answers from.

    till: None where nothing is sold
    """

    settings: BillingSettings
    authenticator: Authenticator
    desk: Desk
    mail: MailMeans
    till: Till | None

    @property
    def payments(self) -> Payments:
        """What was paid."""
        return Payments(self.desk.database)

    @property
    def plans(self) -> Plans:
        """What is offered, and what somebody has."""
        return Plans(self.desk.database)

    @property
    def changes(self) -> PlanChanges:
        """Who pays at Stripe, and for what."""
        return PlanChanges(self.desk.database)


@asynccontextmanager
async def open_resources() -> AsyncIterator[BillingResources]:
    """Read the settings and open one session for the life of the function.

    raises  SettingsError, ParametersUnavailable
    """
    settings = BillingSettings.read(await load_environment())
    async with open_desk(settings) as opened, open_session() as session:
        desk, secret_keys = opened.desk, settings.secret_keys
        resend = open_resend(session, settings.mail)
        mail = open_mail_means(desk.database, resend, settings.public, secret_keys)
        stripe = open_stripe(session, settings.stripe)
        yield BillingResources(
            settings=settings,
            authenticator=opened.authenticator,
            desk=desk,
            mail=mail,
            till=None if stripe is None else _open_till(settings, stripe, desk, mail),
        )


def resources_of(request: Request) -> BillingResources:
    """Return what the lifespan built."""
    return kept_resources(request.app, BillingResources)


async def enter(request: Request) -> Caller:
    """Return who calls.

    raises  MissingApiKey, InvalidApiKey, InvalidToken, IdentityProviderUnavailable
    """
    return await resources_of(request).authenticator.caller_of(request)


async def ask[Answer: Told](
    request: Request, caller: Caller, question: Callable[[Caller], Awaitable[Answer | Refused]]
) -> Answer:
    """Ask one of the stores for a caller who has entered.

    raises  as ask_within_limits
    """

    async def ask_now() -> Answer | Refused:
        return await question(caller)

    answer_headers = context_of(request.scope).answer_headers
    return await ask_within_limits(resources_of(request).desk, caller, ask_now, answer_headers)


def _open_till(settings: BillingSettings, stripe: Stripe, desk: Desk, mail: MailMeans) -> Till:
    return Till(
        desk=desk,
        means=open_sync_means(stripe, desk.database, desk.limiter, settings.secret_keys),
        plans=Plans(desk.database),
        changes=PlanChanges(desk.database),
        mail=mail,
        page_url=f"{settings.public.app_url}/billing",
    )
