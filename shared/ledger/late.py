"""Late settlements: what a request used, written down in Redis where the ledger could not be told in time."""

from importlib import resources

import msgspec

from shared.clients.redis import Redis, RedisUnavailable, Script
from shared.core.clock import ClockMs
from shared.core.ids import GenerationId, ProviderSlug
from shared.ledger.types import Usage

LIST_NAME = "gw:late"
# Those that ask a provider first stand apart: one that does not answer must not hold up the others.
LOOK_UPS_NAME = "gw:late:look-ups"
LIST_NAMES = (LIST_NAME, LOOK_UPS_NAME)
# Far longer than settling what was taken may take; a sweep that dies leaves its records to another after so long.
LEASE_MS = 60_000
# In each list: hours of a busy gateway without its database. A record is a kilobyte or two, and twenty with an answer.
MOST_RECORDS = 50_000
# What one answer of Redis carries; records with a stored answer are large.
MOST_TAKEN_BYTES = 2_000_000
# A model may use no more than this, whichever it is.
MOST_TOKENS = 10**9


class LookUp(msgspec.Struct, frozen=True):
    """An answer that its provider can be asked about; the bounds are what its model can have used."""

    provider: ProviderSlug
    upstream_id: str
    max_input_tokens: int = MOST_TOKENS
    max_output_tokens_total: int = MOST_TOKENS


class LateSettlement(msgspec.Struct, frozen=True):
    """One settlement to be made later.

    usage: what is settled where there is nothing to look up, or the look-up finds nothing
    units   since_ms: since when the provider can be asked, in ms of the epoch; tries: settlements that failed for the
            store
    """

    generation_id: GenerationId
    usage: Usage
    look_up: LookUp | None
    since_ms: int
    tries: int = 0


class Taken(msgspec.Struct, frozen=True):
    """A record off one of the lists, as it stands there; record is None where it cannot be read."""

    list_name: str
    text: str
    record: LateSettlement | None


class LateCounts(msgspec.Struct, frozen=True):
    """How many records stand on the lists: to be settled, and to be asked of their providers first."""

    settlements: int
    look_ups: int


class LateSettlements:
    """The list of late settlements, shared by all functions.

    policy  closed: RedisUnavailable whenever Redis does not answer as it must; every call may be made again
    """

    def __init__(self, redis: Redis, clock_ms: ClockMs) -> None:
        self._redis = redis
        self._clock_ms = clock_ms
        self._put_script = _load_script("late_put.lua")
        self._take_script = _load_script("late_take.lua")

    async def put(self, record: LateSettlement, *, due_ms: int) -> None:
        """Write a record down; once more under another time moves it there.

        units   due_ms: ms of the epoch; what is past is due at once
        raises  RedisUnavailable, also for a list that is full
        """
        if await self._put(record, due_ms, replaced="") < 0:
            raise RedisUnavailable(f"the list of late settlements is full: {MOST_RECORDS} records")

    async def replace(self, taken: Taken, record: LateSettlement, *, due_ms: int) -> None:
        """Put a record in the place of one that was taken; where that is gone, it was settled, and nothing is put.

        raises  RedisUnavailable
        """
        await self._put(record, due_ms, replaced=taken.text)

    async def remove(self, record: LateSettlement | Taken) -> None:
        """Take a record off the list for good; one that is not there is no fault.

        raises  RedisUnavailable
        """
        if isinstance(record, Taken):
            await self._redis.command("ZREM", record.list_name, record.text)
        else:
            await self._redis.command("ZREM", _list_of(record), _encode(record))

    async def take(self, limit: int, *, are_look_ups: bool = False) -> list[Taken]:
        """Take what is due, earliest first, for 60 s: whoever settles a record removes it, and what is not comes again.

        are_look_ups: those that ask a provider first, which stand in a list of their own

        raises  RedisUnavailable; what was taken then comes due again at the end of its lease
        """
        list_name = LOOK_UPS_NAME if are_look_ups else LIST_NAME
        answer = await self._redis.run_script(
            self._take_script,
            keys=(list_name,),
            arguments=(self._clock_ms(), LEASE_MS, limit, MOST_TAKEN_BYTES),
        )
        if not isinstance(answer, list):
            raise RedisUnavailable("a list of records was expected")
        return [Taken(list_name, str(text), _decode(str(text))) for text in answer]

    async def count(self) -> LateCounts:
        """Return how many records stand on the lists.

        raises  RedisUnavailable
        """
        return LateCounts(settlements=await self._count(LIST_NAME), look_ups=await self._count(LOOK_UPS_NAME))

    async def _count(self, list_name: str) -> int:
        answer = await self._redis.command("ZCARD", list_name)
        if not isinstance(answer, int):
            raise RedisUnavailable("a number was expected")
        return answer

    async def _put(self, record: LateSettlement, due_ms: int, *, replaced: str) -> int:
        answer = await self._redis.run_script(
            self._put_script, keys=(_list_of(record),), arguments=(due_ms, _encode(record), MOST_RECORDS, replaced)
        )
        if not isinstance(answer, int):
            raise RedisUnavailable("a number was expected")
        return answer


def _list_of(record: LateSettlement) -> str:
    return LIST_NAME if record.look_up is None else LOOK_UPS_NAME


def _encode(record: LateSettlement) -> str:
    return msgspec.json.encode(record).decode()


def _decode(text: str) -> LateSettlement | None:
    try:
        return msgspec.json.decode(text, type=LateSettlement)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None


def _load_script(name: str) -> Script:
    return Script.from_text(resources.files("shared.ledger").joinpath(name).read_text(encoding="utf-8"))
