"""The ledger through PostgREST: what it answers is what our types say, and anything else is our own failure."""

import asyncio
from collections.abc import AsyncIterator

import aiohttp
import psycopg
import pytest

from infra.local.stack import LocalStack
from shared.clients.database import Database
from shared.core.errors import StoreUnavailable
from shared.core.ids import ModelId, PriceId, ProviderSlug, new_generation_id
from shared.core.money import Nanos
from shared.core.verdicts import Refused
from shared.keys.format import generate_secret
from shared.ledger.store import Ledger
from shared.ledger.types import (
    AdmissionRequest,
    Admitted,
    Attempt,
    Bounds,
    Claim,
    Extended,
    Outcome,
    Quantities,
    Replay,
    RequestFacts,
    Settlement,
    Unchanged,
    Usage,
    UsageSource,
    Voided,
)
from tests.harness.callers import caller_of
from tests.harness.tenants import Models, Tenant, Tenants, TestModel

READ_FACTS = b"select request, upstream_id from gateway.usage_lines where generation_id = %s"


@pytest.fixture
async def ledger(stack: LocalStack) -> AsyncIterator[Ledger]:
    async with aiohttp.ClientSession() as session:
        yield Ledger(Database(session, url=stack.supabase_url, key=stack.credentials.secret_key, deadline_s=10))


@pytest.fixture
def customer(tenant: Tenants) -> Tenant:
    return tenant(credit_nanos=100_000)


@pytest.fixture(scope="module")
def model(make_model: Models) -> TestModel:
    """A token of input costs 1,000 nano-dollars, one of output 2,000."""
    return make_model()


def _bounds(*, input_tokens: int, choices: int, output_tokens: int) -> Bounds:
    return Bounds(
        input_tokens=input_tokens,
        images=0,
        choices=choices,
        output_tokens=output_tokens,
        reasoning_output_tokens=output_tokens,
        is_cheapest_only=False,
    )


def _request(stack: LocalStack, customer: Tenant, model: TestModel, **changes: object) -> AdmissionRequest:
    asked: dict[str, object] = {
        "generation_id": new_generation_id(),
        "caller": caller_of(customer.api_key, stack.credentials.gateway_secret),
        "models": (ModelId(model.id),),
        "providers": None,
        "bounds": _bounds(input_tokens=10, choices=2, output_tokens=5),
        "lifetime_s": 60,
        **changes,
    }
    return AdmissionRequest(**asked)  # type: ignore[arg-type]


def _usage(offer_price: PriceId, output_tokens: int, **changes: object) -> Usage:
    attempt = Attempt(
        provider=ProviderSlug("openrouter"),
        model_id=ModelId("m"),
        status=None,
        is_success=False,
        is_request_at_fault=False,
        reason="connect",
        first_byte_ms=3,
        started_ms=0,
    )
    return Usage(
        price_id=offer_price,
        quantities=Quantities(input_tokens=10, output_tokens=output_tokens),
        source=UsageSource.COUNTED,
        outcome=Outcome.INTERRUPTED,
        is_stream=True,
        attempts=(attempt,),
        duration_ms=7,
        first_byte_ms=3,
        reasoning_tokens=1,
        **changes,  # type: ignore[arg-type]
    )


def _claim(body: str, *keys: str, lifetime_s: int = 3600) -> Claim:
    return Claim(key_hmacs=keys or None, body_hmacs=(body,), is_retry=True, lifetime_s=lifetime_s)


async def _answered(ledger: Ledger, request: AdmissionRequest, answer: str | None = "sealed") -> PriceId:
    admitted = await ledger.admit(request)
    assert isinstance(admitted, Admitted)
    price_id = admitted.offers[0].price_id
    assert isinstance(await ledger.settle(request.generation_id, _usage(price_id, 5, answer=answer)), Settlement)
    return price_id


async def test_a_request_is_admitted_extended_and_settled(
    stack: LocalStack, ledger: Ledger, customer: Tenant, model: TestModel
) -> None:
    request = _request(stack, customer, model)
    admitted = await ledger.admit(request)
    assert isinstance(admitted, Admitted)
    (offer,) = admitted.offers
    assert (admitted.account_id, admitted.key_id) == (customer.account_id, customer.key_id)
    assert (admitted.hold.amount_nanos, admitted.hold.state, offer.quote_nanos) == (30_000, "held", 30_000)
    assert (offer.input_tokens, offer.output_tokens, offer.upstream_model) == (10, 5, model.upstream_model)
    extended = await ledger.extend_hold(
        request.generation_id, offer.price_id, Quantities(input_tokens=10, output_tokens=20)
    )
    assert extended == Extended(amount_nanos=Nanos(50_000))
    settled = await ledger.settle(request.generation_id, _usage(offer.price_id, 15))
    assert isinstance(settled, Settlement)
    assert (settled.charged_nanos, settled.shortfall_nanos, settled.is_repeated) == (40_000, 0, False)
    again = await ledger.settle(request.generation_id, _usage(offer.price_id, 99))
    assert isinstance(again, Settlement)
    assert (again.charged_nanos, again.is_repeated) == (40_000, True)
    assert customer.balance()["posted_nanos"] == 60_000


async def test_asking_again_for_admission_answers_the_same_hold(
    stack: LocalStack, ledger: Ledger, customer: Tenant, model: TestModel
) -> None:
    request = _request(stack, customer, model)
    assert await ledger.admit(request) == await ledger.admit(request)
    assert customer.balance()["held_nanos"] == 30_000


async def test_a_hold_is_voided_once(stack: LocalStack, ledger: Ledger, customer: Tenant, model: TestModel) -> None:
    request = _request(stack, customer, model)
    await ledger.admit(request)
    assert await ledger.void_hold(request.generation_id) == Voided(released_nanos=Nanos(30_000))
    assert await ledger.void_hold(request.generation_id) == Unchanged(state="voided")


async def test_a_refusal_carries_its_numbers_and_the_limiters_policy(
    stack: LocalStack, ledger: Ledger, customer: Tenant, model: TestModel
) -> None:
    bounds = _bounds(input_tokens=101, choices=1, output_tokens=0)
    refused = await ledger.admit(_request(stack, customer, model, bounds=bounds))
    assert isinstance(refused, Refused)
    assert (refused.status, refused.code) == (402, "insufficient_credits")
    assert refused.numbers == {"available_nanos": 100_000, "required_nanos": 101_000}
    assert refused.policy is not None
    assert refused.policy.account_id == customer.account_id


async def test_an_unknown_key_is_refused_without_a_policy(
    stack: LocalStack, ledger: Ledger, customer: Tenant, model: TestModel
) -> None:
    unknown = caller_of(generate_secret("live"), stack.credentials.gateway_secret)
    refused = await ledger.admit(_request(stack, customer, model, caller=unknown))
    assert refused == Refused(status=401, code="invalid_api_key", numbers={})


async def test_calls_on_an_unknown_hold_are_refused(ledger: Ledger, model: TestModel) -> None:
    (price_id,) = (PriceId(price_id) for price_id in model.price_ids.values())
    unknown = Refused(status=404, code="unknown_hold", numbers={})
    assert await ledger.settle(new_generation_id(), _usage(price_id, 1)) == unknown
    assert await ledger.extend_hold(new_generation_id(), price_id, Quantities()) == unknown
    assert await ledger.void_hold(new_generation_id()) == unknown


async def test_a_call_the_store_cannot_answer_is_our_own_failure(
    stack: LocalStack, ledger: Ledger, customer: Tenant, model: TestModel
) -> None:
    request = _request(stack, customer, model)
    admitted = await ledger.admit(request)
    assert isinstance(admitted, Admitted)
    with pytest.raises(StoreUnavailable):
        await ledger.settle(request.generation_id, _usage(PriceId(0), 1))
    with pytest.raises(StoreUnavailable):
        await ledger.admit(_request(stack, customer, model, caller=caller_of(customer.api_key)))
    with pytest.raises(StoreUnavailable):
        await ledger.settle(request.generation_id, _usage(admitted.offers[0].price_id, -5))
    assert customer.balance()["held_nanos"] == 30_000


async def test_the_publishable_key_settles_nothing(stack: LocalStack, model: TestModel) -> None:
    async with aiohttp.ClientSession() as session:
        ledger = Ledger(Database(session, url=stack.supabase_url, key=stack.credentials.publishable_key))
        with pytest.raises(StoreUnavailable):
            await ledger.void_hold(new_generation_id())


def test_quantities_name_the_units_that_the_ledger_prices() -> None:
    quantities = Quantities(input_tokens=1, cached_input_tokens=2, cache_write_tokens=4, output_tokens=8)
    assert quantities.tokens == 15
    assert quantities.to_json() == {
        "input_tokens": 1,
        "cached_input_tokens": 2,
        "cache_write_tokens": 4,
        "output_tokens": 8,
        "images": 0,
        "requests": 1,
    }


@pytest.mark.parametrize("claim", [_claim("body", "key"), _claim("body-alone")], ids=["key", "body"])
async def test_a_request_that_came_before_is_answered_with_what_was_kept(
    stack: LocalStack, ledger: Ledger, customer: Tenant, model: TestModel, claim: Claim
) -> None:
    first = _request(stack, customer, model, claim=claim)
    await _answered(ledger, first)
    again = await ledger.admit(_request(stack, customer, model, claim=claim))
    assert isinstance(again, Replay)
    assert (again.generation_id, again.provider, again.cost_nanos, again.answer) == (
        first.generation_id,
        "openrouter",
        20_000,
        "sealed",
    )
    assert again.policy.account_id == customer.account_id
    assert customer.balance() == {
        "posted_nanos": 80_000,
        "owed_nanos": 0,
        "held_nanos": 0,
        "available_nanos": 80_000,
    }


async def test_a_request_that_is_still_running_is_named(
    stack: LocalStack, ledger: Ledger, customer: Tenant, model: TestModel
) -> None:
    first = _request(stack, customer, model, claim=_claim("body", "key"))
    await ledger.admit(first)
    again = await ledger.admit(_request(stack, customer, model, claim=_claim("body", "key")))
    assert isinstance(again, Refused)
    assert (again.status, again.code) == (409, "idempotency_in_progress")
    assert again.numbers == {"generation_id": str(first.generation_id)}
    assert again.policy is not None


async def test_an_answer_that_was_not_kept_is_brought_by_settling_again(
    stack: LocalStack, ledger: Ledger, customer: Tenant, model: TestModel
) -> None:
    first, retry = (_request(stack, customer, model, claim=_claim("body", "key")) for _ in range(2))
    price_id = await _answered(ledger, first, answer=None)
    refused = await ledger.admit(retry)
    assert isinstance(refused, Refused)
    assert refused.code == "answer_not_stored"
    await ledger.settle(first.generation_id, _usage(price_id, 5, answer="sealed"))
    assert isinstance(await ledger.admit(retry), Replay)


async def test_a_settlement_keeps_what_was_asked_and_the_providers_name_for_the_answer(
    stack: LocalStack, ledger: Ledger, customer: Tenant, model: TestModel
) -> None:
    request = _request(stack, customer, model)
    admitted = await ledger.admit(request)
    assert isinstance(admitted, Admitted)
    facts = RequestFacts(models=(ModelId(model.id),), choices=2, max_output_tokens=None, image_count=0, prompt_bytes=20)
    usage = _usage(admitted.offers[0].price_id, 5, request=facts, upstream_id="gen-1")
    await ledger.settle(request.generation_id, usage)
    with psycopg.connect(stack.database_url) as session:
        rows = session.execute(READ_FACTS, (request.generation_id,)).fetchall()
    asked = {"models": [model.id], "choices": 2, "max_output_tokens": None, "image_count": 0, "prompt_bytes": 20}
    assert rows == [(asked, "gen-1")]


async def test_answers_are_erased_once_when_their_time_is_over(
    stack: LocalStack, ledger: Ledger, customer: Tenant, model: TestModel
) -> None:
    await _answered(ledger, _request(stack, customer, model, claim=_claim("body", "brief", lifetime_s=1)))
    await _answered(ledger, _request(stack, customer, model, claim=_claim("body", "long")))
    await asyncio.sleep(1.1)
    assert (await ledger.erase_answers()).count >= 1
    assert (await ledger.erase_answers()).count == 0
    assert isinstance(await ledger.admit(_request(stack, customer, model, claim=_claim("body", "long"))), Replay)


async def test_a_record_that_is_given_up_twice_is_kept_once(ledger: Ledger) -> None:
    subject = str(new_generation_id())
    first, second = [
        await ledger.add_dead_letter(
            "late_settlement", subject, payload={"tokens": 1}, reason="hold_voided", tries=tries
        )
        for tries in (1, 2)
    ]
    assert first == second
