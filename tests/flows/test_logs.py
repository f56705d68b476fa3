"""What the gateway logs: events, never a key, a prompt or an answer."""

import asyncio
import json
from dataclasses import replace
from functools import partial
from typing import Any

import aiohttp

from shared.keys.format import generate_secret
from tests.flows.calls import PATH, ask, chat
from tests.flows.conftest import WiredGateway
from tests.harness.tenants import Models, Tenants
from tests.harness.wire import Exchange, Fault

MARK = "quetzalcoatlus"


def marked(model: str, **fields: object) -> dict[str, object]:
    """Return a request that has the mark wherever a prompt may stand."""
    return {
        "model": model,
        "messages": [
            {"role": "system", "content": f"{MARK}-system"},
            {"role": "user", "content": [{"type": "text", "text": f"{MARK}-part"}]},
        ],
        "tools": [{"type": "function", "function": {"name": f"{MARK}_tool", "parameters": {"type": "object"}}}],
        "metadata": {"note": f"{MARK}-metadata"},
        "user": f"{MARK}-user",
        **fields,
    }


async def test_no_log_ever_holds_a_prompt_an_answer_or_a_key(
    wired: WiredGateway, tenant: Tenants, make_model: Models, session: aiohttp.ClientSession
) -> None:
    rich, poor, mistyped = tenant(), tenant(credit_nanos=0), replace(tenant(), api_key=f"gw_live_{MARK}")
    unknown = replace(rich, api_key=generate_secret("live"))
    scripts = ("tokens=3", "status=500", "status=400", "garbage=1", "cut=mid_stream", "error_event=1", "usage=huge",
               "usage=garbage", "tool_calls=2", "event_bytes=100000")  # fmt: skip
    for model in [make_model(script) for script in scripts]:
        for stream in (False, True):
            await ask(session, wired.url, rich, marked(model.id, stream=stream))
    model = make_model("tokens=3")
    for customer in (poor, mistyped, unknown):
        await ask(session, wired.url, customer, marked(model.id))
    for wrong in ({"n": MARK}, {"messages": MARK}, {"plugins": [MARK]}, {"model": f"{MARK}/none"}, {"provider": MARK}):
        assert (await ask(session, wired.url, rich, marked(model.id) | wrong)).status in {400, 404}
    for function in ("admit", "settle"):
        with wired.supabase.broken(Fault(status=500, matches=partial(is_call_of, function))):
            await ask(session, wired.url, rich, marked(model.id))
    with (
        wired.supabase.broken(Fault(status=500, matches=partial(is_call_of, "settle"))),
        wired.redis.broken(Fault(status=500, matches=lambda exchange: b"gw:late" in exchange.body)),
    ):
        await ask(session, wired.url, rich, marked(model.id))
    await send_malformed(session, wired.url, rich.headers)
    await hang_up_in_the_middle(session, wired.url, rich.headers, marked(make_model("pace_ms=50").id, stream=True))

    log = wired.gateway.log_text()
    events = {json.loads(line)["event"] for line in log.splitlines() if line.startswith("{")}
    assert {
        "request_answered",
        "attempt_failed",
        "settlement_put_off",
        "settlement_failed",
        "database_call_refused",
    } <= events
    keys = [customer.api_key for customer in (rich, poor, mistyped, unknown)]
    secrets = [MARK, *keys, *(key.rpartition("_")[2][:20] for key in keys)]
    assert [secret for secret in secrets if secret in log] == []
    assert "Traceback" not in log


async def test_every_line_of_a_request_names_it_and_its_generation_once_there_is_one(
    wired: WiredGateway, tenant: Tenants, make_model: Models, session: aiohttp.ClientSession
) -> None:
    customer, failing = tenant(), make_model("status=500")
    place = {"traceparent": f"00-{'a' * 32}-{'b' * 16}-01"}
    asked = [
        chat(make_model("tokens=2")),
        chat(failing),
        chat(failing, models=[make_model("tokens=2").id], stream=True),
        chat(make_model("tokens=9,cut=mid_stream"), stream=True),
        chat(make_model("usage=huge")),
    ]
    session.headers.update(place)
    answers = [await ask(session, wired.url, customer, body) for body in asked]
    with wired.supabase.broken(Fault(status=500, matches=partial(is_call_of, "settle"))):
        answers.append(await ask(session, wired.url, customer, chat(make_model("tokens=2"))))
    refused = await ask(session, wired.url, tenant(credit_nanos=0), chat(make_model("tokens=2")))

    for answer in answers:
        lines = lines_of(wired, answer.headers["X-Request-Id"])
        assert {line.get("generation_id") for line in lines} == {answer.headers["X-Generation-Id"]}
        assert {line.get("trace_id") for line in lines} == {"a" * 32}
        assert [line["event"] for line in lines].count("call_ended") == 1
        assert lines[-1]["event"] == "request_answered"
    (only,) = lines_of(wired, refused.headers["X-Request-Id"])
    assert only["event"] == "request_answered"
    assert "generation_id" not in only


async def test_the_line_of_a_call_says_what_it_used_and_cost(
    wired: WiredGateway, tenant: Tenants, make_model: Models, session: aiohttp.ClientSession
) -> None:
    customer, model = tenant(), make_model("prompt_tokens=7,tokens=5")
    answer = await ask(session, wired.url, customer, chat(make_model("status=500"), models=[model.id]))
    line = next(line for line in lines_of(wired, answer.headers["X-Request-Id"]) if line["event"] == "call_ended")
    assert line == {
        "event": "call_ended",
        "level": "info",
        "request_id": answer.headers["X-Request-Id"],
        "generation_id": answer.headers["X-Generation-Id"],
        "operation": "chat",
        "provider": "openrouter",
        "model_id": model.id,
        "outcome": "completed",
        "usage_source": "provider",
        "is_stream": False,
        "attempts": 2,
        "input_tokens": 7,
        "output_tokens": 5,
        "images": 0,
        "first_byte_ms": line["first_byte_ms"],
        "duration_ms": line["duration_ms"],
        "cost_nanos": 17_000,
        "charged_nanos": 17_000,
        "provider_cost_nanos": 17_000,
        "shortfall_nanos": 0,
    }


async def test_a_late_settlement_is_a_line_of_the_sweep_that_names_the_generation(
    wired: WiredGateway, tenant: Tenants, make_model: Models, session: aiohttp.ClientSession
) -> None:
    with wired.supabase.broken(Fault(status=500, matches=partial(is_call_of, "settle"))):
        answer = await ask(session, wired.url, tenant(), chat(make_model("prompt_tokens=7,tokens=5")))
    await wired.sweep()
    late = [line for line in all_lines(wired) if line["event"] == "call_settled_late"]
    (line,) = [line for line in late if line["generation_id"] == answer.headers["X-Generation-Id"]]
    assert (line["cost_nanos"], line["shortfall_nanos"]) == (17_000, 0)
    assert line["request_id"] != answer.headers["X-Request-Id"]


def all_lines(wired: WiredGateway) -> list[dict[str, Any]]:
    return [json.loads(line) for line in wired.gateway.log_text().splitlines() if line.startswith("{")]


def lines_of(wired: WiredGateway, request_id: str) -> list[dict[str, Any]]:
    return [line for line in all_lines(wired) if line.get("request_id") == request_id]


def is_call_of(function: str, exchange: Exchange) -> bool:
    return exchange.path.endswith(f"/{function}")


async def send_malformed(session: aiohttp.ClientSession, url: str, headers: dict[str, str]) -> None:
    for body in (f'{{"model": "{MARK}', f'["{MARK}"]', f'{{"messages": "{MARK}"}}', f'{{"{MARK}": NaN}}'):
        async with session.post(f"{url}{PATH}?prompt={MARK}", data=body, headers=headers) as response:
            assert response.status == 400


async def hang_up_in_the_middle(
    session: aiohttp.ClientSession, url: str, headers: dict[str, str], body: dict[str, object]
) -> None:
    async with session.post(f"{url}{PATH}", json=body, headers=headers) as response:
        await response.content.readany()
        response.close()
    await asyncio.sleep(0.2)
