"""What the function of sign-ins builds once and its route uses."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec
from starlette.requests import Request

from shared.clients.fernet import Sealer
from shared.clients.parameter_store import load_environment
from shared.core.settings import AuthSettings
from shared.flows.sign_in import Door
from shared.web.desk import OpenDesk, open_desk
from shared.web.resources import kept_resources


class AuthResources(msgspec.Struct, frozen=True):
    """The settings, and the way in; None where the operator has no app at Privy."""

    settings: AuthSettings
    door: Door | None


@asynccontextmanager
async def open_resources() -> AsyncIterator[AuthResources]:
    """Read the settings and open one session for the life of the function.

    raises  SettingsError, ParametersUnavailable
    """
    settings = AuthSettings.read(await load_environment())
    async with open_desk(settings) as opened:
        yield AuthResources(settings, _door(settings, opened))


def _door(settings: AuthSettings, opened: OpenDesk) -> Door | None:
    if opened.privy is None:
        return None
    return Door(
        verifier=opened.privy,
        desk=opened.desk,
        secret_keys=settings.secret_keys,
        sealer=Sealer(settings.secret_keys, purpose="first keys"),
    )


def resources_of(request: Request) -> AuthResources:
    """Return what the lifespan built."""
    return kept_resources(request.app, AuthResources)
