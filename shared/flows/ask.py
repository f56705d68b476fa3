"""The way in of every request that uses no model: past the limiter, then one question to the database."""

from collections.abc import Awaitable, Callable
from typing import Protocol

import msgspec

from shared.clients.database import Database
from shared.core.caller import Caller
from shared.core.errors import GatewayError
from shared.core.verdicts import LimitsPolicy, Refused
from shared.flows.refusals import refusal_error
from shared.keys.format import InvalidApiKey
from shared.keys.refusals import AddressNotAllowed, DomainNotAllowed, SignInRequired, unknown_caller
from shared.limits.headers import rate_limit_headers
from shared.limits.refusals import RateLimited
from shared.limits.store import Limiter
from shared.limits.types import NO_LEASE, FailedOpen, KeyUnknown, KeyUnseen, Reservation

_OUT_OF_PLACE = frozenset({AddressNotAllowed.code, DomainNotAllowed.code})


class Desk(msgspec.Struct, frozen=True):
    """What a function works with that answers people about what is theirs."""

    limiter: Limiter
    database: Database


class PolicyTold(msgspec.Struct, frozen=True, tag_field="verdict", tag="policy"):
    """The limits of a key that is known and in its place."""

    policy: LimitsPolicy


class Told(Protocol):
    """What the database says to a caller whom it knows: with it, the limits he is to be held to."""

    @property
    def policy(self) -> LimitsPolicy | None:
        """The limits of his key and account."""
        ...


async def ask_within_limits[Answer: Told](
    desk: Desk,
    caller: Caller,
    ask: Callable[[], Awaitable[Answer | Refused]],
    answer_headers: dict[str, str],
) -> Answer:
    """Count a request that is over at once, or that goes on with what it is told, and ask: two round trips.

    At a key's first sight in an hour its limits have to be told: three trips, and four for a change, which asks for
    them beforehand, so that a change that is refused for them has changed nothing.
    answer_headers gets what every authenticated answer carries, refusals included.

    raises  RateLimited, after the question where something was looked at for the first time in an hour, or without
            Redis; unknown_caller's and the domains' refusals; StoreUnavailable
    """
    uncounted = None if caller.is_counted else await _reserve(desk.limiter, caller, answer_headers)
    if uncounted is not None and _changes_something(caller):
        uncounted = await _count_beforehand(desk, caller, uncounted, answer_headers)
    answer = await ask()
    if isinstance(answer, Refused) and (turned_away := await turn_away(desk.limiter, caller, answer)) is not None:
        raise turned_away
    if uncounted is not None and answer.policy is not None:
        try:
            answer_headers.update(await _count(desk.limiter, caller, answer.policy, uncounted))
        except RateLimited as excess:
            # What is refused already stays so, and who has this moment got his account is not refused his key.
            if not isinstance(answer, Refused) and not _changes_something(caller):
                raise
            answer_headers.update(_rate_limit_headers_of(excess))
    if isinstance(answer, Refused):
        raise refusal_error(answer)
    return answer


async def check_caller(desk: Desk, caller: Caller, answer_headers: dict[str, str]) -> None:
    """Count a request that asks nothing of the database but whether its caller may make it.

    raises  as ask_within_limits
    """

    async def ask() -> PolicyTold | Refused:
        return await _tell_policy(desk.database, "check_caller", caller)

    await ask_within_limits(desk, caller, ask, answer_headers)


async def turn_away(limiter: Limiter, caller: Caller, refused: Refused) -> GatewayError | None:
    """Return what is said to a caller who may be anybody, and have him use up no limits but those of his address.

    Nobody's key, and one that is bound to other places: it may have leaked, and what is counted of it is its owner's.
    None for any other refusal.
    """
    if refused.code == InvalidApiKey.code:
        # Not for someone who is signed in: his token was verified, so nobody guesses, and he may have an account soon.
        if not caller.is_session:
            await limiter.remember_unknown(caller.fingerprints[0])
        return unknown_caller(caller)
    if refused.code in _OUT_OF_PLACE:
        await limiter.drop_policy(caller.fingerprints[0])
        return refusal_error(refused)
    return None


async def _reserve(limiter: Limiter, caller: Caller, answer_headers: dict[str, str]) -> KeyUnseen | FailedOpen | None:
    """Pass the limiter; return why the request is not counted yet, None where it is.

    raises  RateLimited; what unknown_caller says
    """
    first = await limiter.reserve(key=caller.fingerprints[0], address=caller.address or "", lease_id=NO_LEASE, tokens=0)
    if isinstance(first, KeyUnknown):
        raise unknown_caller(caller)
    if isinstance(first, Reservation):
        answer_headers.update(rate_limit_headers(first.state))
        return None
    return first


async def _count_beforehand(
    desk: Desk, caller: Caller, first: KeyUnseen | FailedOpen, answer_headers: dict[str, str]
) -> KeyUnseen | FailedOpen | None:
    """Ask for the limits and count the request; return `first` where there is nobody yet whose limits they would be.

    raises  RateLimited, turn_away's refusals, StoreUnavailable
    """
    told = await _read_policy(desk.database, caller)
    if isinstance(told, PolicyTold):
        answer_headers.update(await _count(desk.limiter, caller, told.policy, first))
        return None
    turned_away = await turn_away(desk.limiter, caller, told)
    if turned_away is not None and not isinstance(turned_away, SignInRequired):
        raise turned_away
    # He may be about to sign in for the first time; whoever is not is told so by what he asks for.
    return first


async def _read_policy(database: Database, caller: Caller) -> PolicyTold | Refused:
    # What he wants to do is not judged here: who may not is refused, and written down, by the function that does it.
    return await _tell_policy(database, "read_policy", msgspec.structs.replace(caller, scope=None))


async def _tell_policy(database: Database, function: str, caller: Caller) -> PolicyTold | Refused:
    answer: type[PolicyTold | Refused] = PolicyTold | Refused  # type: ignore[assignment]
    return await database.call(function, {"p_caller": caller.to_json()}, answer)


async def _count(
    limiter: Limiter, caller: Caller, policy: LimitsPolicy, first: KeyUnseen | FailedOpen
) -> dict[str, str]:
    """Count a request whose policy the database has told; return the rate-limit headers that are known of it.

    raises  RateLimited
    """
    counted = await limiter.reserve_late(first, policy, key=caller.fingerprints[0], lease_id=NO_LEASE, tokens=0)
    return rate_limit_headers(counted.state) if isinstance(counted, Reservation) else {}


def _rate_limit_headers_of(excess: RateLimited) -> dict[str, str]:
    return {name: value for name, value in excess.headers.items() if name.startswith("x-ratelimit-")}


def _changes_something(caller: Caller) -> bool:
    return caller.scope is not None and caller.scope.endswith(":write")
