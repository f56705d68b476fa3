from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from infra.local.privy_tokens import SigningKey
from shared.clients.http_session import open_session
from shared.clients.key_set import KeySet
from shared.clients.privy import Privy
from tests.harness.privy import PrivyTokens
from tests.shared.clients.privy_world import Clock, PrivyServer, World


@pytest.fixture
async def world() -> AsyncIterator[World]:
    key, clock = SigningKey.generate(), Clock()
    server = PrivyServer(key)
    app = web.Application()
    app.router.add_get("/jwks.json", server.serve)
    app.router.add_get("/elsewhere.json", _another_set)
    tokens = PrivyTokens(key)
    async with TestServer(app, host="127.0.0.1") as running, open_session() as session:
        keys = KeySet(session, str(running.make_url("/jwks.json")), clock_s=clock)
        yield World(server, Privy(tokens.app_id, keys), tokens, clock)


@pytest.fixture
def static() -> tuple[Privy, PrivyTokens]:
    """A client that knows Privy's key from its settings and asks nobody."""
    tokens = PrivyTokens(SigningKey.generate())
    return Privy(tokens.app_id, tokens.key.public_pem), tokens


async def _another_set(_request: web.Request) -> web.Response:
    return web.json_response({"keys": [SigningKey.generate().jwk]})
