"""What the monitor tells of a window, held against what the simulated providers have counted themselves."""

import asyncio
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from infra.local.stack import LocalStack
from shared.routing.offer_health import FAILURES_TO_OPEN
from tests.functions.admin.people import Office
from tests.functions.chat.client import Answer, ask
from tests.functions.keys.client import outcome
from tests.harness.gateways import Gateways
from tests.harness.simulator import Simulator
from tests.harness.tenants import Models, Tenant, TestModel

WITHIN = 0.2
AT_ONCE = 8
MARKUP_PPM = 100_000
# As the simulated providers sell what they have read from a cache, in nano-dollars per million.
CACHED = {"cached_input_tokens": 100_000_000}
PROVIDERS = ("openrouter", "chutes", "featherless")
# How often each is asked, whole and streamed in turn: an answer takes from half a second to more than one.
HEALTHY = {
    "tokens=6,prompt_tokens=40,first_byte_ms=400": 12,
    "tokens=20,prompt_tokens=11,first_byte_ms=600,pace_ms=10,reasoning_tokens=5": 12,
    "tokens=9,prompt_tokens=90,cached_tokens=64,first_byte_ms=900": 10,
    "tokens=30,prompt_tokens=17,first_byte_ms=1300,pace_ms=5": 8,
}
FAULTS = ("status=500", "status=429,retry_after=1", "status=400", "tokens=9,cut=mid_stream,at=4")


@dataclass(frozen=True, slots=True)
class Asked:
    """One request to one model."""

    model: TestModel
    is_stream: bool


def _requests(make: Models) -> list[Asked]:
    """Return a mixture: answers of every length, one provider after another, and all that goes wrong."""
    found: list[Asked] = []
    for script, count in HEALTHY.items():
        for provider in PROVIDERS:
            model = make(script, providers=(provider,), markup_ppm=MARKUP_PPM, other_rates=CACHED)
            found += [Asked(model, number % 2 == 0) for number in range(count // len(PROVIDERS) + 1)]
    # The first provider fails once, and the second answers.
    found += [Asked(make("tokens=4,status=503,fail_times=1", providers=PROVIDERS[:2]), False) for _ in range(3)]
    found += [Asked(make(script, providers=PROVIDERS[:1]), "cut" in script) for script in FAULTS for _ in range(2)]
    return found


async def _ask_all(office: Office, customer: Tenant, requests: Iterable[Asked]) -> list[Answer]:
    turns = asyncio.Semaphore(AT_ONCE)

    async def one(asked: Asked) -> Answer:
        async with turns:
            return await ask(office.gateway, customer, asked.model, stream=asked.is_stream)

    return await asyncio.gather(*map(one, requests))


def _percentile(values: Sequence[float], part: float) -> float:
    """Return the value below which this part lies, between two where it falls between them, as percentile_cont does."""
    place = part * (len(values) - 1)
    below, above = sorted(values)[math.floor(place)], sorted(values)[math.ceil(place)]
    return below + (above - below) * (place - math.floor(place))


async def test_counts_tokens_errors_and_money_are_the_simulators_and_times_nearly(
    office: Office, simulator: Simulator, make_model: Models
) -> None:
    customer, requests = office.tenant(), _requests(make_model)
    began_at, seq = datetime.now(UTC), simulator.last_seq()
    answers = await _ask_all(office, customer, requests)
    told = await office.done("GET", f"/admin/monitor?from={began_at:%Y-%m-%dT%H:%M:%S.%fZ}")
    served, traffic = simulator.requests(after=seq), told["traffic"]
    # Requests, by what became of them.
    assert traffic["requests"] == len(requests)
    assert (traffic["accounts"], traffic["keys"]) == (1, 1)
    assert traffic["streams"] == sum(asked.is_stream for asked in requests)
    finished = [each for each in served if each["finished"]]
    refused = sum(answer.status >= 400 for answer in answers)
    cut = [each for each in served if each["tokens_sent"] and not each["finished"]]
    assert traffic["completed"] == len(finished) == len(requests) - refused - len(cut)
    assert (traffic["failed"], traffic["interrupted"]) == (refused, len(cut))
    assert traffic["error_rate"] == round((refused + len(cut)) / len(requests), 4)
    # Attempts, by provider and by what they failed with.
    assert {each["provider"]: each["attempts"] for each in told["providers"]} == Counter(
        each["provider"] for each in served
    )
    for provider in told["providers"]:
        own = [each for each in served if each["provider"] == provider["provider"]]
        statuses = Counter(str(each["status"]) for each in own if each["status"] != 200)
        assert {name: count for name, count in provider["failures"].items() if name.isdecimal()} == statuses
        assert provider["refused"] == statuses["400"]
        assert provider["successes"] + provider["failed"] + provider["refused"] == len(own)
    # Tokens.
    assert _sum(served, "prompt_tokens") == traffic["input_tokens"] + traffic["cached_input_tokens"]
    assert _sum(served, "cached_tokens") == traffic["cached_input_tokens"] > 0
    assert _sum(served, "completion_tokens") == traffic["output_tokens"] > 0
    assert _sum(served, "reasoning_tokens") == traffic["reasoning_tokens"] > 0
    # Money: what the providers bill, what customers pay, and what is left.
    bill = sum((Decimal(each["cost"]) for each in served), Decimal())
    assert Decimal(traffic["provider_cost"]) + Decimal(traffic["cost_excess"]) == bill > 0
    before = Decimal(customer.balance()["posted_nanos"]) / 10**9
    assert Decimal(traffic["charged"]) == 10 - before
    # What a customer has been given is spent, and pays for nothing.
    assert (traffic["paid"], Decimal(traffic["other_credit"]["admin"])) == ("0.000000000", 10 - before)
    assert Decimal(traffic["margin"]) == -bill
    assert traffic["shortfall"] == "0.000000000"
    assert {each["model"] for each in told["models"]} <= {asked.model.id for asked in requests}
    # Times.
    durations = [(each["ended_at"] - each["started_at"]) * 1000 for each in finished]
    assert traffic["duration_ms"]["count"] == len(durations)
    for name, part in (("p50", 0.5), ("p90", 0.9), ("p95", 0.95), ("p99", 0.99), ("max", 1.0)):
        assert traffic["duration_ms"][name] == pytest.approx(_percentile(durations, part), rel=WITHIN), name
    waits = [float(each["script"].get("first_byte_ms", 0)) for each in finished]
    for name, part in (("p50", 0.5), ("p90", 0.9), ("p95", 0.95), ("p99", 0.99)):
        assert traffic["first_byte_ms"][name] == pytest.approx(_percentile(waits, part), rel=WITHIN), name


def _sum(served: list[dict[str, Any]], name: str) -> int:
    return sum(int(each[name]) for each in served)


async def test_a_window_has_what_was_settled_in_it_and_nothing_else(office: Office, make_model: Models) -> None:
    customer, model = office.tenant(), make_model("tokens=2")
    first = datetime.now(UTC)
    await ask(office.gateway, customer, model)
    second = datetime.now(UTC)
    await ask(office.gateway, customer, model)
    between = f"from={first:%Y-%m-%dT%H:%M:%S.%fZ}&to={second:%Y-%m-%dT%H:%M:%S.%fZ}"
    assert (await office.done("GET", f"/admin/monitor?{between}"))["traffic"]["requests"] == 1
    assert (await office.done("GET", f"/admin/monitor?from={second:%Y-%m-%dT%H:%M:%S.%fZ}"))["traffic"]["requests"] == 1
    empty = await office.done("GET", "/admin/monitor?from=2020-01-01&to=2020-01-02")
    assert (empty["traffic"]["requests"], empty["models"], empty["providers"]) == (0, [], [])
    assert empty["traffic"]["duration_ms"] == {
        "count": 0, "p50": None, "p90": None, "p95": None, "p99": None, "max": None,
    }  # fmt: skip
    assert (await office.done("GET", "/admin/monitor"))["traffic"]["requests"] >= 2


@pytest.mark.parametrize(
    "query",
    ["window=1y", "from=tomorrow", "from=2026-01-02&to=2026-01-01", "from=2020-01-01", "window=1h&to=2026-01-01",
     "from=2026-01-01&to=2026-01-01", "from=2026-02-30"],
)  # fmt: skip
async def test_a_window_that_is_none_is_refused(office: Office, query: str) -> None:
    answer = await office.operator.call("GET", f"/admin/monitor?{query}")
    assert (answer.status, answer.error["code"]) == (400, "invalid_request")


async def test_what_customers_paid_is_told_apart_from_credit_that_they_were_given(
    office: Office, make_model: Models
) -> None:
    customer, model = office.tenant(credit_nanos=0), make_model("tokens=2")
    customer.credit(10**9, kind="purchase")
    began_at = datetime.now(UTC)
    await ask(office.gateway, customer, model)
    told = (await office.done("GET", f"/admin/monitor?from={began_at:%Y-%m-%dT%H:%M:%S.%fZ}"))["traffic"]
    left = Decimal(customer.balance()["posted_nanos"]) / 10**9
    assert Decimal(told["paid"]) == Decimal(told["charged"]) == 1 - left > 0
    assert set(told["other_credit"].values()) == {"0.000000000"}
    assert Decimal(told["margin"]) == Decimal(told["paid"]) - Decimal(told["provider_cost"])


async def test_a_provider_that_nobody_asks_for_the_moment_is_told_as_all_instances_share_it(
    office: Office, make_model: Models, start_gateway: Gateways
) -> None:
    customer, failing = office.tenant(), make_model("status=500", providers=("featherless",))
    for _ in range(FAILURES_TO_OPEN):
        await ask(office.gateway, customer, failing)
    # One that has not looked at them within the last moments.
    now = (await office.operator.on(start_gateway()).call("GET", "/admin/monitor?window=5m")).json["now"]
    (provider,) = [each for each in now["providers"] if each["provider"] == "featherless"]
    assert provider["requests"] >= FAILURES_TO_OPEN
    assert provider["success_rate"] < 1
    (breaker,) = [each for each in provider["breakers"] if each["model"] == failing.id]
    assert breaker["state"] == "open"
    assert 1 <= breaker["retry_after_s"] <= 30


async def test_what_is_under_way_is_seen_as_it_stands(office: Office, make_model: Models, simulator: Simulator) -> None:
    customer, gate = office.tenant(), "of-the-monitor"
    model = make_model(f"tokens=2,gate={gate}")
    before = (await office.done("GET", "/admin/monitor?window=5m"))["now"]
    request = asyncio.create_task(ask(office.gateway, customer, model))
    await asyncio.to_thread(simulator.wait_for, 1, model.upstream_model)
    during = (await office.done("GET", "/admin/monitor?window=5m"))["now"]
    held = Decimal(during["holds"]["amount"]) - Decimal(before["holds"]["amount"])
    assert during["holds"]["open"] == before["holds"]["open"] + 1
    assert held == Decimal(customer.balance()["held_nanos"]) / 10**9 > 0
    simulator.open_gate(gate)
    assert (await request).status == 200
    after = (await office.done("GET", "/admin/monitor?window=5m"))["now"]
    assert after["holds"]["open"] == before["holds"]["open"]


async def test_a_limiter_that_is_away_is_told_and_the_rest_all_the_same(
    stack: LocalStack, office: Office, start_gateway: Gateways
) -> None:
    operator = office.operator.on(start_gateway())
    there = (await office.done("GET", "/admin/monitor?window=5m"))["now"]["limiter"]
    assert (there["status"], there["late_settlements"], there["look_ups"]) == ("healthy", 0, 0)
    with stack.without("redis"):
        now = (await operator.call("GET", "/admin/monitor?window=5m")).json["now"]
    away, providers = now["limiter"], now["providers"]
    assert providers == []
    assert away == {"status": "down", "latency_ms": None, "late_settlements": None, "look_ups": None}


async def test_a_database_that_is_away_is_told_as_such(stack: LocalStack, office: Office) -> None:
    with stack.without("postgrest"):
        answer = await office.operator.call("GET", "/admin/monitor?window=5m")
    assert outcome(answer) == "storage_unavailable"
