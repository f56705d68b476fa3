"""Stands in for Privy on this machine: publishes its key as Privy does, and issues tokens to whoever asks.

python -m infra.local.privy_issuer --port N --key path/to/privy_key.pem

GET /api/v1/apps/{app id}/jwks.json       the key set
GET /token?user=ada                       an access token, as plain text
GET /token?user=ada&kind=identity         an identity token; &email=… is the address that it vouches for
"""

import argparse
import asyncio
import json
import re
from pathlib import Path

from aiohttp import web

from infra.local.ports import LOOPBACK
from infra.local.privy_tokens import LOCAL_APP_ID, SigningKey, access_claims, identity_claims

HEALTH_PATH = "/health"
JWKS_PATH = f"/api/v1/apps/{LOCAL_APP_ID}/jwks.json"
USER = re.compile(r"(?:did:privy:)?([\w-]{1,100})", re.ASCII)
KINDS = ("access", "identity")


class Issuer:
    """The handlers. No page of a browser reads a token here: no CORS header, and no name but loopback's is answered."""

    def __init__(self, key: SigningKey, port: int) -> None:
        self._key = key
        self._hosts = {f"{name}:{port}" for name in (LOOPBACK, "localhost")}

    async def health(self, _request: web.Request) -> web.Response:
        """Say that it is there."""
        return web.Response(text="ok")

    async def key_set(self, _request: web.Request) -> web.Response:
        """Publish the key."""
        return web.json_response({"keys": [self._key.jwk]})

    async def token(self, request: web.Request) -> web.Response:
        """Issue a token to whoever the query says he is."""
        if request.host not in self._hosts:
            return _refused(403, f"ask for it at http://{LOOPBACK}")
        user = USER.fullmatch(request.query.get("user", "demo"))
        kind = request.query.get("kind", "access")
        if user is None or kind not in KINDS:
            return _refused(400, f"user: letters, digits, - and _; kind: {' or '.join(KINDS)}")
        user_id = f"did:privy:{user[1]}"
        if kind == "access":
            return web.Response(text=self._key.sign(access_claims(LOCAL_APP_ID, user_id)))
        return web.Response(text=self._key.sign(identity_claims(LOCAL_APP_ID, user_id, request.query.get("email"))))


async def serve(port: int, key: SigningKey) -> None:
    """Serve on loopback until cancelled."""
    issuer = Issuer(key, port)
    app = web.Application()
    app.router.add_get(HEALTH_PATH, issuer.health)
    app.router.add_get(JWKS_PATH, issuer.key_set)
    app.router.add_get("/token", issuer.token)
    runner = web.AppRunner(app, access_log=None, handle_signals=True)
    await runner.setup()
    await web.TCPSite(runner, LOOPBACK, port).start()
    try:
        await asyncio.Event().wait()
    finally:
        await runner.cleanup()


def _refused(status: int, message: str) -> web.Response:
    return web.Response(status=status, text=json.dumps({"error": message}), content_type="application/json")


def main() -> None:
    """Read the command line and serve."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--key", type=Path, required=True)
    arguments = parser.parse_args()
    try:
        asyncio.run(serve(arguments.port, SigningKey.load_or_create(arguments.key)))
    except web.GracefulExit:
        return


if __name__ == "__main__":
    main()
