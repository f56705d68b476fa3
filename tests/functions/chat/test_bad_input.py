import io
import json
from typing import Any

import aiohttp
import pytest

from shared.core.money import NANOS_PER_DOLLAR
from tests.functions.chat.books import assert_settled
from tests.functions.chat.client import HELLO, PATH, TIMEOUT, Answer, ask, post
from tests.harness.gateways import RunningGateway
from tests.harness.simulator import Simulator
from tests.harness.tenants import Models, Tenant, Tenants

START = 10 * NANOS_PER_DOLLAR


@pytest.fixture(scope="module")
def customer(tenant: Tenants) -> Tenant:
    """Someone whose requests are all refused, so that they may share an account."""
    return tenant()


def assert_invalid(answer: Answer, param: str | None, code: str = "invalid_request") -> None:
    assert answer.status == 400, answer.raw
    error = answer.error
    assert (error["code"], error["param"]) == (code, param)
    assert (error["type"], error["retryable"]) == ("invalid_request_error", False)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"not json",
        b"[]",
        b"null",
        b'"text"',
        b"7",
        b'{"model": "x", "messages": NaN}',
        b'{"model": "x", "temperature": Infinity}',
        b'{"model": "\xff\xfe"}',
        b"\xff\xfe\x00\x00",
        b'{"a":' * 40_000,
        b"[" * 200_000,
        b"[" * 100_000 + b"]" * 100_000,
        b'{"n": ' + b"9" * 5_000 + b"}",
        b'{"model": "x"} trailing',
        b"{'model': 'x'}",
    ],
)
async def test_what_is_no_json_object_is_refused(gateway: RunningGateway, customer: Tenant, body: bytes) -> None:
    assert_invalid(await post(gateway.url, body, customer.headers), None)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"model": None}, "model"),
        ({"model": 7}, "model"),
        ({"model": ""}, "model"),
        ({"model": "x" * 201}, "model"),
        ({"model": "with space"}, "model"),
        ({"model": "line\nbreak"}, "model"),
        ({"model": "nul\0"}, "model"),
        ({"model": "é"}, "model"),
        ({"messages": None}, "messages"),
        ({"messages": []}, "messages"),
        ({"messages": "hi"}, "messages"),
        ({"messages": {"role": "user"}}, "messages"),
        ({"messages": ["hi"]}, "messages[0]"),
        ({"messages": [{"content": "hi"}]}, "messages[0].role"),
        ({"messages": [{"role": 7, "content": "hi"}]}, "messages[0].role"),
        ({"messages": [{"role": "user", "content": 7}]}, "messages[0].content"),
        ({"messages": [*HELLO, {"role": "user", "content": ["hi"]}]}, "messages[1].content"),
        ({"messages": [{"role": "user", "content": {"type": "text"}}]}, "messages[0].content"),
        ({"models": "x"}, "models"),
        ({"models": ["x"] * 9}, "models"),
        ({"models": [7]}, "models[0]"),
        ({"provider": 7}, "provider"),
        ({"provider": "UPPER"}, "provider"),
        ({"provider": {"order": "openrouter"}}, "provider.order"),
        ({"provider": {"order": [7]}}, "provider.order[0]"),
        ({"provider": {"only": ["a"] * 17}}, "provider.only"),
        ({"provider": {"allow_fallbacks": "no"}}, "provider.allow_fallbacks"),
        ({"provider": {"sort": "luck"}}, "provider.sort"),
        ({"provider": {"data_collection": True}}, "provider.data_collection"),
        ({"provider": {"max_price": {"prompt": 1}}}, "provider.max_price"),
        ({"stream": "yes"}, "stream"),
        ({"stream": 1}, "stream"),
        ({"stream_options": True}, "stream_options"),
        ({"stream_options": {"include_usage": "yes"}}, "stream_options.include_usage"),
        ({"n": 0}, "n"),
        ({"n": -1}, "n"),
        ({"n": 1.0}, "n"),
        ({"n": "1"}, "n"),
        ({"n": True}, "n"),
        ({"n": 129}, "n"),
        ({"n": 18_446_744_073_709_551_615}, "n"),
        ({"n": 10**400}, "n"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": -5}, "max_tokens"),
        ({"max_tokens": 1.5}, "max_tokens"),
        ({"max_tokens": "9"}, "max_tokens"),
        ({"max_tokens": True}, "max_tokens"),
        ({"max_tokens": 10**9}, "max_tokens"),
        ({"max_tokens": 18_446_744_073_709_551_615}, "max_tokens"),
        ({"max_completion_tokens": 2**63}, "max_completion_tokens"),
        ({"reasoning": {"max_tokens": -1}}, "reasoning.max_tokens"),
        ({"reasoning": 7}, "reasoning"),
        ({"thinking": {"budget_tokens": "9"}}, "thinking.budget_tokens"),
        ({"thinking": {"budget_tokens": 2**64}}, "thinking.budget_tokens"),
    ],
)
async def test_a_field_of_the_wrong_kind_is_refused_by_name(
    gateway: RunningGateway, customer: Tenant, fields: dict[str, Any], param: str
) -> None:
    assert_invalid(await ask(gateway, customer, "test/any", **fields), param)
    assert customer.books.holds() == []


@pytest.mark.parametrize("name", ["\ud800", "x" * 1_000_000, "\0\r\nX-Injected: 1", '"'])
async def test_a_name_that_the_client_made_up_is_refused_without_being_repeated(
    gateway: RunningGateway, customer: Tenant, name: str
) -> None:
    answer = await ask(gateway, customer, "test/any", provider={name: 1})
    assert_invalid(answer, answer.error["param"])
    assert len(answer.raw) < 1_000
    assert "X-Injected" not in answer.headers


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"plugins": [{"id": "web"}]}, "plugins"),
        ({"web_search_options": {}}, "web_search_options"),
        ({"search_parameters": {"mode": "on"}}, "search_parameters"),
        ({"enable_search": True}, "enable_search"),
        ({"audio": {"voice": "alloy"}}, "audio"),
        ({"modalities": ["text", "audio"]}, "modalities"),
        ({"image_config": {"size": 1}}, "image_config"),
        ({"service_tier": "priority"}, "service_tier"),
        ({"speed": "fast"}, "speed"),
        ({"inference_geo": "us"}, "inference_geo"),
        ({"mcp_servers": [{}]}, "mcp_servers"),
        ({"best_of": 3}, "best_of"),
        ({"use_beam_search": True}, "use_beam_search"),
        ({"route": "none"}, "route"),
        ({"preset": "x"}, "preset"),
        ({"priority": 1}, "priority"),
        ({"kv_transfer_params": {}}, "kv_transfer_params"),
        ({"logits_processors": ["x"]}, "logits_processors"),
        ({"model": "openai/gpt-5-mini:online"}, "model"),
        ({"models": ["x/y:nitro"]}, "models[0]"),
        ({"tools": [{"type": "web_search"}]}, "tools[0].type"),
        ({"messages": [{"role": "user", "content": [{"type": "video_url"}]}]}, "messages[0].content[0].type"),
        ({"messages": [{"role": "user", "content": [{"text": "", "file": {}}]}]}, "messages[0].content[0].file"),
        ({"messages": [{"role": "user", "cache_control": {"ttl": "1h"}}]}, "messages[0].cache_control.ttl"),
    ],
)  # fmt: skip
async def test_what_has_no_price_is_refused_by_name(
    gateway: RunningGateway,
    customer: Tenant,
    simulator: Simulator,
    make_model: Models,
    *,
    fields: dict[str, Any],
    param: str,
) -> None:
    model = make_model()
    assert_invalid(await ask(gateway, customer, model, **fields), param, "unsupported_parameter")
    assert simulator.requests(model.upstream_model) == []
    assert customer.books.holds() == []


async def test_images_for_a_model_that_takes_none_are_refused(
    gateway: RunningGateway, tenant: Tenants, make_model: Models
) -> None:
    image = {"type": "image_url", "image_url": {"url": "https://images.example/cat.png"}}
    answer = await ask(gateway, tenant(), make_model(), messages=[{"role": "user", "content": [image]}])
    assert_invalid(answer, "messages", "images_not_supported")


@pytest.mark.parametrize("number", ["1e999", "-1e999"])
@pytest.mark.parametrize("environment", ["live", "test"])
async def test_a_number_that_json_cannot_carry_on_is_refused_and_holds_nothing(
    gateway: RunningGateway, tenant: Tenants, make_model: Models, number: str, environment: Any
) -> None:
    customer, model = tenant(environment=environment), make_model()
    body = json.dumps({"model": model.id, "messages": HELLO, "temperature": "?"}).replace('"?"', number)
    answer = await post(gateway.url, body.encode(), customer.headers)
    assert answer.status == 400 or environment == "test"
    assert assert_settled(customer, START) == 0


@pytest.mark.parametrize("depth", [900, 4_000, 90_000])
@pytest.mark.parametrize("environment", ["live", "test"])
@pytest.mark.parametrize("place", ["metadata", "content", "response_format"])
async def test_depth_is_served_or_refused_but_never_a_crash(
    gateway: RunningGateway, tenant: Tenants, make_model: Models, depth: int, *, environment: Any, place: str
) -> None:
    customer, model = tenant(environment=environment), make_model("tokens=1")
    deep = '{"a":' * depth + "1" + "}" * depth
    fields = {
        "metadata": f'"metadata":{deep}',
        "content": f'"tools":[{{"type":"function","function":{{"name":{deep}}}}}],"tool_choice":"required"',
        "response_format": f'"response_format":{{"type":"json_schema","json_schema":{{"schema":{{"const":{deep}}}}}}}',
    }[place]
    body = json.dumps({"model": model.id, "messages": HELLO})[:-1] + f",{fields}}}"
    answer = await post(gateway.url, body.encode(), customer.headers)
    if answer.status != 200:
        assert_invalid(answer, answer.error["param"])
    assert customer.balance()["held_nanos"] == 0


async def test_an_unknown_model_is_not_found(gateway: RunningGateway, tenant: Tenants) -> None:
    answer = await ask(gateway, tenant(), "nobody/nothing")
    assert answer.status == 404
    assert (answer.error["code"], answer.error["param"]) == ("model_not_found", "model")


@pytest.mark.parametrize("is_announced", [True, False])
async def test_a_body_over_four_megabytes_is_refused(
    gateway: RunningGateway, tenant: Tenants, is_announced: bool
) -> None:
    body = json.dumps({"model": "x", "messages": [{"role": "user", "content": "x" * 4_194_304}]}).encode()

    async def chunks() -> Any:
        for start in range(0, len(body), 65_536):
            yield body[start : start + 65_536]

    headers = {**tenant().headers, "Content-Type": "application/json"}
    async with (
        aiohttp.ClientSession(timeout=TIMEOUT) as session,
        session.post(
            gateway.url + PATH, data=io.BytesIO(body) if is_announced else chunks(), headers=headers
        ) as response,
    ):
        answer = Answer(response.status, response.headers.copy(), await response.read())
    assert answer.status == 413
    assert answer.error["code"] == "request_too_large"


async def test_a_body_just_under_four_megabytes_is_served(
    gateway: RunningGateway, tenant: Tenants, make_model: Models
) -> None:
    model = make_model("tokens=1", context_length=4_000_000)
    answer = await ask(gateway, tenant(), model, messages=[{"role": "user", "content": "x" * 4_100_000}])
    assert answer.status == 200, answer.raw
