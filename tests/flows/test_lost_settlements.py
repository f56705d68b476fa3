"""A settlement that the ledger did not confirm: the customer has the answer, and pays once or not at all."""

import asyncio
import json
import uuid
from typing import Any

import aiohttp
import pytest

from shared.flows.meter import SETTLE_DEADLINE_S
from tests.flows.calls import Answer, ask, chat
from tests.flows.conftest import WiredGateway
from tests.harness.tenants import Models, Tenant, Tenants
from tests.harness.wire import Exchange, Fault

SECRET_WORD = "zebra-in-the-prompt"
# More than the gateway waits for the database.
TOO_SLOW_S = 5.5
WHOLE: dict[str, object] = {}
STREAM: dict[str, object] = {"stream": True, "stream_options": {"include_usage": True}}
KINDS = pytest.mark.parametrize("fields", [WHOLE, STREAM], ids=["whole", "stream"])


def is_settle(exchange: Exchange) -> bool:
    return exchange.path.endswith("/settle")


NOT_DONE = [
    pytest.param(Fault(status=500, matches=is_settle), id="status-500"),
    pytest.param(Fault(status=200, matches=is_settle), id="garbage"),
    pytest.param(Fault(refuses=True, matches=is_settle), id="hangs-up"),
]


def body_with_secret(model: str, fields: dict[str, object]) -> dict[str, object]:
    return {"model": model, "messages": [{"role": "user", "content": SECRET_WORD}], **fields}


def usage_of(answer: Answer) -> dict[str, Any]:
    """Return the usage that the client was shown; a stream must have ended as one that is complete."""
    if isinstance(answer.body, dict):
        return dict(answer.body["usage"])
    assert answer.is_done
    (usage,) = [chunk["usage"] for chunk in answer.body if chunk.get("usage")]
    return dict(usage)


def logged(wired: WiredGateway, answer: Answer, event: str) -> list[dict[str, Any]]:
    """Return the lines of the gateway's log about this answer."""
    lines = [json.loads(line) for line in wired.gateway.log_text().splitlines() if line.startswith("{")]
    generation_id = answer.headers["X-Generation-Id"]
    return [line for line in lines if line["event"] == event and line["generation_id"] == generation_id]


def keeps_the_secret(wired: WiredGateway, customer: Tenant) -> bool:
    log = wired.gateway.log_text()
    return SECRET_WORD not in log and customer.api_key not in log


@KINDS
@pytest.mark.parametrize("fault", NOT_DONE)
async def test_an_answer_is_given_without_its_cost_and_charged_by_the_next_sweep(
    *,
    wired: WiredGateway,
    tenant: Tenants,
    make_model: Models,
    session: aiohttp.ClientSession,
    fault: Fault,
    fields: dict[str, object],
) -> None:
    customer, model = tenant(), make_model("tokens=7,prompt_tokens=11")
    before = customer.balance()["available_nanos"]
    with wired.supabase.broken(fault):
        answer = await ask(session, wired.url, customer, body_with_secret(model.id, fields))
    assert answer.status == 200
    usage = usage_of(answer)
    assert usage["completion_tokens"] == 7
    assert "cost" not in usage
    assert len(logged(wired, answer, "settlement_put_off")) == 1
    assert logged(wired, answer, "settlement_failed") == []
    assert customer.books.usage_lines() == []

    await wired.sweep()
    (line,) = customer.books.usage_lines()
    assert (line.cost_nanos, line.charged_nanos, line.usage_source) == (25_000, 25_000, "provider")
    assert customer.balance()["available_nanos"] == before - 25_000
    await wired.sweep()
    assert customer.balance()["available_nanos"] == before - 25_000
    assert customer.books.broken_rules() == []
    assert keeps_the_secret(wired, customer)


async def test_what_is_settled_after_its_hold_has_ended_is_charged_as_far_as_the_balance_reaches(
    wired: WiredGateway, tenant: Tenants, make_model: Models, session: aiohttp.ClientSession
) -> None:
    # The hold of a request without a bound is for 4,096 tokens.
    customer, model = tenant(credit_nanos=10_000_000), make_model("tokens=4000,prompt_tokens=11")
    with wired.supabase.broken(Fault(status=500, matches=is_settle)):
        first = await ask(session, wired.url, customer, chat(model))
    customer.books.end_holds()
    second = await ask(session, wired.url, customer, chat(model))
    assert (first.status, second.status) == (200, 200)
    await wired.sweep()
    late = next(line for line in customer.books.usage_lines() if line.generation_id != _uuid(second))
    assert late.cost_nanos == 4000 * 2_000 + 11_000
    assert late.charged_nanos == 10_000_000 - late.cost_nanos
    assert late.shortfall_nanos == 2 * late.cost_nanos - 10_000_000
    assert customer.balance()["posted_nanos"] == 0
    assert customer.books.broken_rules() == []


async def test_a_moment_without_redis_does_not_lose_a_settlement_that_failed(
    wired: WiredGateway, tenant: Tenants, make_model: Models, session: aiohttp.ClientSession
) -> None:
    customer, model = tenant(), make_model("tokens=7,prompt_tokens=11")
    with (
        wired.supabase.broken(Fault(status=500, matches=is_settle)),
        wired.redis.broken(Fault(status=500, matches=lambda exchange: b"gw:late" in exchange.body), times=2),
    ):
        answer = await ask(session, wired.url, customer, chat(model))
    assert len(logged(wired, answer, "settlement_put_off")) == 1
    await wired.sweep()
    (line,) = customer.books.usage_lines()
    assert line.charged_nanos == 25_000


@KINDS
async def test_without_both_stores_a_log_line_keeps_the_record_and_nothing_of_the_answer(
    wired: WiredGateway, tenant: Tenants, make_model: Models, session: aiohttp.ClientSession, fields: dict[str, object]
) -> None:
    customer, model = tenant(), make_model("tokens=7,prompt_tokens=11")
    before = customer.balance()["available_nanos"]
    with (
        wired.supabase.broken(Fault(status=500, matches=is_settle)),
        wired.redis.broken(Fault(status=500, matches=lambda exchange: b"gw:late" in exchange.body)),
    ):
        answer = await ask(session, wired.url, customer, body_with_secret(model.id, fields))
    assert answer.status == 200
    (record,) = logged(wired, answer, "settlement_failed")
    assert record["level"] == "error"
    assert (record["input_tokens"], record["output_tokens"]) == (11, 7)
    assert record["price_id"] == model.price_ids["openrouter"]
    assert record["usage_source"] == "provider"
    assert keeps_the_secret(wired, customer)
    await wired.sweep()
    assert len(customer.books.holds("held")) == 1
    customer.books.end_holds()
    assert customer.balance()["available_nanos"] == before
    assert customer.books.broken_rules() == []


@KINDS
async def test_a_retry_after_a_settlement_that_came_late_gets_the_answer(
    wired: WiredGateway, tenant: Tenants, make_model: Models, session: aiohttp.ClientSession, fields: dict[str, object]
) -> None:
    customer, model = tenant(), make_model("tokens=7,prompt_tokens=11")
    session.headers["Idempotency-Key"] = "late"
    with wired.supabase.broken(Fault(status=500, matches=is_settle)):
        await ask(session, wired.url, customer, body_with_secret(model.id, fields))
    early = await ask(session, wired.url, customer, body_with_secret(model.id, fields))
    assert (early.status, early.code) == (409, "idempotency_in_progress")
    await wired.sweep()
    again = await ask(session, wired.url, customer, body_with_secret(model.id, fields))
    assert again.headers["Idempotent-Replayed"] == "true"
    assert usage_of(again)["cost"] == 0.000025
    assert len(customer.books.usage_lines()) == 1


async def test_a_settlement_that_is_too_slow_is_asked_for_again_and_not_waited_for_any_longer(
    wired: WiredGateway, tenant: Tenants, make_model: Models, session: aiohttp.ClientSession
) -> None:
    customer, model = tenant(), make_model("tokens=7")
    with wired.supabase.broken(Fault(answer_delay_s=TOO_SLOW_S, matches=is_settle)):
        answers = await asyncio.gather(
            *(ask(session, wired.url, customer, chat(model, **fields)) for fields in (WHOLE, STREAM))
        )
    for answer in answers:
        assert answer.duration_s < SETTLE_DEADLINE_S + 1
        assert "cost" not in usage_of(answer)
        assert len(logged(wired, answer, "settlement_put_off")) == 1
    assert len(customer.books.usage_lines()) == 2
    charged = customer.balance()["posted_nanos"]
    await wired.sweep()
    assert len(customer.books.usage_lines()) == 2
    assert customer.balance()["posted_nanos"] == charged
    assert customer.books.broken_rules() == []


@KINDS
async def test_a_settlement_whose_answer_is_lost_once_is_asked_again_and_charged_once(
    wired: WiredGateway,
    tenant: Tenants,
    make_model: Models,
    session: aiohttp.ClientSession,
    fields: dict[str, object],
) -> None:
    customer, model = tenant(), make_model("tokens=7,prompt_tokens=11")
    before = customer.balance()["available_nanos"]
    wired.forget()
    with wired.supabase.broken(Fault(drops_answer=True, matches=is_settle), times=1):
        answer = await ask(session, wired.url, customer, body_with_secret(model.id, fields))
    assert len(wired.supabase.exchanges("/settle")) == 2
    (line,) = customer.books.usage_lines()
    assert usage_of(answer)["cost"] == line.cost_nanos / 10**9
    assert customer.balance()["available_nanos"] == before - line.charged_nanos
    assert logged(wired, answer, "settlement_put_off") == []
    assert customer.books.broken_rules() == []


async def test_a_settlement_whose_answers_are_lost_is_charged_once(
    wired: WiredGateway, tenant: Tenants, make_model: Models, session: aiohttp.ClientSession
) -> None:
    customer, model = tenant(), make_model("tokens=7")
    before = customer.balance()["available_nanos"]
    with wired.supabase.broken(Fault(drops_answer=True, matches=is_settle)):
        answer = await ask(session, wired.url, customer, chat(model))
    assert answer.status == 200
    assert len(logged(wired, answer, "settlement_put_off")) == 1
    (line,) = customer.books.usage_lines()
    assert customer.balance()["available_nanos"] == before - line.charged_nanos
    await wired.sweep()
    customer.books.end_holds()
    assert customer.balance()["available_nanos"] == before - line.charged_nanos
    assert customer.books.broken_rules() == []


def _uuid(answer: Answer) -> str:
    return str(uuid.UUID(answer.headers["X-Generation-Id"].removeprefix("gen_")))
