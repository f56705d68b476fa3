"""The wire to Stripe: the stripe package over the session that a function already has, its errors in our words."""

import asyncio
from collections.abc import Awaitable, Callable
from types import ModuleType
from typing import TYPE_CHECKING

import aiohttp
import msgspec

from shared.core.errors import GatewayError
from shared.core.log import log_event

if TYPE_CHECKING:
    from stripe import ListObject, StripeClient, StripeObject, V1Services

# What the structs beside this file were written for: another version may name things otherwise.
API_VERSION = "2026-10-28.endive"
MAX_RETRIES = 2
ATTEMPT_S = 5.0
# All attempts of one call. A webhook makes some one after the other: where Stripe is that slow, its function may be
# ended before it is done, and its event is left to Stripe's next attempt and to the sweep.
DEADLINE_S = 10.0
PAGE_SIZE = 100
# Twenty thousand: of one payment or subscription there is never so much, and a daily comparison has no time for more.
MOST_PAGES = 200
# Of a refusal: enough of its code and parameter to find the cause.
CODE_LENGTH = 80


class PaymentsUnavailable(GatewayError):
    """Stripe did not answer, or not as it must; what was asked may have been done, and a retry does it once."""

    status = 503
    code = "payments_unavailable"
    advice = (
        "The payment provider did not answer; wait for `Retry-After`. With the same Idempotency-Key nothing is done "
        "twice."
    )
    type = "server_error"
    is_retryable = True

    def __init__(self) -> None:
        super().__init__(
            "The payment provider is not available right now. Retry in a few seconds.", headers={"Retry-After": "2"}
        )


class StripeRefused(GatewayError):
    """Stripe said no to a call of ours: a fault of this gateway or of its account there, never the customer's.

    reason: Stripe's own code for it, such as resource_missing; about: what in the call was wrong, such as customer
    """

    status = 502
    code = "payments_refused"
    advice = "The payment provider refused what the gateway asked; nothing was charged. Write to support."
    type = "server_error"

    def __init__(self, reason: str, about: str | None = None) -> None:
        super().__init__("The payment provider refused the request. Nothing was charged. Write to support.")
        self.reason = reason
        self.about = about


class Page[Row](msgspec.Struct, frozen=True):
    """A part of a list, newest first."""

    data: tuple[Row, ...]
    has_more: bool


class StripeWire:
    """One account at Stripe; the session belongs to the caller, who closes it.

    policy  closed: PaymentsUnavailable, StripeRefused. A POST that broke is tried again under the same idempotency key.
    """

    def __init__(self, session: aiohttp.ClientSession, *, secret_key: str, api_url: str | None) -> None:
        self._session = session
        self._secret_key = secret_key
        self._api_url = api_url
        self._services: V1Services | None = None

    async def ask[T](self, call: Callable[["V1Services"], Awaitable["StripeObject"]], answer: type[T]) -> T:
        """Make one call and read the fields of its answer that the type names.

        raises  PaymentsUnavailable, StripeRefused
        """
        error = stripe_package().StripeError
        try:
            async with asyncio.timeout(DEADLINE_S):
                told = await call(self._v1())
            return msgspec.convert(told.to_dict(for_json=True), answer)
        except error as refusal:
            raise _in_our_words(refusal) from None
        except (TimeoutError, aiohttp.ClientError, msgspec.ValidationError) as failure:
            log_event("stripe_call_failed", level="error", reason=type(failure).__name__)
            raise PaymentsUnavailable from failure

    async def ask_all[Row](
        self, call: Callable[["V1Services", str | None], Awaitable["ListObject[StripeObject]"]], row: type[Row]
    ) -> tuple[Row, ...]:
        """Read a list to its end; the call gets the id that its page starts after. Rows have an `id`.

        raises  PaymentsUnavailable, StripeRefused; ValueError for a list that does not end
        """
        rows, is_whole = await self._read_pages(call, row)
        if not is_whole:
            raise ValueError("a list at Stripe is longer than it may be")
        return rows

    async def ask_most[Row](
        self, call: Callable[["V1Services", str | None], Awaitable["ListObject[StripeObject]"]], row: type[Row]
    ) -> tuple[Row, ...]:
        """Read a list as far as there is time for; that more was left is logged. Else as ask_all."""
        rows, is_whole = await self._read_pages(call, row)
        if not is_whole:
            log_event("stripe_list_cut", level="error", rows=len(rows))
        return rows

    async def _read_pages[Row](
        self, call: Callable[["V1Services", str | None], Awaitable["ListObject[StripeObject]"]], row: type[Row]
    ) -> tuple[tuple[Row, ...], bool]:
        """Return the rows of a list, and whether these are all."""
        rows: list[Row] = []
        after: str | None = None
        for _ in range(MOST_PAGES):
            page: Page[Row] = await self.ask(_from(call, after), Page[row])  # type: ignore[valid-type]
            rows += page.data
            if not page.has_more or not page.data:
                return tuple(rows), True
            after = str(getattr(page.data[-1], "id"))  # noqa: B009 - of a type that is not known here
        return tuple(rows), False

    def _v1(self) -> "V1Services":
        if self._services is None:
            self._services = self._open().v1
        return self._services

    def _open(self) -> "StripeClient":
        stripe = stripe_package()
        timeout = aiohttp.ClientTimeout(total=ATTEMPT_S)
        client: StripeClient = stripe.StripeClient(
            self._secret_key,
            stripe_version=API_VERSION,
            max_network_retries=MAX_RETRIES,
            base_addresses={"api": self._api_url} if self._api_url else None,
            http_client=stripe.AIOHTTPClient(timeout=timeout, session=self._session),
        )
        return client


def stripe_package() -> ModuleType:
    """Return the stripe package, imported at the first use: it would cost every cold start 145 ms."""
    import stripe  # noqa: PLC0415

    # Else every call tells Stripe how long the one before took, and what machine this is.
    stripe.enable_telemetry = False
    return stripe


async def together(*questions: Awaitable[object]) -> list[object]:
    """Ask several things at once and return the answers when the last is there.

    raises  what the first of them raised that failed
    """
    answers = await asyncio.gather(*questions, return_exceptions=True)
    for answer in answers:
        if isinstance(answer, BaseException):
            raise answer
    return list(answers)


def _from(
    call: Callable[["V1Services", str | None], Awaitable["ListObject[StripeObject]"]], after: str | None
) -> Callable[["V1Services"], Awaitable["StripeObject"]]:
    return lambda services: call(services, after)


def _in_our_words(error: Exception) -> GatewayError:
    """Tell what Stripe's silence or faults are from what it refuses; both are logged, without their own words."""
    stripe = stripe_package()
    status, reason = getattr(error, "http_status", None), str(getattr(error, "code", None) or type(error).__name__)
    log_event(
        "stripe_call_refused",
        level="warning",
        reason=reason[:CODE_LENGTH],
        status=status,
        param=getattr(error, "param", None),
        stripe_request_id=getattr(error, "request_id", None),
    )
    is_passing = isinstance(error, stripe.APIConnectionError | stripe.RateLimitError) or (status or 500) >= 500
    # 409: the first attempt under this idempotency key is still under way.
    return (
        PaymentsUnavailable() if is_passing or status == 409 else StripeRefused(reason, getattr(error, "param", None))
    )
