"""Routes: refusals, gates, scripted errors, generations, control."""

import asyncio
from typing import Any

import openai
import pytest

from tests.infra.local.simulator.conftest import MESSAGES, Sim


@pytest.mark.parametrize(
    ("provider", "headers"),
    [
        ("openrouter", {"Authorization": ""}),
        ("chutes", {"Authorization": "Bearer "}),
        ("featherless", {"Authorization": "Basic abc"}),
        ("portkey", {"x-portkey-api-key": ""}),
    ],
)
async def test_a_request_without_the_providers_key_is_401(sim: Sim, provider: str, headers: dict[str, str]) -> None:
    status, body = await sim.post({}, provider=provider, headers=headers)
    assert status == 401
    assert body["error"]["code"] == "invalid_api_key"
    record = await sim.last()
    assert (record["authorization_seen"], record["status"], record["cost"]) == (False, 401, "0")


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"model": 5}, "model"),
        ({"messages": []}, "messages"),
        ({"messages": "hi"}, "messages"),
        ({"n": 0}, "n"),
        ({"n": 18446744073709551615}, "n"),
        ({"max_tokens": "ten"}, "max_tokens"),
        ({"max_completion_tokens": True}, "max_completion_tokens"),
        ({"model": "sim/colour=red"}, "colour"),
        ({"simulate": "tokens=3"}, "simulate"),
        ({"simulate": {"tokens": -1}}, "tokens"),
    ],
)
async def test_bad_requests_are_400_and_name_the_field(sim: Sim, fields: dict[str, Any], named: str) -> None:
    status, body = await sim.post(fields)
    assert status == 400
    assert named in body["error"]["message"]


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b'"text"', b"\xff"])
async def test_a_body_that_is_no_json_object_is_400(sim: Sim, raw: bytes) -> None:
    url = f"{sim.url}/openrouter/v1/chat/completions"
    async with sim.session.post(url, data=raw, headers={"Authorization": "Bearer k"}) as response:
        assert response.status == 400


@pytest.mark.parametrize("status", [400, 402, 408, 429, 500, 503])
async def test_scripted_errors_carry_a_secret_detail_and_cost_nothing(sim: Sim, status: int) -> None:
    async with sim.ask({"model": f"sim/status={status},retry_after=7", "stream": True}) as response:
        assert response.status == status
        assert response.headers["Retry-After"] == "7"
        assert "secret-provider-detail" in (await response.json())["error"]["message"]
    record = await sim.last()
    assert (record["status"], record["cost"], record["finished"]) == (status, "0", False)


async def test_a_failure_can_pass_after_some_times_counted_by_provider_and_key(sim: Sim) -> None:
    script = {"simulate": {"status": 503, "fail_times": 2, "key": "a"}}
    assert [(await sim.post(script))[0] for _ in range(4)] == [503, 503, 200, 200]
    assert (await sim.post(script, provider="chutes"))[0] == 503
    script["simulate"]["key"] = "b"
    assert (await sim.post(script))[0] == 503
    await sim.control("/_sim/reset")
    assert (await sim.post(script))[0] == 503


async def test_a_gate_holds_every_answer_until_it_is_opened(sim: Sim) -> None:
    held = [asyncio.create_task(sim.post({"model": "sim/gate=g"})) for _ in range(20)]
    for _ in range(200):
        if (await sim.get("/_sim/gates/g"))["waiting"] == 20:
            break
        await asyncio.sleep(0.01)
    assert not any(task.done() for task in held)
    assert (await sim.get("/_sim/count"))["active"] == 20
    assert await sim.control("/_sim/gates/g", {"open": True}) == {"name": "g", "open": True, "waiting": 20}
    assert {status for status, _ in await asyncio.gather(*held)} == {200}
    assert (await sim.post({"model": "sim/gate=g"}))[0] == 200
    await sim.control("/_sim/gates/g", {"open": False})
    late = asyncio.create_task(sim.post({"model": "sim/gate=g"}))
    await asyncio.sleep(0.05)
    assert not late.done()
    await sim.control("/_sim/reset")
    assert (await late)[0] == 200


async def test_a_gate_takes_only_a_boolean(sim: Sim) -> None:
    async with sim.session.post(f"{sim.url}/_sim/gates/g", json={"open": "yes"}) as response:
        assert response.status == 400


async def test_openrouter_tells_of_a_generation_afterwards(sim: Sim) -> None:
    events = await sim.events({"model": "openai/gpt-5-mini", "simulate": {"reasoning_tokens": 2, "cached_tokens": 1}})
    data = (await sim.get(f"/openrouter/v1/generation?id={events[0]['id']}"))["data"]
    expected = {
        "id": events[0]["id"],
        "model": "openai/gpt-5-mini",
        "native_tokens_prompt": 2,
        "native_tokens_completion": 10,
        "native_tokens_cached": 1,
        "native_tokens_reasoning": 2,
        "total_cost": events[-2]["usage"]["cost"],
        "cancelled": False,
        "streamed": True,
        "finish_reason": "stop",
        "provider_name": "SimUpstream",
    }
    assert {name: data[name] for name in expected} == expected


async def test_openrouter_names_every_answer_in_its_headers(sim: Sim) -> None:
    for is_streamed in (False, True):
        async with sim.ask({"stream": is_streamed}) as response:
            assert response.headers["X-Generation-Id"].encode() in await response.read()
    async with sim.ask({}, provider="chutes") as response:
        assert "X-Generation-Id" not in response.headers


async def test_the_record_of_a_generation_may_come_late(sim: Sim) -> None:
    _, body = await sim.post({"model": "sim/record_after_ms=300"})
    path = f"/openrouter/v1/generation?id={body['id']}"
    assert (await sim.get(path))["error"]["code"] == 404
    await asyncio.sleep(0.35)
    assert (await sim.get(path))["data"]["native_tokens_completion"] == 8


async def test_an_unknown_generation_is_404(sim: Sim) -> None:
    _, refused = await sim.post({"model": "sim/status=500"})
    _, other = await sim.post({}, provider="chutes")
    assert refused["error"]
    for generation_id in ("", "gen-sim-99999", "gen-sim-x", "gen-sim-1", other["id"]):
        url = f"{sim.url}/openrouter/v1/generation"
        headers = {"Authorization": "Bearer k"}
        async with sim.session.get(url, params={"id": generation_id}, headers=headers) as response:
            assert response.status == 404
    async with sim.session.get(f"{sim.url}/openrouter/v1/generation?id=gen-sim-1") as response:
        assert response.status == 401


async def test_requests_are_logged_with_what_was_asked(sim: Sim) -> None:
    fields = {"model": "qwen/qwen3-32b", "n": 2, "max_tokens": 5, "seed": 1, "simulate": {"tokens": 3}}
    await sim.post(fields, headers={"traceparent": "00-abc-def-01"})
    record = await sim.last()
    assert record["provider"] == "openrouter"
    assert record["body_fields"] == ["model", "messages", "n", "max_tokens", "seed", "simulate"]
    assert record["script"] == {"tokens": "3"}
    assert (record["n"], record["max_tokens"], record["stream"], record["finished"]) == (2, 5, False, True)
    assert record["headers"]["traceparent"] == "00-abc-def-01"
    # 2 x 0.08 + 6 x 0.24 dollars per million.
    assert record["cost"] == "0.0000016"


async def test_the_log_is_listed_by_sequence_and_model_and_can_be_cleared(sim: Sim) -> None:
    for model in ("sim/echo", "sim/free", "sim/echo"):
        await sim.post({"model": model})
    first = (await sim.get("/_sim/requests"))["data"][0]["seq"]
    assert len((await sim.get(f"/_sim/requests?after={first}"))["data"]) == 2
    assert len((await sim.get("/_sim/requests?model=sim/echo"))["data"]) == 2
    assert len((await sim.get("/_sim/requests?limit=1"))["data"]) == 1
    assert (await sim.get("/_sim/count")) == {"count": 3, "active": 0, "last_seq": 3}
    await sim.control("/_sim/reset")
    assert (await sim.get("/_sim/count")) == {"count": 0, "active": 0, "last_seq": 3}
    async with sim.session.get(f"{sim.url}/_sim/requests?after=x") as response:
        assert response.status == 400


async def test_a_free_model_costs_nothing(sim: Sim) -> None:
    _, body = await sim.post({"model": "sim/free"})
    assert body["usage"]["cost"] == 0
    assert (await sim.last())["cost"] == "0"


async def test_the_official_client_understands_answers_and_streams(sim: Sim) -> None:
    async with openai.AsyncOpenAI(base_url=f"{sim.url}/openrouter/v1", api_key="sk-sim", max_retries=0) as client:
        messages: Any = MESSAGES
        answer = await client.chat.completions.create(model="sim/echo", messages=messages, n=2)
        assert [choice.message.content for choice in answer.choices][1].startswith("tok0 tok1")  # type: ignore[union-attr]
        stream = await client.chat.completions.create(
            model="sim/wide=1,comments=1,crlf=1,multiline=1,split=3", messages=messages, stream=True
        )
        text = "".join([chunk.choices[0].delta.content or "" async for chunk in stream if chunk.choices])
        assert text.startswith("tok0é tok1🙂")
        with pytest.raises(openai.RateLimitError):
            await client.chat.completions.create(model="sim/status=429", messages=messages)
