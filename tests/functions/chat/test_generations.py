"""What a customer may know of a request afterwards, and have erased: its own, exactly, and never a word of a prompt."""

import uuid
from collections.abc import Mapping
from decimal import ROUND_CEILING, Decimal
from typing import Any

import aiohttp
import pytest

from shared.core.money import NANOS_PER_DOLLAR
from tests.flows.calls import wait_until
from tests.functions.chat.books import usage_line
from tests.functions.chat.client import TIMEOUT, ask
from tests.functions.chat.looked_up import AS_BEFORE, PROMPT, READ_KEPT, USE_UP, ask_with_key, erase, look, refused, run
from tests.harness.gateways import RunningGateway
from tests.harness.simulator import Simulator
from tests.harness.tenants import Models, Tenants

NANO = Decimal("0.000000001")


@pytest.mark.parametrize("is_stream", [False, True])
async def test_a_settled_generation_shows_its_bill_and_the_bill_adds_up(
    gateway: RunningGateway, tenant: Tenants, make_model: Models, simulator: Simulator, is_stream: bool
) -> None:
    customer = tenant()
    model = make_model(
        "tokens=7,prompt_tokens=90,cached_tokens=64",
        input_usd_per_mtok=Decimal("1.234567"),
        output_usd_per_mtok=Decimal("2.5"),
        markup_ppm=55_000,
        other_rates={"cached_input_tokens": NANOS_PER_DOLLAR // 10},
    )
    asked = await ask(
        gateway, customer, model, messages=[{"role": "user", "content": PROMPT}], stream=is_stream, max_tokens=50
    )
    answer = await look(gateway, customer.headers, asked.generation_id)
    shown, line = answer.json, usage_line(customer, asked.generation_id)
    (served,) = simulator.requests(model.upstream_model)

    assert (answer.status, answer.headers["Content-Type"]) == (200, "application/json")
    assert (shown["id"], shown["object"], shown["status"]) == (asked.generation_id, "generation", "settled")
    assert shown["model"] == shown["served_model"] == model.id
    assert shown["models"] == [model.id]
    assert shown["provider"] == asked.headers["X-Provider"] == "openrouter"
    assert shown["upstream_id"] == served["id"]
    assert shown["is_stream"] is is_stream
    assert shown["request"]["choices"] == 1
    assert shown["request"]["max_output_tokens"] == 50
    assert shown["request"]["image_count"] == 0
    assert shown["request"]["prompt_bytes"] >= len(PROMPT)
    assert shown["quantities"] == {
        "input_tokens": served["prompt_tokens"] - served["cached_tokens"],
        "cached_input_tokens": served["cached_tokens"],
        "cache_write_tokens": 0,
        "output_tokens": served["completion_tokens"],
        "images": 0,
        "requests": 1,
    }
    assert (shown["usage_source"], shown["outcome"], shown["waived_reason"]) == ("provider", "completed", None)
    assert (shown["is_late"], shown["superseded_by"], shown["kept_answer"]) == (False, None, None)
    assert shown["price"]["version"] == model.price_ids["openrouter"]
    assert shown["price"]["rates"]["output_tokens"] == "2.637500000"
    assert charged_by(shown) == shown["cost"] == shown["charged"] == dollars(line["charged_nanos"])
    assert shown["shortfall"] == "0.000000000"
    (hold,) = customer.books.holds()
    assert shown["hold"]["amount"] == dollars(hold.amount_nanos)
    assert (shown["hold"]["state"], shown["hold"]["extensions"]) == ("settled", 0)
    assert 0 <= shown["timings"]["first_byte_ms"] <= shown["timings"]["duration_ms"]


async def test_of_the_prompt_the_answer_and_our_own_costs_nothing_is_shown(
    gateway: RunningGateway, tenant: Tenants, make_model: Models
) -> None:
    customer, model = tenant(), make_model("tokens=3,cost=0.5", markup_ppm=500_000)
    asked = await ask(gateway, customer, model, messages=[{"role": "user", "content": PROMPT}])
    assert usage_line(customer, asked.generation_id)["cost_excess_nanos"] > 0
    answer = await look(gateway, customer.headers, asked.generation_id)
    for word in (PROMPT, "tok0", "provider_cost", "excess", "markup", "nanos", "key_id", "hmac", customer.api_key):
        assert word not in answer.raw.decode()
    assert model.upstream_model not in answer.raw.decode()


async def test_each_attempt_is_shown_with_its_provider_status_and_time(
    gateway: RunningGateway, tenant: Tenants, make_model: Models
) -> None:
    customer = tenant()
    failing = make_model("status=503", providers=("openrouter", "featherless"))
    answering = make_model("tokens=2,first_byte_ms=120")
    asked = await ask(gateway, customer, failing, models=[answering.id])
    assert asked.status == 200
    shown = (await look(gateway, customer.headers, asked.generation_id)).json
    assert [(each["model"], each["status"]) for each in shown["attempts"]] == [
        (failing.id, 503),
        (failing.id, 503),
        (answering.id, 200),
    ]
    assert {each["provider"] for each in shown["attempts"][:2]} == {"openrouter", "featherless"}
    assert (shown["model"], shown["models"]) == (failing.id, [failing.id, answering.id])
    assert (shown["served_model"], shown["provider"]) == (answering.id, "openrouter")
    ends = [each["started_ms"] + each["duration_ms"] for each in shown["attempts"]]
    starts = [each["started_ms"] for each in shown["attempts"]]
    assert all(end <= start + 1 for end, start in zip(ends, starts[1:], strict=False))
    assert shown["attempts"][2]["duration_ms"] >= 120
    assert ends[2] <= shown["timings"]["duration_ms"]


async def test_a_request_that_nobody_answered_is_shown_at_no_charge(
    gateway: RunningGateway, odd_gateway: RunningGateway, tenant: Tenants, make_model: Models
) -> None:
    customer = tenant()
    failed = await ask(gateway, customer, make_model("status=500"))
    shown = (await look(gateway, customer.headers, failed.generation_id)).json
    assert (shown["status"], shown["outcome"], shown["attempts"][0]["status"]) == ("settled", "failed", 500)
    assert (shown["cost"], shown["charged"]) == ("0.000000000", "0.000000000")

    unreached = await ask(odd_gateway, customer, make_model(providers=("chutes",)))
    shown = (await look(gateway, customer.headers, unreached.generation_id)).json
    assert (shown["status"], shown["hold"]["state"]) == ("voided", "voided")
    assert (shown["cost"], shown["outcome"], shown["attempts"]) == (None, None, [])


async def test_a_generation_under_way_shows_its_hold_and_no_bill_and_an_overdue_one_is_expired(
    *,
    gateway: RunningGateway,
    tenant: Tenants,
    make_model: Models,
    simulator: Simulator,
) -> None:
    customer, model = tenant(), make_model("tokens=3,gate=generations")
    simulator.close_gate("generations")
    try:
        async with aiohttp.ClientSession(timeout=TIMEOUT) as session:
            body = {"model": model.id, "messages": [{"role": "user", "content": PROMPT}], "stream": True}
            request = session.post(f"{gateway.url}/v1/chat/completions", json=body, headers=customer.headers)
            async with request as response:
                await wait_until(lambda: len(customer.books.holds("held")) == 1)
                (hold,) = customer.books.holds("held")
                shown = (await look(gateway, customer.headers, f"gen_{uuid.UUID(hold.id).hex}")).json
                customer.books.make_holds_overdue()
                overdue = (await look(gateway, customer.headers, shown["id"])).json
                simulator.open_gate("generations")
                await response.read()
    finally:
        simulator.open_gate("generations")
    assert (shown["status"], shown["model"], shown["models"]) == ("in_progress", model.id, [model.id])
    assert shown["hold"]["amount"] == dollars(hold.amount_nanos)
    assert shown["hold"]["state"] == "held"
    assert {shown[name] for name in ("cost", "charged", "price", "quantities", "outcome", "provider")} == {None}
    assert (overdue["status"], overdue["hold"]["state"]) == ("expired", "expired")
    late = (await look(gateway, customer.headers, shown["id"])).json
    assert (late["status"], late["hold"]["state"], late["is_late"]) == ("settled", "settled_late", True)


async def test_a_line_from_before_its_facts_were_kept_is_shown_without_them(
    gateway: RunningGateway, tenant: Tenants, make_model: Models
) -> None:
    customer, model = tenant(), make_model("tokens=2")
    asked = await ask(gateway, customer, model)
    run(customer, AS_BEFORE, customer.account_id)
    shown = (await look(gateway, customer.headers, asked.generation_id)).json
    assert (shown["request"], shown["upstream_id"]) == (None, None)
    assert (shown["model"], shown["models"]) == (model.id, [model.id])
    assert [(each["status"], each["started_ms"]) for each in shown["attempts"]] == [(200, None)]


async def test_a_key_without_requests_left_still_sees_what_its_requests_cost(
    gateway: RunningGateway, tenant: Tenants, make_model: Models
) -> None:
    customer, model = tenant(), make_model("tokens=2")
    asked = await ask(gateway, customer, model)
    run(customer, USE_UP, customer.key_id)
    assert refused(await ask(gateway, customer, model)) == (429, "key_requests_exhausted")
    assert (await look(gateway, customer.headers, asked.generation_id)).json["charged"] != "0.000000000"


async def test_an_erased_answer_is_not_given_again_and_its_bill_stays(
    gateway: RunningGateway, tenant: Tenants, make_model: Models, simulator: Simulator
) -> None:
    customer, other, model = tenant(), tenant(), make_model("tokens=2")
    asked = await ask_with_key(gateway, customer, model.id, "once")
    again = await ask_with_key(gateway, customer, model.id, "once")
    assert (asked.status, again.raw) == (200, asked.raw)
    before = (await look(gateway, customer.headers, asked.generation_id)).json
    assert before["kept_answer"]["replays"] == 1

    assert refused(await erase(gateway, other, asked.generation_id)) == (404, "generation_not_found")
    assert run(customer, READ_KEPT, customer.account_id) == [(True,)]
    for _ in range(2):
        erased = await erase(gateway, customer, asked.generation_id)
        assert (erased.status, erased.raw) == (204, b"")
        assert "Content-Type" not in erased.headers
    assert run(customer, READ_KEPT, customer.account_id) == [(False,)]

    assert refused(await ask_with_key(gateway, customer, model.id, "once")) == (409, "answer_not_stored")
    after = (await look(gateway, customer.headers, asked.generation_id)).json
    assert after == {**before, "kept_answer": None}
    assert len(simulator.requests(model.upstream_model)) == 1


async def test_an_answer_erased_while_it_is_under_way_is_never_kept(
    gateway: RunningGateway, tenant: Tenants, make_model: Models, simulator: Simulator
) -> None:
    customer, model = tenant(), make_model("tokens=3,gate=erased")
    simulator.close_gate("erased")
    try:
        async with aiohttp.ClientSession(timeout=TIMEOUT) as session:
            body = {"model": model.id, "messages": [{"role": "user", "content": PROMPT}], "stream": True}
            headers = {**customer.headers, "Idempotency-Key": "once"}
            async with session.post(f"{gateway.url}/v1/chat/completions", json=body, headers=headers) as response:
                await wait_until(lambda: len(customer.books.holds("held")) == 1)
                (hold,) = customer.books.holds("held")
                erased = await erase(gateway, customer, f"gen_{uuid.UUID(hold.id).hex}")
                simulator.open_gate("erased")
                assert b"[DONE]" in await response.read()
    finally:
        simulator.open_gate("erased")
    assert erased.status == 204
    assert run(customer, READ_KEPT, customer.account_id) == [(False,)]


def charged_by(shown: Mapping[str, Any]) -> str:
    """Work the bill out from what is shown, as its reader can: quantities times rates, rounded up once."""
    rates, quantities = shown["price"]["rates"], shown["quantities"]
    total = sum((Decimal(rates[unit]) * quantities[unit] for unit in quantities), Decimal(0)) / 1_000_000
    return str(total.quantize(NANO, rounding=ROUND_CEILING))


def dollars(nanos: int) -> str:
    return str((Decimal(nanos) * NANO).quantize(NANO))
