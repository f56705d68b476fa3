"""Erase what people have deleted, and what is past its time; docs/api.md says within which time."""

import time

import msgspec

from shared.flows.due_work import repeat_until_none
from shared.history.chats import History
from shared.ledger.store import Ledger
from shared.ranking.books import RankingBooks

# Each round is one short call. After this time no other is begun; what is left is the next day's.
MAX_ROUNDS = 2000
MAX_S = 45.0
# Of a quarter of a megabyte each these take most of a second, and a call has five.
MESSAGES_A_CALL = 500


class PurgeMeans(msgspec.Struct, frozen=True):
    """What a purge works on."""

    history: History
    ledger: Ledger
    ranking: RankingBooks


class PurgeCounts(msgspec.Struct, frozen=True, kw_only=True):
    """What was erased.

    history_erased: messages of deleted chats, and the chats, each in every call that took of it
    answers_erased: answers, receipts and old secrets
    app_lines: usage lines of deleted accounts, gone through for the apps that they name
    """

    history_erased: int
    answers_erased: int
    app_lines: int


async def purge(means: PurgeMeans) -> PurgeCounts:
    """Erase until nothing is left or the rounds are over.

    The sweep erases answers, too, some at a time; where it runs only daily, the rest is taken here.

    raises  StoreUnavailable; a retry is safe, and so are two at once
    """
    until_s = time.monotonic() + MAX_S

    async def history() -> int:
        return (await means.history.erase_deleted(limit=MESSAGES_A_CALL)).count

    async def answers() -> int:
        return (await means.ledger.erase_answers()).count

    async def apps() -> int:
        return (await means.ranking.erase_apps()).count

    return PurgeCounts(
        history_erased=await repeat_until_none(history, most_calls=MAX_ROUNDS, until_s=until_s),
        answers_erased=await repeat_until_none(answers, most_calls=MAX_ROUNDS, until_s=until_s),
        app_lines=await repeat_until_none(apps, most_calls=MAX_ROUNDS, until_s=until_s),
    )
