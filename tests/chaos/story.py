"""What is known of an answer that nobody has paid for: enough to read from a fault why it is one."""

from collections.abc import Iterator

from tests.chaos.asked import Asked, Try
from tests.chaos.bill import Books, Hold, Served

# Holds of the same account that began so long before the answer, or after it, are others'.
NEAR_S = 3.0


def tell(served: Served, request: Asked | None, books: Books) -> str:
    """Tell in one line of its request's tries and of the holds that they may have made; moments count from its own."""
    if request is None:
        return "nobody asked for it"
    tries = "; ".join(_tell_try(each, served.started_at) for each in request.tries)
    holds = "; ".join(_tell_holds(served, request, books)) or "none"
    return f"it ended at {_after(served.ended_at, served.started_at)}. Tries: {tries}. Holds: {holds}"


def _tell_try(each: Try, since: float) -> str:
    said = " ".join(str(part) for part in (each.ending, each.status, each.code, each.generation_id) if part is not None)
    killed = f", killed {_after(each.life.killed_at, since)}" if each.life.killed_at is not None else ""
    return f"{_after(each.started_at, since)} to {_after(each.ended_at, since)} {said}{killed}"


def _tell_holds(served: Served, request: Asked, books: Books) -> Iterator[str]:
    names = {each.generation_id for each in request.tries}
    lines = {line.generation_id: line for line in books.lines}
    for hold in sorted(books.holds, key=lambda hold: hold.created_at):
        name = f"gen_{hold.id.hex}"
        if name in names or (hold.account_id == request.tenant.account_id and _is_near(hold, served)):
            line = lines.get(hold.id)
            paid = f"{line.usage_source} {line.waived_reason} for {line.upstream_id}" if line else "no line"
            made, over, closed = (
                _after(None if moment is None else moment.timestamp(), served.started_at)
                for moment in (hold.created_at, hold.expires_at, hold.ended_at)
            )
            yield f"{name} {hold.state}, made {made}, over {over}, closed {closed}, {paid}"


def _is_near(hold: Hold, served: Served) -> bool:
    return abs(hold.created_at.timestamp() - served.started_at) <= NEAR_S


def _after(moment: float | None, since: float) -> str:
    return "never" if moment is None else f"{moment - since:+.2f} s"
