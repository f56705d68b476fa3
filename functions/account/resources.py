"""What the account function builds once and its routes use."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import msgspec
from starlette.requests import Request

from shared.accounts.store import Accounts
from shared.clients.http_session import open_session
from shared.clients.parameter_store import load_environment
from shared.clients.resend import open_resend
from shared.core.caller import Caller
from shared.core.settings import AccountSettings
from shared.core.verdicts import Refused
from shared.flows.ask import Desk, Told, ask_within_limits
from shared.flows.send_email import MailMeans, open_mail_means
from shared.usage.store import UsageBooks
from shared.web.auth import Authenticator
from shared.web.context import context_of
from shared.web.desk import open_desk
from shared.web.resources import kept_resources


class AccountResources(msgspec.Struct, frozen=True):
    """The function's settings, who it believes to be calling, and what it answers from."""

    settings: AccountSettings
    authenticator: Authenticator
    desk: Desk
    accounts: Accounts
    usage: UsageBooks
    mails: MailMeans


@asynccontextmanager
async def open_resources() -> AsyncIterator[AccountResources]:
    """Read the settings and open one session for the life of the function.

    raises  SettingsError, ParametersUnavailable
    """
    settings = AccountSettings.read(await load_environment())
    async with open_desk(settings) as opened, open_session() as session:
        database = opened.desk.database
        yield AccountResources(
            settings=settings,
            authenticator=opened.authenticator,
            desk=opened.desk,
            accounts=Accounts(database),
            usage=UsageBooks(database),
            mails=open_mail_means(database, open_resend(session, settings.mail), settings.public, settings.secret_keys),
        )


def resources_of(request: Request) -> AccountResources:
    """Return what the lifespan built."""
    return kept_resources(request.app, AccountResources)


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
