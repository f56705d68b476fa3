"""An OpenTelemetry collector: finished spans sent over HTTP, at once, since nothing is sure to run later."""

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence

import aiohttp

from shared.core.collector import CollectorSettings
from shared.core.log import Field, log_event
from shared.core.spans import Span
from shared.core.variables import SettingsError

# A client waits for its last bytes meanwhile.
DEADLINE_S = 0.5
# An answer may be held up for so long without more ado.
SLOW_S = 0.1
# One that fails or is slow is left alone for so long, so that it does not slow every answer; spans that end meanwhile
# are lost.
COOL_DOWN_S = 15.0

_TAKEN = range(200, 300)

Encode = Callable[[Iterable[Span], Iterable[tuple[str, str]]], bytes]


class Collector:
    """Where spans go; the session belongs to the caller, who closes it."""

    def __init__(self, session: aiohttp.ClientSession, settings: CollectorSettings, encode: Encode) -> None:
        self._session = session
        self._settings = settings
        self._headers = {**dict(settings.headers), "Content-Type": "application/x-protobuf"}
        self._encode = encode
        self._rests_until_s = 0.0

    async def send(self, spans: Sequence[Span]) -> None:
        """Send spans that belong together.

        policy  open: never raises; what cannot be sent in DEADLINE_S is lost, and one line in COOL_DOWN_S says why
        """
        if time.monotonic() < self._rests_until_s:
            return
        try:
            async with asyncio.timeout(DEADLINE_S):
                reason = await self._post(self._encode(spans, self._settings.resource))
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            reason = type(error).__name__
        if reason is not None:
            self._rest("spans_not_sent", reason=reason)

    def note_waited(self, waited_s: float) -> None:
        """Note for how long an answer that was ready had to wait for the sending of its spans."""
        if waited_s > SLOW_S and time.monotonic() >= self._rests_until_s:
            self._rest("spans_slow", waited_ms=int(waited_s * 1000))

    def _rest(self, event: str, **about: Field) -> None:
        self._rests_until_s = time.monotonic() + COOL_DOWN_S
        log_event(event, level="warning", rests_s=COOL_DOWN_S, **about)

    async def _post(self, body: bytes) -> str | None:
        """Return why it took nothing, None where it did."""
        async with self._session.post(
            self._settings.traces_url, data=body, headers=self._headers, allow_redirects=False
        ) as response:
            return None if response.status in _TAKEN else f"status {response.status}"


def open_collector(session: aiohttp.ClientSession, settings: CollectorSettings | None) -> Collector | None:
    """Return the collector; None where there is none, and then nothing of OpenTelemetry is loaded.

    raises  SettingsError where its package is not installed
    """
    if settings is None:
        return None
    try:
        from shared.clients.otlp import encode_spans  # noqa: PLC0415
    except ImportError as error:
        raise SettingsError(
            "OTEL_EXPORTER_OTLP_ENDPOINT is set but OpenTelemetry's package is not installed; "
            "install infra/requirements/otel.txt beside the function's own packages"
        ) from error
    return Collector(session, settings, encode_spans)
