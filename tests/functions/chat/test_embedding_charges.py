import asyncio
from typing import Any

import aiohttp
import pytest

from infra.local.simulator.embeddings import vector_of
from tests.functions.chat.asked_again import assert_replayed
from tests.functions.chat.books import (
    assert_settled,
    only_usage_line,
    usage_line,
    wait_until_settled,
)
from tests.functions.chat.embedding_requests import (
    PATH,
    START,
    THREE,
    answer_of,
    embed,
    vectors,
    whole_answer,
)
from tests.functions.chat.raw_provider import RawProvider
from tests.harness.gateways import RunningGateway
from tests.harness.simulator import Simulator
from tests.harness.tenants import Models, Tenants


@pytest.mark.parametrize(
    ("given", "most_tokens"),
    [("word " * 100, 250), ("漢字" * 50, 150), ("9" * 100, 100), ([7] * 40, 40), (["a", "b"], 1), ([[1, 2], [3]], 3)],
    ids=["words", "characters", "digits", "tokens", "texts", "lists of tokens"],
)
async def test_the_hold_pays_for_every_token_that_an_input_may_have(
    *,
    gateway: RunningGateway,
    tenant: Tenants,
    make_model: Models,
    simulator: Simulator,
    given: Any,
    most_tokens: int,
) -> None:
    customer, gate = tenant(), f"held-{most_tokens}"
    model = make_model.embedding_model(f"gate={gate}")
    asking = asyncio.create_task(embed(gateway, customer, model, given))
    await asyncio.to_thread(simulator.wait_for, 1, model.upstream_model)
    held = customer.balance()["held_nanos"]
    inputs = 2 if isinstance(given[0], list) or len(given) == 2 else 1
    assert held == (most_tokens + inputs * 16) * 1_000
    simulator.open_gate(gate)
    assert (await asking).status == 200
    assert 0 < assert_settled(customer, START) <= held


@pytest.mark.parametrize("usage", ["missing", "negative", "huge", "garbage"])
async def test_what_a_provider_does_not_tell_or_cannot_have_used_is_counted(
    gateway: RunningGateway, tenant: Tenants, make_model: Models, usage: str
) -> None:
    customer, model = tenant(), make_model.embedding_model(f"usage={usage}", providers=("portkey",))
    answer = await embed(gateway, customer, model, ["x" * 100, [1, 2, 3]][:1])
    line = usage_line(customer, answer.generation_id)
    assert (line["usage_source"], line["input_tokens"]) == ("counted", 25)
    assert answer.json["usage"]["prompt_tokens"] == 25
    assert assert_settled(customer, START) == line["cost_nanos"] == 25_000


# Sixty bytes may be that many tokens, and sixteen stand around an input; thirty and sixteen are held for.
@pytest.mark.parametrize(("told", "source", "charged"), [(76, "provider", 76), (77, "counted", 15)])
async def test_a_report_is_believed_up_to_a_token_a_byte_and_charged_beyond_the_hold(
    *, gateway: RunningGateway, tenant: Tenants, make_model: Models, told: int, source: str, charged: int
) -> None:
    customer, model = tenant(), make_model.embedding_model(f"prompt_tokens={told}", providers=("portkey",))
    answer = await embed(gateway, customer, model, "x" * 60)
    line = usage_line(customer, answer.generation_id)
    assert (line["usage_source"], line["input_tokens"], line["shortfall_nanos"]) == (source, charged, 0)
    assert assert_settled(customer, START) == line["cost_nanos"] == charged * 1_000


async def test_a_provider_that_tells_the_total_alone_is_believed(
    odd_gateway: RunningGateway, tenant: Tenants, make_model: Models, raw_provider: RawProvider
) -> None:
    customer, model = tenant(), make_model.embedding_model(providers=("portkey",))
    raw_provider.answers(
        model.upstream_model, answer_of({"data": [{"embedding": [0.5, -1]}], "usage": {"total_tokens": 3}})
    )
    answer = await embed(odd_gateway, customer, model)
    assert vectors(answer) == [[0.5, -1]]
    assert usage_line(customer, answer.generation_id)["input_tokens"] == 3


async def test_numbers_keep_the_digits_that_the_provider_wrote(
    odd_gateway: RunningGateway, tenant: Tenants, make_model: Models, raw_provider: RawProvider
) -> None:
    model = make_model.embedding_model(providers=("portkey",))
    digits = b"[0.10000000000000000555,-1.0E-7,3]"
    raw_provider.answers(model.upstream_model, whole_answer(b'{"data":[{"index":0,"embedding":%b}]}' % digits))
    answer = await embed(odd_gateway, tenant(), model)
    assert b'"embedding":' + digits in answer.raw


@pytest.mark.parametrize(
    "fault",
    ["vectors=too_few", "vectors=same_index", "vectors=ragged", "vectors=empty", "vectors=nan", "vectors=infinite",
     "garbage=1", "error_event=1", "status=500", "status=429", "cut=before_headers", "cut=mid_stream"],
)  # fmt: skip
async def test_an_answer_that_cannot_be_used_is_free_and_the_next_provider_is_asked(
    gateway: RunningGateway, tenant: Tenants, make_model: Models, fault: str
) -> None:
    customer = tenant()
    failing, healthy = make_model.embedding_model(fault), make_model.embedding_model("prompt_tokens=3")
    answer = await embed(gateway, customer, failing, THREE, models=[healthy.id], dimensions=3)
    assert vectors(answer) == [vector_of(text, 3) for text in THREE]
    line = usage_line(customer, answer.generation_id)
    assert [attempt["is_success"] for attempt in line["attempts"]] == [False, True]
    assert (line["model_id"], answer.json["model"]) == (healthy.id, healthy.id)
    assert assert_settled(customer, START) == 3_000


async def test_where_nobody_counts_a_field_beside_the_inputs_is_held_for_and_not_charged(
    gateway: RunningGateway, tenant: Tenants, make_model: Models
) -> None:
    customer, model = tenant(), make_model.embedding_model("usage=missing", providers=("portkey",))
    answer = await embed(gateway, customer, model, ["a"] * 100, note="x" * 2_000)
    line = usage_line(customer, answer.generation_id)
    assert (line["usage_source"], line["input_tokens"]) == ("counted", 25)
    assert assert_settled(customer, START) == line["cost_nanos"] == 25_000


async def test_the_largest_field_beside_the_most_inputs_is_held_for(
    gateway: RunningGateway, tenant: Tenants, make_model: Models
) -> None:
    customer = tenant(credit_nanos=100 * START)
    model = make_model.embedding_model("usage=missing", providers=("portkey",))
    answer = await embed(gateway, customer, model, ["a"] * 2_048, note="1" * 16_000)
    assert answer.status == 200, answer.raw[:300]
    line = usage_line(customer, answer.generation_id)
    assert (line["input_tokens"], line["cost_nanos"]) == (512, 512_000)
    (hold,) = customer.books.holds()
    assert hold.amount_nanos > 2_048 * 16_000 * 1_000


async def test_vectors_of_another_length_than_was_asked_for_are_not_passed_on(
    odd_gateway: RunningGateway, tenant: Tenants, make_model: Models, raw_provider: RawProvider
) -> None:
    customer, stubborn = tenant(), make_model.embedding_model(providers=("portkey",))
    raw_provider.answers(
        stubborn.upstream_model, answer_of({"data": [{"embedding": [0.5, -1]}], "usage": {"prompt_tokens": 3}})
    )
    answer = await embed(odd_gateway, customer, stubborn, dimensions=5)
    assert (answer.status, answer.error["code"]) == (400, "provider_rejected_request"), answer.raw
    assert (answer.error["param"], answer.headers["x-should-retry"]) == ("dimensions", "false")
    line = only_usage_line(customer)
    assert [attempt["is_request_at_fault"] for attempt in line["attempts"]] == [True]
    # What it charges it does not say: the house books what it counts, a quarter of fourteen bytes.
    assert (line["waived_reason"], line["input_tokens"], line["provider_cost_nanos"]) == ("no_answer", 4, 4_000)
    assert assert_settled(customer, START) == 0
    other = make_model.embedding_model("prompt_tokens=3")
    served = await embed(odd_gateway, customer, stubborn, "a", models=[other.id], dimensions=5)
    assert vectors(served) == [vector_of("a", 5)]
    assert served.json["model"] == other.id


async def test_what_a_provider_takes_for_vectors_of_another_length_is_the_house_s(
    gateway: RunningGateway, tenant: Tenants, make_model: Models
) -> None:
    customer, model = tenant(), make_model.embedding_model("vectors=whole,cost=0.002")
    answer = await embed(gateway, customer, model, dimensions=5)
    assert (answer.status, answer.error["param"]) == (400, "dimensions"), answer.raw
    line = only_usage_line(customer)
    assert (line["cost_excess_nanos"], line["waived_reason"]) == (2_000_000, "no_answer")
    assert assert_settled(customer, START) == 0


async def test_an_answer_bears_what_the_one_before_it_took_for_nothing_and_its_customer_does_not(
    gateway: RunningGateway, tenant: Tenants, make_model: Models
) -> None:
    customer, stubborn = tenant(), make_model.embedding_model("vectors=whole,cost=0.002")
    other = make_model.embedding_model("prompt_tokens=3")
    answer = await embed(gateway, customer, stubborn, models=[other.id], dimensions=5)
    line = usage_line(customer, answer.generation_id)
    assert (line["model_id"], line["cost_nanos"], line["cost_excess_nanos"]) == (other.id, 3_000, 2_000_000)
    assert assert_settled(customer, START) == 3_000


async def test_a_number_too_large_for_32_bits_is_no_embedding(
    odd_gateway: RunningGateway, tenant: Tenants, make_model: Models, raw_provider: RawProvider
) -> None:
    customer, model = tenant(), make_model.embedding_model(providers=("portkey",))
    raw_provider.answers(
        model.upstream_model, answer_of({"data": [{"embedding": [1e39]}], "usage": {"prompt_tokens": 3}})
    )
    answer = await embed(odd_gateway, customer, model)
    assert (answer.status, answer.error["code"]) == (502, "provider_unavailable"), answer.raw
    assert only_usage_line(customer)["waived_reason"] == "no_answer"
    assert assert_settled(customer, START) == 0


async def test_a_request_at_fault_is_refused_and_free(
    gateway: RunningGateway, tenant: Tenants, make_model: Models
) -> None:
    customer, model = tenant(), make_model.embedding_model("status=400")
    answer = await embed(gateway, customer, model)
    assert answer.status == 400
    assert assert_settled(customer, START) == 0


async def test_an_answer_is_kept_for_a_client_that_asks_again(
    gateway: RunningGateway, tenant: Tenants, make_model: Models, simulator: Simulator
) -> None:
    customer, model = tenant(), make_model.embedding_model("prompt_tokens=9")
    key = {"Idempotency-Key": "batch-4711"}
    first = await embed(gateway, customer, model, THREE, key)
    again = await embed(gateway, customer, model, THREE, key)
    assert_replayed(first, again)
    other = await embed(gateway, customer, model, THREE[:2], key)
    assert (other.status, other.error["code"]) == (409, "idempotency_key_reused")
    assert len(simulator.requests(model.upstream_model)) == 1
    assert assert_settled(customer, START) == 9_000


async def test_a_client_that_leaves_pays_for_what_the_provider_took(
    gateway: RunningGateway, tenant: Tenants, make_model: Models, simulator: Simulator
) -> None:
    customer, model = tenant(), make_model.embedding_model("prompt_tokens=9,first_byte_ms=600")
    body = {"model": model.id, "input": "Say something."}
    async with aiohttp.ClientSession(headers=customer.headers) as session:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await session.post(gateway.url + PATH, json=body)
    line = await asyncio.to_thread(wait_until_settled, customer)
    assert (line["outcome"], line["usage_source"], line["cost_nanos"]) == ("completed", "provider", 9_000)
    assert assert_settled(customer, START) == 9_000
    assert len(simulator.requests(model.upstream_model)) == 1


async def test_a_request_whose_time_is_over_is_free_and_the_house_books_what_it_may_cost(
    short_gateway: RunningGateway, tenant: Tenants, make_model: Models
) -> None:
    customer, model = tenant(), make_model.embedding_model("first_byte_ms=20000")
    answer = await embed(short_gateway, customer, model, "x" * 400)
    assert (answer.status, answer.error["code"]) == (504, "time_limit_reached")
    line = only_usage_line(customer)
    assert (line["waived_reason"], line["usage_source"], line["input_tokens"]) == ("time_limit", "counted", 100)
    assert assert_settled(customer, START) == 0
