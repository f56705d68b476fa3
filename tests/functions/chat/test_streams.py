import json

import pytest

from shared.core.money import NANOS_PER_DOLLAR
from tests.functions.chat.books import assert_settled, usage_line
from tests.functions.chat.client import ask, words
from tests.harness.gateways import RunningGateway
from tests.harness.tenants import Models, Tenants

START = 10 * NANOS_PER_DOLLAR


async def test_a_stream_is_the_provider_s_bytes_and_ends_with_done(
    gateway: RunningGateway, tenant: Tenants, make_model: Models
) -> None:
    model = make_model("tokens=20", providers=("featherless",))
    answer = await ask(gateway, tenant(), model, stream=True)
    assert answer.status == 200
    assert answer.payloads[-1] == "[DONE]"
    assert answer.raw.endswith(b"data: [DONE]\n\n")
    assert answer.text == words(20)
    assert [chunk["choices"][0]["finish_reason"] for chunk in answer.chunks] == [None] * 20 + ["stop"]
    assert answer.payloads[1] == (
        f'{{"id":"{answer.chunks[0]["id"]}","object":"chat.completion.chunk","created":1750000000,'
        f'"model":"{model.upstream_model}","choices":[{{"index":0,"delta":{{"content":" tok1"}},"logprobs":null,'
        '"finish_reason":null}]}'
    )


async def test_a_stream_s_headers_keep_it_a_stream_and_name_the_request(
    gateway: RunningGateway, tenant: Tenants, make_model: Models
) -> None:
    answer = await ask(gateway, tenant(), make_model(providers=("portkey",)), stream=True)
    assert answer.headers["Content-Type"] == "text/event-stream; charset=utf-8"
    assert answer.headers["Cache-Control"] == "no-cache, no-transform"
    assert answer.headers["X-Accel-Buffering"] == "no"
    assert answer.headers["X-Provider"] == "portkey"
    assert answer.headers["X-Generation-Id"].startswith("gen_")
    assert answer.headers["X-Request-Id"].startswith("req_")


@pytest.mark.parametrize("provider", ["openrouter", "featherless"])
async def test_exactly_one_usage_chunk_stands_before_done_when_it_was_asked_for(
    gateway: RunningGateway, tenant: Tenants, make_model: Models, provider: str
) -> None:
    model = make_model("tokens=3", providers=(provider,))
    answer = await ask(gateway, tenant(), model, stream=True, stream_options={"include_usage": True})
    with_usage = [chunk for chunk in answer.chunks if chunk.get("usage")]
    assert with_usage == answer.chunks[-1:]
    assert with_usage[0]["choices"] == []
    assert with_usage[0]["object"] == "chat.completion.chunk"
    assert with_usage[0]["id"] == answer.chunks[0]["id"]
    assert answer.payloads[-1] == "[DONE]"


@pytest.mark.parametrize("options", [{}, {"stream_options": {}}, {"stream_options": {"include_usage": False}}])
@pytest.mark.parametrize("usage", ["normal", "in_last_chunk"])
async def test_no_usage_passes_when_it_was_not_asked_for(
    gateway: RunningGateway, tenant: Tenants, make_model: Models, options: dict[str, object], usage: str
) -> None:
    customer = tenant()
    answer = await ask(gateway, customer, make_model(f"tokens=3,usage={usage}"), stream=True, **options)
    assert b'"usage"' not in answer.raw
    assert answer.chunks[-1]["choices"][0]["finish_reason"] == "stop"
    assert usage_line(customer, answer.generation_id)["usage_source"] == "provider"


async def test_usage_in_the_last_chunk_is_shown_once_and_apart(
    gateway: RunningGateway, tenant: Tenants, make_model: Models
) -> None:
    model = make_model("tokens=3,usage=in_last_chunk")
    answer = await ask(gateway, tenant(), model, stream=True, stream_options={"include_usage": True})
    assert answer.raw.count(b'"usage"') == 1
    assert answer.chunks[-1]["usage"]["completion_tokens"] == 3
    assert answer.chunks[-2]["choices"][0]["finish_reason"] == "stop"


@pytest.mark.parametrize(
    "script",
    [
        "comments=3",
        "crlf=1",
        "wide=1,split=1",
        "split=7",
        "multiline=1",
        "multiline=1,crlf=1,split=5,comments=2",
        "event_bytes=200000",
    ],
)
async def test_however_it_is_framed_a_stream_says_the_same(
    gateway: RunningGateway, tenant: Tenants, make_model: Models, script: str
) -> None:
    customer = tenant()
    model = make_model(f"tokens=12,{script}", providers=("featherless",))
    answer = await ask(gateway, customer, model, stream=True, stream_options={"include_usage": True})
    said = answer.text
    if "wide" in script or "split" in script:
        assert all(character in said for character in "é🙂漢👩‍👩‍👧")
        said = "".join(character for character in said if character.isascii())
    assert said == words(12)
    assert b"OPENROUTER" not in answer.raw
    assert answer.chunks[-1]["usage"]["completion_tokens"] == 12
    assert answer.payloads[-1] == "[DONE]"
    assert usage_line(customer, answer.generation_id)["outcome"] == "completed"
    assert assert_settled(customer, START) > 0


async def test_a_stream_without_done_is_complete_when_every_choice_has_finished(
    gateway: RunningGateway, tenant: Tenants, make_model: Models
) -> None:
    customer = tenant()
    answer = await ask(gateway, customer, make_model("tokens=3,no_done=1"), stream=True, n=2)
    assert answer.payloads[-1] == "[DONE]"
    line = usage_line(customer, answer.generation_id)
    assert (line["outcome"], line["usage_source"], line["output_tokens"]) == ("completed", "provider", 6)


async def test_an_answer_of_no_tokens_is_an_answer(
    gateway: RunningGateway, tenant: Tenants, make_model: Models
) -> None:
    customer = tenant()
    answer = await ask(gateway, customer, make_model("tokens=0"), stream=True)
    assert answer.payloads[-1] == "[DONE]"
    assert answer.text == ""
    assert usage_line(customer, answer.generation_id)["output_tokens"] == 0


@pytest.mark.parametrize("is_stream", [False, True])
@pytest.mark.parametrize(
    ("usage", "source", "tokens"),
    [("missing", "counted", None), ("zero", "provider", 0), ("negative", "counted", None), ("huge", "counted", None),
     ("garbage", "counted", None)],
)  # fmt: skip
async def test_usage_that_cannot_be_is_counted_instead_and_zero_is_zero(
    gateway: RunningGateway,
    tenant: Tenants,
    make_model: Models,
    usage: str,
    *,
    source: str,
    tokens: int | None,
    is_stream: bool,
) -> None:
    customer, model = tenant(), make_model(f"tokens=40,usage={usage}")
    answer = await ask(gateway, customer, model, stream=is_stream, stream_options={"include_usage": True})
    assert answer.status == 200
    line = usage_line(customer, answer.generation_id)
    assert line["usage_source"] == source
    counted = len(words(40)) // 4
    assert line["output_tokens"] == tokens if tokens is not None else abs(line["output_tokens"] - counted) < counted / 2
    shown = (answer.chunks[-1] if is_stream else answer.json)["usage"]
    assert shown["completion_tokens"] == line["output_tokens"]
    assert shown["prompt_tokens"] == line["input_tokens"]
    assert round(shown["cost"] * NANOS_PER_DOLLAR) == line["cost_nanos"] == assert_settled(customer, START)
    assert "-5" not in json.dumps(shown)
