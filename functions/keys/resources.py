"""What the keys function builds once and its routes use."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec
from starlette.requests import Request

from shared.clients.fernet import Sealer
from shared.clients.parameter_store import load_environment
from shared.core.ids import KeyId, parse_key_id
from shared.core.settings import KeysSettings
from shared.flows.manage_keys import ROTATED, SHOWN_ONCE, KeyDesk
from shared.keys.change_refusals import KeyNotFound
from shared.web.auth import Authenticator
from shared.web.desk import open_desk
from shared.web.resources import kept_resources


class KeysResources(msgspec.Struct, frozen=True):
    """The function's settings, who it believes to be calling, and its means for managing keys."""

    settings: KeysSettings
    authenticator: Authenticator
    means: KeyDesk


@asynccontextmanager
async def open_resources() -> AsyncIterator[KeysResources]:
    """Read the settings and open one session for the life of the function.

    raises  SettingsError, ParametersUnavailable
    """
    settings = KeysSettings.read(await load_environment())
    secrets = settings.secret_keys
    async with open_desk(settings) as opened:
        yield KeysResources(
            settings=settings,
            authenticator=opened.authenticator,
            means=KeyDesk(
                desk=opened.desk,
                secret_keys=secrets,
                shown_once=Sealer(secrets, purpose=SHOWN_ONCE),
                rotated=Sealer(secrets, purpose=ROTATED),
            ),
        )


def resources_of(request: Request) -> KeysResources:
    """Return what the lifespan built."""
    return kept_resources(request.app, KeysResources)


def read_key_id(text: str) -> KeyId:
    """Read the id of a key as the API shows it.

    raises  KeyNotFound for what names none
    """
    key_id = parse_key_id(text)
    if key_id is None:
        raise KeyNotFound
    return key_id
