"""Speaks as Supabase's own gateway does: the /rest/v1 prefix, and API keys turned into the roles they stand for.

python -m infra.local.supabase_front --port N --postgrest-port M      (keys and JWTs come from the environment)
"""

import argparse
import asyncio
import json
import os
from dataclasses import dataclass

import aiohttp
from aiohttp import web
from multidict import CIMultiDict

from infra.local.credentials import Credentials
from infra.local.ports import LOOPBACK

PREFIX = "/rest/v1"
HEALTH_PATH = "/front/health"
UPSTREAM_TIMEOUT_S = 60

# Hop by hop (RFC 9110, 7.6.1), or written anew by the side that sends.
NOT_FORWARDED = frozenset({
    "apikey", "authorization", "connection", "content-length", "host", "keep-alive", "transfer-encoding", "upgrade"
})  # fmt: skip
NOT_RETURNED = frozenset({"connection", "content-length", "keep-alive", "transfer-encoding", "server", "date"})


@dataclass(frozen=True, slots=True)
class FrontKeys:
    """Which keys are known; role_authorizations: the new keys and the Authorization each stands for."""

    role_authorizations: dict[str, str]
    legacy_keys: frozenset[str]

    @classmethod
    def of(cls, credentials: Credentials) -> "FrontKeys":
        """Derive the four keys of a stack."""
        anon, service_role = credentials.role_jwt("anon"), credentials.role_jwt("service_role")
        return cls(
            {credentials.publishable_key: f"Bearer {anon}", credentials.secret_key: f"Bearer {service_role}"},
            frozenset({anon, service_role}),
        )

    def authorization(self, api_key: str, authorization: str | None) -> str | None:
        """Return the Authorization for PostgREST; None lets it take the anonymous role.

        raises  KeyError for a key that is not this stack's
        """
        if api_key in self.legacy_keys:
            return authorization
        mapped = self.role_authorizations[api_key]
        if authorization is None or authorization == f"Bearer {api_key}":
            return mapped
        if authorization.startswith("Bearer sb_"):
            raise KeyError(api_key)
        return authorization


class SupabaseFront:
    """The handler of every request."""

    def __init__(self, session: aiohttp.ClientSession, postgrest_port: int, keys: FrontKeys) -> None:
        self._session = session
        self._postgrest = f"http://{LOOPBACK}:{postgrest_port}"
        self._keys = keys

    async def answer(self, request: web.BaseRequest) -> web.Response:
        """Check the key and pass the request on as the role it stands for.

        policy  a store that does not answer is 502, an unknown key 401
        """
        if request.path == HEALTH_PATH:
            return web.Response(text="ok")
        if request.path != PREFIX and not request.path.startswith(f"{PREFIX}/"):
            return _message(404, "no Route matched with those values")
        api_key = request.headers.get("apikey")
        if api_key is None:
            return _message(401, "No API key found in request", "No `apikey` request header or url param was found.")
        try:
            authorization = self._keys.authorization(api_key, request.headers.get("Authorization"))
        except KeyError:
            return _message(401, "Invalid API key", "Double check your Supabase `anon` or `service_role` API key.")
        return await self._forward(request, authorization)

    async def _forward(self, request: web.BaseRequest, authorization: str | None) -> web.Response:
        headers = CIMultiDict((name, value) for name, value in request.headers.items()
                              if name.lower() not in NOT_FORWARDED)  # fmt: skip
        if authorization is not None:
            headers["Authorization"] = authorization
        url = self._postgrest + (request.raw_path[len(PREFIX) :] or "/")
        body = await request.read() if request.body_exists else None
        try:
            async with self._session.request(request.method, url, headers=headers, data=body) as response:
                content = await response.read()
        except (aiohttp.ClientError, TimeoutError):
            return _message(502, "An invalid response was received from the upstream server")
        kept = [(name, value) for name, value in response.headers.items() if name.lower() not in NOT_RETURNED]
        return web.Response(status=response.status, body=content, headers=CIMultiDict(kept))


async def serve(port: int, postgrest_port: int, keys: FrontKeys) -> None:
    """Serve on loopback until cancelled."""
    session = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=60),
        timeout=aiohttp.ClientTimeout(total=UPSTREAM_TIMEOUT_S),
        auto_decompress=False,
        skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
    )
    async with session:
        front = SupabaseFront(session, postgrest_port, keys)
        server = web.Server(front.answer, access_log=None)
        runner = web.ServerRunner(server, handle_signals=True)
        await runner.setup()
        await web.TCPSite(runner, LOOPBACK, port, backlog=1024).start()
        try:
            await asyncio.Event().wait()
        finally:
            await runner.cleanup()


def _message(status: int, message: str, hint: str | None = None) -> web.Response:
    body = {"message": message} if hint is None else {"message": message, "hint": hint}
    return web.Response(status=status, text=json.dumps(body), content_type="application/json")


def main() -> None:
    """Read the command line and the credentials, and serve."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--postgrest-port", type=int, required=True)
    arguments = parser.parse_args()
    keys = FrontKeys.of(Credentials(**json.loads(os.environ["STACK_CREDENTIALS"])))
    try:
        asyncio.run(serve(arguments.port, arguments.postgrest_port, keys))
    except web.GracefulExit:
        return


if __name__ == "__main__":
    main()
