"""What the gateway logs: events, never a key, a prompt or an answer."""

import asyncio
import json
from dataclasses import replace
from functools import partial

import aiohttp

from shared.keys.format import generate_secret
from tests.flows.calls import PATH, ask
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
