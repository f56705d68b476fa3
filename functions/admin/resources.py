"""What the admin function builds once and its routes use."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import msgspec
from starlette.requests import Request

from shared.clients.database import Database
from shared.clients.fernet import Sealer
from shared.clients.http_session import open_session
from shared.clients.parameter_store import load_environment
from shared.clients.redis import Redis
from shared.core.admin import Admin
from shared.core.clock import wall_clock_ms
from shared.core.ids import AccountId, parse_user_id
from shared.core.receipts import Receipt
from shared.core.settings import AdminSettings
from shared.core.verdicts import Refused
from shared.flows.ask_as_admin import AdminDesk, AdminPetition, Changed, Told, ask_as_admin, change_as_admin
from shared.flows.provision_user import SHOWN_ONCE, ProvisionMeans
from shared.flows.read_monitor import HealthScripts, MonitorMeans
from shared.flows.retry_dead_letter import RetryMeans
from shared.ledger.late import LateSettlements
from shared.operations.accounts import AdminAccounts
from shared.operations.refusals import UserNotFound
from shared.operations.sales import AdminCatalog
from shared.operations.state import SLOW_DEADLINE_S, OperatedState
from shared.providers.registry import PROVIDERS
from shared.routing.records import HealthRecords
from shared.web.auth import Authenticator
from shared.web.context import context_of
from shared.web.desk import open_desk
from shared.web.receipts import read_receipt
from shared.web.resources import kept_resources

# Nobody waits for these numbers as for an answer of a model.
REDIS_DEADLINE_S = 1.0


class AdminResources(msgspec.Struct, frozen=True):
    """The function's settings, who it believes to be calling, and its means."""

    settings: AdminSettings
    authenticator: Authenticator
    desk: AdminDesk
    accounts: AdminAccounts
    catalog: AdminCatalog
    state: OperatedState
    provisioning: ProvisionMeans
    retries: RetryMeans
    monitor: MonitorMeans


@asynccontextmanager
async def open_resources() -> AsyncIterator[AdminResources]:
    """Read the settings and open one session for the life of the function.

    raises  SettingsError, ParametersUnavailable
    """
    settings = AdminSettings.read(await load_environment())
    stores = settings.stores
    async with open_desk(settings) as opened, open_session() as session:
        database = opened.desk.database
        slow = Database(session, url=stores.supabase_url, key=stores.supabase_key, deadline_s=SLOW_DEADLINE_S)
        redis = Redis(session, url=stores.redis_url, token=stores.redis_token, deadline_s=REDIS_DEADLINE_S)
        desk, late = AdminDesk(opened.desk, settings.secret_keys), LateSettlements(redis, wall_clock_ms)
        state = OperatedState(database, slow)
        yield AdminResources(
            settings=settings,
            authenticator=opened.authenticator,
            desk=desk,
            accounts=AdminAccounts(database),
            catalog=AdminCatalog(database),
            state=state,
            provisioning=ProvisionMeans(desk, Sealer(settings.secret_keys, purpose=SHOWN_ONCE)),
            retries=RetryMeans(desk, state, late, wall_clock_ms),
            monitor=MonitorMeans(
                opened.desk, state, late, HealthRecords(HealthScripts(redis), tuple(PROVIDERS), wall_clock_ms)
            ),
        )


def resources_of(request: Request) -> AdminResources:
    """Return what the lifespan built."""
    return kept_resources(request.app, AdminResources)


async def enter(request: Request) -> tuple[AdminResources, Admin]:
    """Return what answers, and who asks; whether he may, the database says.

    raises  MissingApiKey, InvalidApiKey, InvalidToken, IdentityProviderUnavailable
    """
    resources = resources_of(request)
    return resources, await resources.authenticator.admin_of(request, resources.settings.admin_api_key)


async def ask[Answer: Told](
    request: Request, admin: Admin, question: Callable[[], Awaitable[Answer | Refused]]
) -> Answer:
    """Ask for an admin who has entered.

    raises  as ask_as_admin
    """
    return await ask_as_admin(
        resources_of(request).desk.desk, admin, question, context_of(request.scope).answer_headers
    )


async def change[Answer: Changed](
    request: Request, admin: Admin, question: Callable[[Receipt], Awaitable[Answer | Refused]]
) -> Answer:
    """Have something changed for an admin who has entered, once for each Idempotency-Key.

    raises  as change_as_admin; InvalidRequest for an Idempotency-Key that cannot be one
    """
    return await change_as_admin(resources_of(request).desk, await petition_of(request, admin), question)


async def petition_of(request: Request, admin: Admin) -> AdminPetition:
    """Return the change that is asked for, as it is known when it comes again.

    raises  InvalidRequest for an Idempotency-Key that cannot be one
    """
    receipt = await read_receipt(request, resources_of(request).settings.secret_keys)
    return AdminPetition(admin=admin, receipt=receipt, answer_headers=context_of(request.scope).answer_headers)


def read_user_id(text: str) -> AccountId:
    """Read the id of an account as the API shows it.

    raises  UserNotFound for what names none
    """
    account_id = parse_user_id(text)
    if account_id is None:
        raise UserNotFound("An account's id is such as user_1000. GET /admin/users lists those there are.", param="id")
    return account_id
