"""Answers that a request had no time left for: the line that pays for one cannot name it, and is found by its try.

A provider names its answer in its first event. A request whose own time is over before that hangs up, and the house
books the most that the answer can cost. A retry that first had to wait for the end of a crashed request's hold has
little time left, so a crash makes some of these.
"""

import math
from collections.abc import Mapping, Sequence

from tests.chaos.asked import Asked, Try
from tests.chaos.bill import Books, Hold, Line, Served
from tests.chaos.crashes import READ_WITHIN_S


def match_time_limits(
    unpaid: Sequence[Served], asked: Mapping[str, Asked], books: Books
) -> Mapping[str, tuple[Served, Line]]:
    """Give each answer that no line names the one line of its own request that ran out of time while it was written.

    shape   by the answers' ids; no line is given twice
    """
    holds = {hold.id: hold for hold in books.holds}
    owners = {each.generation_id: request.key for request in asked.values() for each in request.tries}
    free = [line for line in books.lines if line.waived_reason == "time_limit" and line.upstream_id is None]
    matched: dict[str, tuple[Served, Line]] = {}
    for served in sorted(unpaid, key=lambda served: served.started_at):
        for line in free:
            hold, owner = holds.get(line.generation_id), owners.get(f"gen_{line.generation_id.hex}")
            is_own = owner == served.key if owner else _can_be_of(asked.get(served.key), hold)
            if hold is not None and is_own and _was_left(served, line, hold):
                matched[served.id] = (served, line)
                free.remove(line)
                break
    return matched


def _was_left(served: Served, line: Line, hold: Hold) -> bool:
    """Say whether the provider was asked within the life of the hold, and hung up on before it was done."""
    if served.provider != line.provider or served.is_finished or served.broke_off:
        return False
    if hold.ended_at is None or served.ended_at is None:
        return False
    # The gateway hangs up first and settles then; a provider that is slow reads the first after the second.
    is_within = served.ended_at <= hold.ended_at.timestamp() + READ_WITHIN_S
    return is_within and hold.created_at.timestamp() <= served.started_at


def _can_be_of(request: Asked | None, hold: Hold | None) -> bool:
    """Say whether a hold that no client was told of can be that of one of the request's tries."""
    if request is None or hold is None or request.tenant.account_id != hold.account_id:
        return False
    return any(each.generation_id is None and _was_at_it(each, hold) for each in request.tries)


def _was_at_it(each: Try, hold: Hold) -> bool:
    ended_at = math.inf if each.ended_at is None else each.ended_at
    return each.started_at <= hold.created_at.timestamp() <= ended_at + READ_WITHIN_S
