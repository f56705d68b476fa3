"""Every recorded stream through a gateway in every dialect: what its provider told is charged and told."""

import pytest

from shared.core.money import NANOS_PER_DOLLAR
from tests.functions.chat.books import assert_settled, usage_line
from tests.functions.chat.raw_provider import STREAM_HEAD, RawProvider
from tests.functions.chat.speakers import CHAT, EACH, TRANSLATED, Speaker
from tests.harness.gateways import RunningGateway
from tests.harness.tenants import Models, Tenants
from tests.shared.providers.recorded_streams import ALL, Recorded

START = 10 * NANOS_PER_DOLLAR
ENDED = pytest.mark.parametrize("recorded", [each for each in ALL if not each.has_failed], ids=lambda each: each.name)
FAILED = pytest.mark.parametrize("recorded", [each for each in ALL if each.has_failed], ids=lambda each: each.name)


@EACH
@ENDED
async def test_what_the_provider_told_is_charged_whoever_asks(
    odd_gateway: RunningGateway,
    raw_provider: RawProvider,
    tenant: Tenants,
    make_model: Models,
    *,
    recorded: Recorded,
    speaker: Speaker,
) -> None:
    customer, model = tenant(), make_model(providers=("portkey",))
    raw_provider.answers(model.upstream_model, STREAM_HEAD, recorded.stream)
    answer = await speaker.ask(odd_gateway, customer, model, stream=True)
    assert answer.status == 200, answer.raw
    line = usage_line(customer, answer.generation_id)
    assert (line["outcome"], line["usage_source"]) == ("completed", "provider" if recorded.tokens else "counted")
    if recorded.tokens is not None:
        inputs = line["input_tokens"] + line["cached_input_tokens"] + line["cache_write_tokens"]
        assert (inputs, line["output_tokens"]) == recorded.tokens
        if speaker is CHAT:
            usage = answer.chunks[-1]["usage"]
            assert (usage["prompt_tokens"], usage["completion_tokens"]) == recorded.tokens
    assert assert_settled(customer, START) == line["cost_nanos"] > 0


@TRANSLATED
@ENDED
async def test_a_client_has_what_the_provider_said(
    odd_gateway: RunningGateway,
    raw_provider: RawProvider,
    tenant: Tenants,
    make_model: Models,
    *,
    recorded: Recorded,
    speaker: Speaker,
) -> None:
    customer, model = tenant(), make_model(providers=("portkey",))
    raw_provider.answers(model.upstream_model, STREAM_HEAD, recorded.stream)
    said = speaker.read(await speaker.ask(odd_gateway, customer, model, stream=True), is_stream=True)
    assert said.text == recorded.text
    assert [name for _, name, _ in said.calls] == [name for name, _ in recorded.calls]
    assert len({call_id for call_id, _, _ in said.calls}) == len(recorded.calls)
    assert said.has_ended_by_itself is not recorded.is_cut
    assert round(said.cost * NANOS_PER_DOLLAR) == assert_settled(customer, START)


@EACH
@FAILED
async def test_an_error_within_a_stream_is_told_in_the_client_s_words_and_what_came_is_charged(
    odd_gateway: RunningGateway,
    raw_provider: RawProvider,
    tenant: Tenants,
    make_model: Models,
    *,
    recorded: Recorded,
    speaker: Speaker,
) -> None:
    customer, model = tenant(), make_model(providers=("portkey",))
    raw_provider.answers(model.upstream_model, STREAM_HEAD, recorded.stream)
    answer = await speaker.ask(odd_gateway, customer, model, stream=True)
    assert b"acct_123" not in answer.raw
    if recorded.text:
        assert speaker.read_failed(answer)["code"].startswith("provider_")
        assert usage_line(customer, answer.generation_id)["outcome"] == "interrupted"
        assert assert_settled(customer, START) > 0
    else:
        assert (answer.status, answer.error["code"]) == (502, "provider_unavailable")
        assert assert_settled(customer, START) == 0
    assert speaker is not CHAT or b"[DONE]" not in answer.raw
