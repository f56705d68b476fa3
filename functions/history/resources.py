"""What the history function builds once and its routes use."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import msgspec
from starlette.requests import Request

from shared.clients.parameter_store import load_environment
from shared.core.caller import Caller
from shared.core.ids import ChatSessionId, parse_chat_session_id
from shared.core.receipts import Receipt, note_replay
from shared.core.settings import HistorySettings
from shared.core.verdicts import Refused
from shared.flows.ask import Desk, Told, ask_within_limits
from shared.flows.own_receipt import own_receipt
from shared.history.chat_refusals import SessionNotFound
from shared.history.chat_types import MessageTold, SessionTold
from shared.history.chats import History
from shared.web.auth import Authenticator
from shared.web.context import context_of
from shared.web.desk import open_desk
from shared.web.receipts import read_receipt
from shared.web.resources import kept_resources


class HistoryResources(msgspec.Struct, frozen=True):
    """The function's settings, who it believes to be calling, and what it answers from."""

    settings: HistorySettings
    authenticator: Authenticator
    desk: Desk
    history: History


@asynccontextmanager
async def open_resources() -> AsyncIterator[HistoryResources]:
    """Read the settings and open one session for the life of the function.

    raises  SettingsError, ParametersUnavailable
    """
    settings = HistorySettings.read(await load_environment())
    async with open_desk(settings) as opened:
        yield HistoryResources(
            settings=settings,
            authenticator=opened.authenticator,
            desk=opened.desk,
            history=History(opened.desk.database),
        )


def resources_of(request: Request) -> HistoryResources:
    """Return what the lifespan built."""
    return kept_resources(request.app, HistoryResources)


async def enter(request: Request) -> tuple[Caller, History]:
    """Return who calls, and where his chats are.

    raises  MissingApiKey, InvalidApiKey, InvalidToken, IdentityProviderUnavailable
    """
    resources = resources_of(request)
    return await resources.authenticator.caller_of(request), resources.history


async def ask[Answer: Told](
    request: Request, caller: Caller, question: Callable[[], Awaitable[Answer | Refused]]
) -> Answer:
    """Ask for a caller who has entered.

    raises  as ask_within_limits
    """
    answer_headers = context_of(request.scope).answer_headers
    return await ask_within_limits(resources_of(request).desk, caller, question, answer_headers)


async def ask_once[Answer: (SessionTold, MessageTold)](
    request: Request, caller: Caller, change: Callable[[Receipt], Awaitable[Answer | Refused]]
) -> Answer:
    """Have something made for a caller who has entered, once for each Idempotency-Key.

    raises  as ask_within_limits; InvalidRequest for an Idempotency-Key that cannot be one
    """
    secret_keys = resources_of(request).settings.secret_keys
    given = await read_receipt(request, secret_keys)
    receipt = own_receipt(given, caller, secret_keys)
    told = await ask(request, caller, lambda: change(receipt))
    if told.is_replayed and given is not None:
        note_replay(context_of(request.scope).answer_headers)
    return told


def read_session_id(request: Request) -> ChatSessionId:
    """Read which session a path names.

    raises  SessionNotFound for what names none
    """
    session_id = parse_chat_session_id(request.path_params["session_id"])
    if session_id is None:
        raise SessionNotFound
    return session_id
