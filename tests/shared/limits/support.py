"""What the limiter's tests share: a clock that they move, policies, and a look at everything Redis holds."""

from dataclasses import dataclass

import msgspec

from shared.clients.redis import Redis
from shared.core.ids import AccountId, KeyId
from shared.core.verdicts import LimitsPolicy, MinuteLimits
from shared.limits.store import Limiter
from shared.limits.types import Reservation

KEY = "a1" * 32
OTHER_KEY = "b2" * 32
KEY_IDS = {KEY: KeyId(1), OTHER_KEY: KeyId(2)}
ADDRESS = "192.0.2.7"
UNLIMITED = MinuteLimits(requests_per_minute=0, tokens_per_minute=0, concurrency=0)


@dataclass(frozen=True, slots=True)
class RedisAddress:
    url: str
    token: str


@dataclass(slots=True)
class Clock:
    now_ms: int

    def __call__(self) -> int:
        return self.now_ms


def policy(
    *,
    account: MinuteLimits = UNLIMITED,
    key: MinuteLimits = UNLIMITED,
    account_id: int = 1,
    key_id: int = 1,
) -> LimitsPolicy:
    return LimitsPolicy(account_id=AccountId(account_id), key_id=KeyId(key_id), account=account, key=key)


def limits(*, requests: int = 0, tokens: int = 0, concurrency: int = 0) -> MinuteLimits:
    return MinuteLimits(requests_per_minute=requests, tokens_per_minute=tokens, concurrency=concurrency)


async def first_use(
    limiter: Limiter, known: LimitsPolicy, *, key: str = KEY, lease_id: str = "first", tokens: int = 0
) -> Reservation:
    known = msgspec.structs.replace(known, key_id=KEY_IDS[key])
    answer = await limiter.reserve_with_policy(known, key=key, lease_id=lease_id, tokens=tokens)
    assert isinstance(answer, Reservation)
    return answer


async def use(limiter: Limiter, lease_id: str, *, key: str = KEY, tokens: int = 0) -> Reservation:
    answer = await limiter.reserve(key=key, address=ADDRESS, lease_id=lease_id, tokens=tokens)
    assert isinstance(answer, Reservation)
    return answer


async def everything_in(redis: Redis) -> dict[str, object]:
    names = await redis.command("KEYS", "*")
    assert isinstance(names, list)
    reads = {"string": ("GET",), "hash": ("HGETALL",), "zset": ("ZRANGE", 0, -1, "WITHSCORES")}
    found: dict[str, object] = {}
    for name in sorted(names):
        command, *options = reads[str(await redis.command("TYPE", name))]
        found[name] = await redis.command(str(command), name, *options)
    return found
