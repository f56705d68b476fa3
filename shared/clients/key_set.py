"""A JSON Web Key Set: the public keys of whoever signs tokens for us, fetched when one is needed that we lack."""

import asyncio
import time
from collections.abc import Callable, Mapping

import aiohttp
import msgspec

from shared.core.log import log_event

DEADLINE_S = 3.0
# A dozen keys take 3 KB.
MAX_BYTES = 64 * 1024
MAX_KEYS = 32
# A token with a key id that nobody has costs its forger nothing: it may make us ask this often, and no more.
COOL_DOWN_S = 10.0
FAILED_COOL_DOWN_S = 2.0
# After this the set is read anew, so that a key that was withdrawn is believed no longer.
MAX_AGE_S = 3600.0
# Where that fails it is tried again this often, and the old keys are believed until they are a day old.
REFRESH_PAUSE_S = 60.0
MAX_STALE_S = 24 * 3600.0


class PublicKey(msgspec.Struct, frozen=True):
    """An ES256 key of the set, in its own words.

    source  https://www.rfc-editor.org/rfc/rfc7517#section-4, https://www.rfc-editor.org/rfc/rfc7518#section-6.2.1
    """

    kid: str
    kty: str
    crv: str
    x: str
    y: str
    use: str = "sig"
    alg: str = "ES256"

    @property
    def is_usable(self) -> bool:
        """Whether it verifies ES256 signatures."""
        return (self.kty, self.crv, self.use, self.alg) == ("EC", "P-256", "sig", "ES256")


class KeysUnavailable(Exception):
    """The set could not be read, so nobody can say whether it has the key."""


class KeySet:
    """The keys at one address; the session belongs to the caller, who closes it.

    policy  closed for a key that we do not have; open, for a day, for one that the set had when it was last read
    """

    def __init__(
        self, session: aiohttp.ClientSession, url: str, *, clock_s: Callable[[], float] = time.monotonic
    ) -> None:
        self._session = session
        self._url = url
        self._clock_s = clock_s
        self._reading = asyncio.Lock()
        self._keys: Mapping[str, PublicKey] = {}
        self._read_at_s: float | None = None
        self._tried_at_s: float | None = None
        self._is_failing = False

    async def find(self, key_id: str) -> PublicKey | None:
        """Return the key of this id; None where the set has none.

        The set is read at most once at a time and once per cool-down, whoever asks for what.

        raises  KeysUnavailable within DEADLINE_S; a retry is safe
        """
        self._drop_stale_keys()
        if key_id in self._keys:
            # Those who come while somebody reads go on with what there is.
            if self._is_due() and not self._reading.locked():
                await self._read_once(self._is_due)
        else:
            await self._read_once(lambda: key_id not in self._keys and not self._is_cooling_down())
        key = self._keys.get(key_id)
        if key is None and self._is_failing:
            raise KeysUnavailable
        return key

    def _drop_stale_keys(self) -> None:
        if self._read_at_s is not None and self._clock_s() - self._read_at_s > MAX_STALE_S:
            self._keys = {}

    def _is_due(self) -> bool:
        assert self._read_at_s is not None
        assert self._tried_at_s is not None
        now_s = self._clock_s()
        return now_s - self._read_at_s > MAX_AGE_S and now_s - self._tried_at_s > REFRESH_PAUSE_S

    def _is_cooling_down(self) -> bool:
        pause_s = FAILED_COOL_DOWN_S if self._is_failing else COOL_DOWN_S
        return self._tried_at_s is not None and self._clock_s() - self._tried_at_s < pause_s

    async def _read_once(self, is_needed: Callable[[], bool]) -> None:
        """Read the set unless somebody did while we waited for our turn."""
        async with self._reading:
            if not is_needed():
                return
            try:
                self._keys = await self._read()
                self._read_at_s = self._clock_s()
                self._is_failing = False
            except (TimeoutError, aiohttp.ClientError, OSError, ValueError, RecursionError) as error:
                self._is_failing = True
                log_event("key_set_not_read", level="warning", reason=type(error).__name__)
            self._tried_at_s = self._clock_s()

    async def _read(self) -> dict[str, PublicKey]:
        async with (
            asyncio.timeout(DEADLINE_S),
            self._session.get(
                self._url,
                headers={"Accept": "application/json", "Accept-Encoding": "identity"},
                allow_redirects=False,
            ) as response,
        ):
            if response.status != 200:
                raise ValueError(f"status {response.status}")
            return _usable_keys(await _read_bounded(response))


async def _read_bounded(response: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    while piece := await response.content.readany():
        body += piece
        if len(body) > MAX_BYTES:
            raise ValueError(f"a key set of more than {MAX_BYTES} bytes")
    return bytes(body)


class _Set(msgspec.Struct):
    keys: list[msgspec.Raw]


def _usable_keys(body: bytes) -> dict[str, PublicKey]:
    """Read the keys that verify ES256; others may stand beside them.

    raises  ValueError for anything else, and where there is none: an empty answer must not lock everybody out
    """
    usable: dict[str, PublicKey] = {}
    try:
        listed = msgspec.json.decode(body, type=_Set).keys
    except msgspec.MsgspecError as error:
        raise ValueError("no key set") from error
    for raw in listed[:MAX_KEYS]:
        try:
            key = msgspec.json.decode(raw, type=PublicKey)
        except msgspec.MsgspecError:
            continue
        if key.is_usable:
            usable[key.kid] = key
    if not usable:
        raise ValueError("a key set without a key for ES256")
    return usable
