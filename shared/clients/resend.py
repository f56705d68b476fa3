"""Resend, by whom e-mail leaves, and the events that it sends back."""

import asyncio
from collections.abc import Mapping
from typing import Annotated, Any

import aiohttp
import msgspec

from shared.core.errors import GatewayError
from shared.core.integrations import MailSettings

DEADLINE_S = 10.0
FIRST_ERROR = 400
# Whoever asks for longer than days is not to be understood.
MAX_PAUSE_DIGITS = 9
# What is wrong with the mail itself, or its address; no other try mends it. A key, a sender or an address of Resend
# that is wrong is mended by the operator, and the mails wait for him.
# source  https://resend.com/docs/api-reference/errors
REFUSED_STATUSES = frozenset({400, 422})
OPERATORS_FAULTS = frozenset({"invalid_from_address", "missing_api_key", "invalid_idempotency_key"})
# The key came with other content before: that one was sent, and ours is the same mail, rendered by another version.
KNOWN_KEY = "invalid_idempotent_request"
# What we call an error of whoever answers in Resend's place, such as a proxy: it says nothing of the mail.
FOREIGN = "not_resends_answer"


class MailRefused(Exception):
    """Resend will never send this mail."""


class ResendUnavailable(Exception):
    """Resend did not take the mail now; the same request may be sent again.

    retry_after_s  what it asks for
    is_refused     it said so itself; else nobody knows whether the mail was sent
    """

    def __init__(self, reason: str, retry_after_s: int | None = None, *, is_refused: bool = False) -> None:
        super().__init__(reason)
        self.retry_after_s = retry_after_s
        self.is_refused = is_refused


class InvalidSignature(GatewayError):
    """Whoever sent this event is not Resend, or sends an old one again."""

    status = 400
    code = "invalid_signature"
    advice = "The event is not signed by who should have sent it, or is older than five minutes."

    def __init__(self) -> None:
        super().__init__("The signature of this event is not valid, or older than five minutes.")


class OutgoingMail(msgspec.Struct, frozen=True, kw_only=True):
    """What is sent; within 24 hours an idempotency_key stands for one and the same mail."""

    to: str
    subject: str
    text: str
    html: str
    headers: dict[str, str]
    idempotency_key: str


class Bounce(msgspec.Struct, frozen=True):
    """Addresses at which nobody is, or where nobody wants our mail."""

    addresses: tuple[str, ...]
    kind: str


class Resend:
    """The account at Resend that the settings name; the session belongs to the caller, who closes it."""

    def __init__(
        self, session: aiohttp.ClientSession, settings: MailSettings, *, deadline_s: float = DEADLINE_S
    ) -> None:
        self._session = session
        self._settings = settings
        self._deadline_s = deadline_s

    async def send(self, mail: OutgoingMail) -> str | None:
        """Send a mail and return Resend's id of it; None where it knows the key and had sent it before.

        raises  MailRefused; ResendUnavailable, after which a retry with the same key sends it once
        """
        resend = _resend()
        try:
            async with asyncio.timeout(self._deadline_s):
                answer = await self._call(resend, mail)
        except TimeoutError:
            raise ResendUnavailable("no answer in time") from None
        except resend.exceptions.ResendError as error:
            if error.error_type == KNOWN_KEY:
                return None
            raise _failure(error) from error
        return str(answer["id"])

    async def _call(self, resend: Any, mail: OutgoingMail) -> Any:
        """Call the package, whose settings are its globals: it reads them before it waits for anything, so that two

        gateways of one process do not send by each other's account.
        """
        resend.api_key = self._settings.api_key
        resend.api_url = self._settings.api_url or "https://api.resend.com"
        resend.default_async_http_client = _http_client(self._session)
        return await resend.Emails.send_async(
            {
                "from": self._settings.sender,
                "to": [mail.to],
                "subject": mail.subject,
                "text": mail.text,
                "html": mail.html,
                "headers": mail.headers,
            },
            {"idempotency_key": mail.idempotency_key},
        )


def open_resend(session: aiohttp.ClientSession, settings: MailSettings | None) -> Resend | None:
    """Make the client that the settings describe; None where no e-mail is sent. Who opened the session closes it."""
    return None if settings is None else Resend(session, settings)


def read_bounce(body: bytes, headers: Mapping[str, str], secret: str) -> Bounce | None:
    """Return what an event of Resend's says has bounced; None for any other event.

    A bounce that may pass, such as of a full mailbox, is none.

    raises  InvalidSignature
    source  https://resend.com/docs/webhooks/emails/bounced, …/complained;
            https://docs.svix.com/receiving/verifying-payloads/how-manual (five minutes)
    """
    try:
        event = _resend().Webhooks.verify(
            {
                "payload": body.decode(),
                "headers": {
                    "id": headers.get("svix-id", ""),
                    "timestamp": headers.get("svix-timestamp", ""),
                    "signature": headers.get("svix-signature", ""),
                },
                "webhook_secret": secret,
            }
        )
    except (ValueError, RecursionError):
        raise InvalidSignature from None
    try:
        return _bounce(msgspec.convert(event, _Event))
    except msgspec.ValidationError:
        # Of a kind that we do not know: Resend would send it for days.
        return None


class _BounceDetails(msgspec.Struct):
    type: str = ""


class _EventData(msgspec.Struct):
    to: tuple[str, ...] = ()
    bounce: _BounceDetails | None = None


class _Event(msgspec.Struct):
    type: str
    data: _EventData


def _bounce(event: _Event) -> Bounce | None:
    is_permanent = event.data.bounce is not None and event.data.bounce.type.lower() == "permanent"
    if event.type == "email.complained":
        return Bounce(event.data.to, "complaint")
    if event.type == "email.bounced" and is_permanent:
        return Bounce(event.data.to, "bounce")
    return None


def _failure(error: Any) -> Exception:
    """Tell what waiting may mend from what nothing mends; without Resend's own words, which may quote an address."""
    if error.__context__ is not None:
        return ResendUnavailable(f"no answer: {type(error.__context__).__name__}")
    reason = f"{error.code} {error.error_type}"
    is_resends = error.error_type != FOREIGN
    if is_resends and error.code in REFUSED_STATUSES and error.error_type not in OPERATORS_FAULTS:
        return MailRefused(reason)
    given = {name.lower(): value for name, value in error.headers.items()}.get("retry-after", "")
    is_number = given.isascii() and given.isdigit() and len(given) <= MAX_PAUSE_DIGITS
    return ResendUnavailable(reason, int(given) if is_number else None, is_refused=is_resends)


class _Sent(msgspec.Struct):
    id: str


class _Error(msgspec.Struct):
    name: Annotated[str, msgspec.Meta(pattern=r"\A[A-Za-z_]{1,60}\Z")]
    message: str


def _http_client(session: aiohttp.ClientSession) -> Any:
    """Return what the package sends by: our own session, so that it needs no client of its own.

    The package takes whatever answers for Resend, and falls over what is not: it is shown only what we have read.
    """

    class OurSession(_resend().AsyncHTTPClient):  # type: ignore[misc]
        async def request(
            self, method: str, url: str, headers: Mapping[str, str], json: Any = None, **_: Any
        ) -> tuple[bytes, int, Mapping[str, str]]:
            async with session.request(method, url, headers=headers, json=json, allow_redirects=False) as response:
                body, status = _read(await response.read(), response.status)
                return body, status, {**response.headers, "Content-Type": "application/json"}

    return OurSession()


def _read(body: bytes, status: int) -> tuple[bytes, int]:
    """Return an answer of Resend's shape as it is meant; any other as an error that says whose it is not."""
    is_error = status >= FIRST_ERROR
    try:
        return msgspec.json.encode(msgspec.json.decode(body, type=_Error if is_error else _Sent)), status
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return msgspec.json.encode(_Error(FOREIGN, "")), status if is_error else 502


def _resend() -> Any:
    # Imported at the first use: it would cost every cold start 150 ms. Any: its settings are globals without a type.
    import resend  # noqa: PLC0415

    return resend
