"""Supabase through PostgREST: one POST per call of a function in the schema `api`."""

import asyncio
from collections.abc import Mapping, Sequence

import aiohttp
import msgspec

from shared.core.errors import StoreUnavailable
from shared.core.log import log_event

DEADLINE_S = 5.0
ATTEMPTS = 2
# Enough of a database error's message to find its cause; its details are not logged, they may quote rows.
ERROR_TEXT_LENGTH = 200

Argument = str | int | bool | None | Sequence[object] | Mapping[str, object]


class Database:
    """The functions of one Supabase project; the session belongs to the caller, who closes it."""

    def __init__(self, session: aiohttp.ClientSession, *, url: str, key: str, deadline_s: float = DEADLINE_S) -> None:
        self._session = session
        self._url = f"{url}/rest/v1/rpc/"
        self._headers = {"Content-Type": "application/json", "Content-Profile": "api", **authorisation(key)}
        self._deadline_s = deadline_s

    async def call[T](self, function: str, arguments: Mapping[str, Argument], answer: type[T]) -> T:
        """Call a function and decode what it answers.

        Every function called through here is idempotent, so a connection that broke is tried once more.

        raises  StoreUnavailable for anything but a well-formed 200 within the deadline; a retry is safe
        policy  closed
        """
        body = msgspec.json.encode(arguments)
        try:
            async with asyncio.timeout(self._deadline_s):
                payload = await self._post(function, body)
            return msgspec.json.decode(payload, type=answer)
        except (TimeoutError, aiohttp.ClientError, msgspec.MsgspecError) as error:
            log_event("database_call_failed", level="error", function=function, reason=type(error).__name__)
            raise StoreUnavailable("database") from error

    async def _post(self, function: str, body: bytes) -> bytes:
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return await self._post_once(function, body)
            except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError):
                if attempt == ATTEMPTS:
                    raise
        raise AssertionError("the last attempt returns or raises")

    async def _post_once(self, function: str, body: bytes) -> bytes:
        async with self._session.post(
            self._url + function, data=body, headers=self._headers, allow_redirects=False
        ) as response:
            payload = await response.read()
            if response.status != 200:
                code, message = _read_error(payload)
                log_event(
                    "database_call_refused",
                    level="error",
                    function=function,
                    status=response.status,
                    code=code,
                    message=message,
                )
                raise StoreUnavailable("database")
            return payload


class _Error(msgspec.Struct):
    code: str | None = None
    message: str | None = None


def _read_error(payload: bytes) -> tuple[str | None, str | None]:
    try:
        error = msgspec.json.decode(payload, type=_Error)
    except msgspec.MsgspecError:
        return None, None
    return error.code, error.message[:ERROR_TEXT_LENGTH] if error.message else None


def authorisation(key: str) -> dict[str, str]:
    """Return the headers that carry a Supabase key: the new kind in `apikey` alone, a legacy JWT in both.

    source  https://supabase.com/docs/guides/api/api-keys
    """
    if key.startswith("sb_"):
        return {"apikey": key}
    return {"apikey": key, "Authorization": f"Bearer {key}"}
