"""What the simulator remembers between requests."""

import asyncio
from collections import Counter
from dataclasses import dataclass, field

from aiohttp import web

from infra.local.simulator.gates import Gates
from infra.local.simulator.log import Served, ServedLog
from infra.local.simulator.script import Script

# Far more than a test suite scripts; past it the counts start anew.
MAX_FAILURE_COUNTS = 10_000


@dataclass(slots=True)
class State:
    """What the process remembers between requests.

    failures counts, per script key, the requests already failed; unheard: answers that go on although nobody listens
    """

    log: ServedLog = field(default_factory=ServedLog)
    gates: Gates = field(default_factory=Gates)
    failures: Counter[str] = field(default_factory=Counter)
    unheard: set[asyncio.Task[None]] = field(default_factory=set)


STATE = web.AppKey("state", State)


def fails_now(state: State, script: Script, served: Served) -> bool:
    """Count a failure that ends after a number of times; one without a number never ends."""
    if script.fail_times is None:
        return True
    if len(state.failures) > MAX_FAILURE_COUNTS:
        state.failures.clear()
    counted = f"{served.provider} {script.key or served.model}"
    state.failures[counted] += 1
    return state.failures[counted] <= script.fail_times
