"""The limiter: requests and tokens per minute, and requests at once, counted in Redis by one call at each end."""

import uuid
from collections.abc import Sequence
from importlib import resources

from shared.clients.redis import Redis, RedisUnavailable, Rider, Script
from shared.core.clock import ClockMs
from shared.core.log import log_event
from shared.core.verdicts import LimitsPolicy
from shared.limits.address import address_group
from shared.limits.answers import Request, read_answer
from shared.limits.local_bucket import BUCKET_MS, LocalBucket
from shared.limits.refusals import RateLimited
from shared.limits.standing import Standings, read_standings
from shared.limits.types import NO_LEASE, FailedOpen, KeyUnseen, RateState, Reservation, ReserveAnswer, to_give_back

POLICY_TTL_S = 3600
UNKNOWN_KEY_TTL_S = 60
# Longer than the database is waited for: whoever asked it before the change has its answer by then, or none.
CHANGED_TTL_S = 10
# While Redis is away each request would otherwise wait out the client's deadline.
COOL_DOWN_MS = 2_000
# A key is unseen once an hour, and in a burst until its first request is admitted; guessing needs far more.
ADDRESS_REQUESTS_PER_MINUTE = 600
NEVER_CHANGED = KeyUnseen()


class Limiter:
    """Lets requests through by the policies of their key and account.

    policy  open: without Redis requests go on, held by this instance's own count alone
    """

    def __init__(
        self,
        redis: Redis,
        clock_ms: ClockMs,
        *,
        address_requests_per_minute: int = ADDRESS_REQUESTS_PER_MINUTE,
    ) -> None:
        self._redis = redis
        self._clock_ms = clock_ms
        self._address_requests_per_minute = address_requests_per_minute
        self._local = LocalBucket(clock_ms)
        self._failed_at_ms: int | None = None
        self._reserve_script = _load_script("reserve.lua")
        self._release_script = _load_script("release.lua")
        self._renew_script = _load_script("renew.lua")
        self._look_script = _load_script("look.lua")
        self._forget_script = _load_script("forget.lua")

    async def reserve(
        self, *, key: str, address: str, lease_id: str, tokens: int, is_counted: bool = False
    ) -> ReserveAnswer:
        """Let one request through if the key and its account have room, in one call to Redis.

        lease_id: NO_LEASE for a request that is over at once; it then takes no place among those under way
        is_counted: it is one of its minute's already, and needs room for its tokens and its lease alone
        units   tokens: the most the request may use; key: the key's fingerprint in hexadecimal
        raises  RateLimited, which has counted nothing; ValueError for a negative number of tokens
        policy  open: FailedOpen; admission then tells the policy, and `reserve_locally` holds it
        """
        request = Request(key=key, lease_id=lease_id, tokens=tokens, is_counted=is_counted)
        return await self._reserve(request, address=address)

    async def reserve_along(self, request: Request, *, address: str, rider: Rider | None) -> ReserveAnswer:
        """Let one request through as `reserve` does, with another's script in the same call.

        raises  as `reserve`
        policy  open; the rider is told nothing where Redis does not answer
        """
        return await self._reserve(request, address=address, rider=rider)

    async def reserve_with_policy(
        self, policy: LimitsPolicy, *, key: str, lease_id: str, tokens: int, seen: KeyUnseen = NEVER_CHANGED
    ) -> Reservation | FailedOpen:
        """Remember the policy of a key for an hour and let its request through if there is room, in one call.

        seen: what `reserve` said before the policy was asked for; one that was changed since is used, and not kept
        raises  RateLimited, which has counted nothing; ValueError for a negative number of tokens
        policy  open: the request is then counted by this instance before FailedOpen is returned
        """
        request = Request(key=key, lease_id=lease_id, tokens=tokens)
        answer = await self._reserve(request, policy=policy, change=seen.change)
        if isinstance(answer, Reservation):
            return answer
        try:
            self.reserve_locally(policy)
        except RateLimited:
            if (possible := to_give_back(answer)) is not None:
                await self.release(possible, used_tokens=0)
            raise
        return answer if isinstance(answer, FailedOpen) else FailedOpen()

    async def reserve_late(
        self, first: KeyUnseen | FailedOpen, policy: LimitsPolicy, *, key: str, lease_id: str, tokens: int
    ) -> Reservation | FailedOpen:
        """Count a request whose policy only its admission told: `first` is what `reserve` had said of it.

        raises  RateLimited, which has counted nothing
        policy  open: held by this instance's own count
        """
        if isinstance(first, FailedOpen):
            self.reserve_locally(policy)
            return first
        return await self.reserve_with_policy(policy, key=key, lease_id=lease_id, tokens=tokens, seen=first)

    def reserve_locally(self, policy: LimitsPolicy) -> None:
        """Hold a request that `reserve` let through as FailedOpen to the requests per minute of its policy.

        raises  RateLimited when this instance alone has seen a minute's worth
        """
        self._local.reserve(policy)

    async def release(self, reservation: Reservation, *, used_tokens: int, rider: Rider | None = None) -> None:
        """Give the lease back and turn the reserved tokens into those used; 0 when something later refused the request.

        The request itself stays counted: it was made. A second release changes nothing. rider: another's script in the
        same call.
        policy  open: never raises for Redis, logs; the lease lapses within a minute by itself
        """
        arguments = (
            *_owner_texts(reservation),
            reservation.lease_id,
            reservation.bucket,
            reservation.tokens,
            max(0, used_tokens),
        )
        try:
            # Tried in a cool-down too: a lease that stays would cost its owner a place for a minute.
            await self._redis.run_script(
                self._release_script, keys=(_policy_name(reservation.key),), arguments=arguments, rider=rider
            )
        except RedisUnavailable as error:
            log_event("limiter_release_failed", level="warning", reason=str(error))

    async def renew(self, reservation: Reservation) -> None:
        """Keep the lease for another 60 s; call it every 30 s while the request is under way.

        policy  open: never raises for Redis, logs; the lease may lapse early
        """
        arguments = (self._clock_ms(), *_owner_texts(reservation), reservation.lease_id)
        try:
            await self._redis.run_script(self._renew_script, keys=(_policy_name(reservation.key),), arguments=arguments)
        except RedisUnavailable as error:
            log_event("limiter_renew_failed", level="warning", reason=str(error))

    async def look(self, policy: LimitsPolicy, *, key: str) -> Standings | None:
        """Tell how much of its limits a key and its account use now, and count nothing.

        policy: what holds where Redis has none stored for the key; a stored one is what requests are held to
        policy  open: None when Redis does not answer
        """
        if self._is_cooling_down():
            return None
        arguments = (self._clock_ms(), _policy_text(policy))
        try:
            raw = await self._redis.run_script(self._look_script, keys=(_policy_name(key),), arguments=arguments)
            return read_standings(raw)
        except (RedisUnavailable, ValueError) as error:
            self._begin_cool_down(str(error))
            return None

    async def remember_unknown(self, key: str) -> None:
        """Answer KeyUnknown for this key for a minute: admission says that it does not exist, or does no longer.

        policy  open: never raises for Redis, logs; admission is then asked again
        """
        try:
            # It may have expired since it was seen: what it is sent is not to count against its account's limits.
            await self._redis.command("DEL", _policy_name(key))
            await self._redis.command("SET", _unknown_name(key), "1", "EX", UNKNOWN_KEY_TTL_S)
        except RedisUnavailable as error:
            log_event("limiter_remember_failed", level="warning", reason=str(error))

    async def forget_policies(self, keys: Sequence[str]) -> None:
        """Have admission asked again for these keys: their limits, plan or account have changed. Counts stay.

        policy  open: never raises for Redis, logs; the old limits may then hold for up to an hour
        """
        if not keys:
            return
        names = [name for key in keys for name in (_policy_name(key), _unknown_name(key), _changed_name(key))]
        try:
            await self._redis.run_script(self._forget_script, keys=names, arguments=(uuid.uuid4().hex, CHANGED_TTL_S))
        except RedisUnavailable as error:
            log_event("limiter_forget_failed", level="warning", reason=str(error))

    async def drop_policy(self, key: str) -> None:
        """Have the next request of a key pass the bucket of its address: this one came from where it may not be used.

        policy  open: never raises for Redis, logs
        """
        try:
            await self._redis.command("DEL", _policy_name(key))
        except RedisUnavailable as error:
            log_event("limiter_forget_failed", level="warning", reason=str(error))

    async def _reserve(
        self,
        request: Request,
        *,
        address: str = "",
        policy: LimitsPolicy | None = None,
        change: str = "",
        rider: Rider | None = None,
    ) -> ReserveAnswer:
        if request.tokens < 0:
            raise ValueError("a request cannot reserve a negative number of tokens")
        if self._is_cooling_down():
            return FailedOpen()
        now_ms = self._clock_ms()
        try:
            raw = await self._redis.run_script(
                self._reserve_script,
                keys=(
                    _policy_name(request.key),
                    _unknown_name(request.key),
                    _address_name(address),
                    _changed_name(request.key),
                ),
                arguments=(
                    now_ms,
                    request.lease_id,
                    request.tokens,
                    self._address_requests_per_minute,
                    _policy_text(policy) if policy else "",
                    POLICY_TTL_S,
                    change,
                    0 if request.is_counted else 1,
                ),
                rider=rider,
            )
            answer = read_answer(raw, request)
        except (RedisUnavailable, ValueError) as error:
            self._begin_cool_down(str(error))
            return FailedOpen(_possible(request, policy, now_ms) if request.lease_id != NO_LEASE else None)
        if isinstance(answer, RateLimited):
            raise answer
        return answer

    def _is_cooling_down(self) -> bool:
        # A clock that was set back must not keep us away for longer.
        return self._failed_at_ms is not None and 0 <= self._clock_ms() - self._failed_at_ms < COOL_DOWN_MS

    def _begin_cool_down(self, reason: str) -> None:
        if self._is_cooling_down():
            return
        self._failed_at_ms = self._clock_ms()
        log_event("limiter_failed_open", level="warning", reason=reason, cool_down_ms=COOL_DOWN_MS)


def _load_script(name: str) -> Script:
    folder = resources.files("shared.limits")
    return Script.from_text(
        "\n".join(folder.joinpath(part).read_text(encoding="utf-8") for part in ("window.lua", name))
    )


def _possible(request: Request, policy: LimitsPolicy | None, now_ms: int) -> Reservation:
    return Reservation(
        lease_id=request.lease_id,
        account_id=policy.account_id if policy else None,
        key_id=policy.key_id if policy else None,
        key=request.key,
        bucket=now_ms // BUCKET_MS,
        tokens=request.tokens,
        state=RateState(requests=None, tokens=None),
    )


def _owner_texts(reservation: Reservation) -> tuple[str, str]:
    """Return account id and key id; empty where only the stored policy tells."""
    if reservation.account_id is None or reservation.key_id is None:
        return "", ""
    return str(reservation.account_id), str(reservation.key_id)


def _policy_name(key: str) -> str:
    return f"gw:policy:{key}"


def _unknown_name(key: str) -> str:
    return f"gw:unknown:{key}"


def _changed_name(key: str) -> str:
    return f"gw:changed:{key}"


def _address_name(address: str) -> str:
    return f"gw:address:{address_group(address)}"


def _policy_text(policy: LimitsPolicy) -> str:
    limits = (policy.account, policy.key)
    numbers = [n for limit in limits for n in (limit.requests_per_minute, limit.tokens_per_minute, limit.concurrency)]
    return " ".join(str(number) for number in (policy.account_id, *numbers, policy.key_id))
