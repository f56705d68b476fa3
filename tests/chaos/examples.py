"""One request that was answered and charged as it should be, from which the tests of the checker make damage."""

import uuid
from dataclasses import replace
from datetime import UTC, datetime

from tests.chaos.amounts import price
from tests.chaos.asked import Asked, Ending, Life, Try
from tests.chaos.bill import Books, Hold, Line, Served
from tests.chaos.checker import Evidence, check
from tests.chaos.table import Round
from tests.harness.tenants import Tenant

NOW = 1_800_000_000.0
GENERATION_ID = uuid.UUID(int=1)
TENANT = Tenant(1000, 1, "key", "")
KEY = "chaos-0-test"

SERVED = Served(
    id="gen-sim-1",
    key=KEY,
    provider="portkey",
    prompt_tokens=10,
    cached_tokens=1,
    completion_tokens=7,
    cost_nanos=9 * 1000 + 100 + 7 * 2000,
    sent_bytes=34,
    started_at=NOW - 30,
    ended_at=NOW - 29,
)
LINE = Line(
    generation_id=GENERATION_ID,
    account_id=1000,
    provider="portkey",
    input_tokens=9,
    cached_input_tokens=1,
    output_tokens=7,
    usage_source="provider",
    cost_nanos=price(9, 1, 7),
    charged_nanos=price(9, 1, 7),
    shortfall_nanos=0,
    provider_nanos=SERVED.cost_nanos,
    waived_reason=None,
    is_late=False,
    upstream_id="gen-sim-1",
)
HOLD = Hold(
    id=GENERATION_ID,
    account_id=1000,
    state="settled",
    created_at=datetime.fromtimestamp(NOW - 31, UTC),
    expires_at=datetime.fromtimestamp(NOW + 300, UTC),
    ended_at=datetime.fromtimestamp(NOW - 29, UTC),
)
COUNTED = replace(LINE, usage_source="counted", input_tokens=10, cached_input_tokens=0)
ESTIMATED = replace(COUNTED, output_tokens=9, cost_nanos=price(10, 0, 9), charged_nanos=price(10, 0, 9))
WAIVED = replace(LINE, waived_reason="crashed", usage_source="lookup", cost_nanos=0, charged_nanos=0, is_late=True)
CUT = replace(SERVED, is_finished=False, broke_off=True)
# Its process was killed before the client was told a name.
NAMELESS = Asked(
    "chaos-1-test",
    TENANT,
    "why",
    is_stream=True,
    tries=[Try(Life("http://gateway", NOW - 60, NOW - 29.5), NOW - 30.1, NOW - 29.5, Ending.BROKEN)],
)


def answered(ending: Ending = Ending.COMPLETE, killed_at: float | None = None) -> Asked:
    """Return a request of one try."""
    life = Life("http://gateway", NOW - 60, killed_at)
    each = Try(life, NOW - 30.1, NOW - 28.9, ending, 200, generation_id=f"gen_{GENERATION_ID.hex}", text_bytes=34)
    return Asked(KEY, TENANT, "why" * 13, is_stream=True, body_bytes=200, tries=[each])


def evidence(*, lines: tuple[Line, ...] = (LINE,), holds: tuple[Hold, ...] = (HOLD,), **other: object) -> Evidence:
    """Return what a round of one request leaves behind."""
    right = Evidence(
        asked=[answered()],
        served=[SERVED],
        books=Books(lines, holds, negative_balances=0),
        leases={},
        late_records={},
        failed_releases=0,
        broken_rules=[],
        read_at=NOW,
        closes_within_s=5,
    )
    return replace(right, **other)  # type: ignore[arg-type]


def ran(given: Evidence) -> Round:
    """Return the round that left it."""
    return Round("test", given.asked, 0, 1, 1, 1.0, check(given))


def faults_of(given: Evidence) -> dict[str, list[str]]:
    """Return the kinds of faults found."""
    return {name: found for name, found in check(given).faults.all() if found}
