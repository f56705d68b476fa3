"""Responses that are stored: continued, shown, erased; each account's own, and sealed."""

import secrets
from typing import Any

import aiohttp
import psycopg
import pytest

from shared.core.money import NANOS_PER_DOLLAR
from tests.functions.chat.asked_again import KEY, START, execute
from tests.functions.chat.books import assert_settled
from tests.functions.chat.client import TIMEOUT, Answer, words
from tests.functions.chat.raw_provider import STREAM_HEAD, RawProvider, chunk
from tests.functions.chat.speakers import RESPONSES, STREAMED
from tests.harness.gateways import RunningGateway
from tests.harness.tenants import Models, Tenant, Tenants, TestModel
from tests.shared.providers.responses.grammar import check_response

PATH = "/v1/responses"
KEEP_NOTHING = "update gateway.accounts set is_zero_retention = true where id = %s"
AGE = "update gateway.stored_responses set expires_at = now() - interval '1 second' where account_id = %s"
READ = "select content, expires_at - created_at from gateway.stored_responses where account_id = %s"
READ_SCHEMA = "select to_jsonb(stored)::text from gateway.stored_responses as stored where account_id = %s"
SWEEP = "select api.erase_answers()"


async def call(gateway: RunningGateway, tenant: Tenant, method: str, response_id: str) -> Answer:
    async with (
        aiohttp.ClientSession(timeout=TIMEOUT) as session,
        session.request(method, f"{gateway.url}{PATH}/{response_id}", headers=tenant.headers) as response,
    ):
        return Answer(response.status, response.headers.copy(), await response.read())


async def respond(gateway: RunningGateway, tenant: Tenant, model: TestModel, **fields: Any) -> dict[str, Any]:
    """Ask, check the answer, and return the response."""
    answer = await RESPONSES.ask(gateway, tenant, model, **fields)
    assert answer.status == 200, answer.raw
    return answer.json


def rows(tenant: Tenant, statement: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(tenant.database_url, autocommit=True) as session:
        return session.execute(statement.encode(), (tenant.account_id,)).fetchall()


@STREAMED
async def test_a_response_is_shown_as_it_was_answered_with_its_cost(
    gateway: RunningGateway, tenant: Tenants, make_model: Models, is_stream: bool
) -> None:
    customer, model = tenant(), make_model("tokens=4,prompt_tokens=10")
    answer = await RESPONSES.ask(gateway, customer, model, stream=is_stream)
    shown = await call(gateway, customer, "GET", "resp_" + answer.generation_id.removeprefix("gen_"))
    assert shown.status == 200
    check_response(shown.json)
    said = RESPONSES.read(answer, is_stream=is_stream)
    assert shown.json["output"][0]["content"][0]["text"] == said.text == words(4)
    assert shown.json["usage"]["cost"] == said.cost
    assert round(said.cost * NANOS_PER_DOLLAR) == assert_settled(customer, START)
    if not is_stream:
        assert shown.json == answer.json
    assert shown.headers["Cache-Control"] == "no-store"


async def test_what_is_stored_is_sealed_for_thirty_days(
    gateway: RunningGateway, tenant: Tenants, make_model: Models
) -> None:
    customer, secret = tenant(), secrets.token_hex(12)
    await respond(gateway, customer, make_model("tokens=4"), input=f"My word is {secret}.", metadata={"mark": secret})
    ((content, lifetime),) = rows(customer, READ)
    assert lifetime.days == 30
    assert secret not in rows(customer, READ_SCHEMA)[0][0]
    assert "tok0" not in content
    assert customer.books.broken_rules() == []


async def test_a_response_that_continues_another_sends_the_whole_conversation(
    odd_gateway: RunningGateway, raw_provider: RawProvider, tenant: Tenants, make_model: Models
) -> None:
    customer, model = tenant(), make_model(providers=("portkey",))
    usage = b'data: {"id":"raw","choices":[],"usage":{"prompt_tokens":10,"completion_tokens":3,"total_tokens":13}}\n\n'
    said = STREAM_HEAD + chunk("tok0") + chunk("", "stop") + usage + b"data: [DONE]\n\n"
    raw_provider.answers(model.upstream_model, said)
    last: dict[str, Any] = {}
    for turn in range(4):
        answer = await RESPONSES.ask(odd_gateway, customer, model, stream=True, input=f"turn {turn}", **last)
        RESPONSES.read(answer, is_stream=True)
        last = {"previous_response_id": "resp_" + answer.generation_id.removeprefix("gen_")}
    asked = raw_provider.requests(model.upstream_model)[-1].decode()
    positions = [asked.index(f"turn {turn}") for turn in range(4)]
    assert positions == sorted(positions)
    assert asked.count("tok0") == 3
    # The instructions are those of the last request alone.
    assert asked.count("You are terse.") == 1


async def test_an_item_that_is_referred_to_is_found_in_its_own_account_only(
    gateway: RunningGateway, tenant: Tenants, make_model: Models
) -> None:
    customer, stranger, model = tenant(), tenant(), make_model("tokens=4")
    first = await respond(gateway, customer, model)
    reference = {"type": "item_reference", "id": first["output"][0]["id"]}
    body = [{"role": "user", "content": "And?"}, reference, {"role": "user", "content": "So?"}]
    assert (await RESPONSES.ask(gateway, customer, model, input=body)).status == 200
    refused = await RESPONSES.ask(gateway, stranger, model, input=body)
    assert (refused.status, refused.error["param"]) == (400, "input[1].id")
    assert assert_settled(stranger, START) == 0


@pytest.mark.parametrize("method", ["GET", "DELETE", "POST"])
async def test_another_account_s_response_answers_like_one_that_never_was(
    gateway: RunningGateway, tenant: Tenants, make_model: Models, method: str
) -> None:
    customer, stranger, model = tenant(), tenant(), make_model("tokens=4")
    first = await respond(gateway, customer, model)
    unknown = "resp_" + secrets.token_hex(16)
    answers = []
    for response_id in (first["id"], unknown):
        if method == "POST":
            answer = await RESPONSES.ask(gateway, stranger, model, previous_response_id=response_id)
            assert (answer.status, answer.error["code"]) == (400, "previous_response_not_found")
            assert answer.error["param"] == "previous_response_id"
        else:
            answer = await call(gateway, stranger, method, response_id)
            assert (answer.status, answer.error["code"]) == (404, "response_not_found")
        answers.append(answer.error["message"])
    assert answers[0] == answers[1]
    assert (await call(gateway, customer, "GET", first["id"])).status == 200


@pytest.mark.parametrize("response_id", ["resp_1", "gen_" + "0" * 32, "resp_" + "0" * 32 + "0", "resp_" + "G" * 32])
async def test_what_is_no_id_is_not_found(gateway: RunningGateway, tenant: Tenants, response_id: str) -> None:
    answer = await call(gateway, tenant(), "GET", response_id)
    assert (answer.status, answer.error["code"], answer.error["param"]) == (404, "response_not_found", "id")


async def test_a_deleted_response_is_gone_and_so_is_what_was_kept_for_a_retry(
    gateway: RunningGateway, tenant: Tenants, make_model: Models
) -> None:
    customer, model = tenant(), make_model("tokens=4,prompt_tokens=10")
    first = await respond(gateway, customer, model, headers=KEY)
    second = await respond(gateway, customer, model, previous_response_id=first["id"])
    deleted = await call(gateway, customer, "DELETE", first["id"])
    assert (deleted.status, deleted.json) == (200, {"id": first["id"], "object": "response", "deleted": True})
    assert (await call(gateway, customer, "DELETE", first["id"])).status == 404
    assert (await call(gateway, customer, "GET", first["id"])).status == 404
    assert (await call(gateway, customer, "GET", second["id"])).status == 200
    again = await RESPONSES.ask(gateway, customer, model, headers=KEY)
    assert (again.status, again.error["code"]) == (409, "answer_not_stored")
    # The conversation has a hole now.
    broken = await RESPONSES.ask(gateway, customer, model, previous_response_id=second["id"])
    assert (broken.status, broken.error["code"]) == (400, "previous_response_not_found")
    assert "deleted" in broken.error["message"]
    assert customer.books.broken_rules() == []


@STREAMED
async def test_store_false_stores_nothing(
    gateway: RunningGateway, tenant: Tenants, make_model: Models, is_stream: bool
) -> None:
    customer, model = tenant(), make_model("tokens=4")
    answer = await RESPONSES.ask(gateway, customer, model, store=False, stream=is_stream)
    RESPONSES.read(answer, is_stream=is_stream)
    assert rows(customer, READ) == []
    response_id = "resp_" + answer.generation_id.removeprefix("gen_")
    assert (await call(gateway, customer, "GET", response_id)).status == 404


async def test_an_account_that_keeps_nothing_stores_nothing(
    gateway: RunningGateway, tenant: Tenants, make_model: Models
) -> None:
    customer, model = tenant(), make_model("tokens=4")
    execute(customer, KEEP_NOTHING)
    first = await respond(gateway, customer, model)
    assert first["store"] is False
    streamed = await RESPONSES.ask(gateway, customer, model, stream=True)
    assert b'"store":true' not in streamed.raw
    assert b'"store":false' in streamed.raw
    assert rows(customer, READ) == []
    assert (await call(gateway, customer, "GET", first["id"])).status == 404


async def test_an_answer_that_broke_is_not_stored(gateway: RunningGateway, tenant: Tenants, make_model: Models) -> None:
    customer = tenant()
    model = make_model("tokens=9,at=3,cut=mid_stream", providers=("featherless",))
    RESPONSES.read_failed(await RESPONSES.ask(gateway, customer, model, stream=True))
    assert rows(customer, READ) == []


async def test_what_has_had_its_time_is_gone_and_swept(
    gateway: RunningGateway, tenant: Tenants, make_model: Models
) -> None:
    customer, model = tenant(), make_model("tokens=4")
    first = await respond(gateway, customer, model)
    execute(customer, AGE)
    assert (await call(gateway, customer, "GET", first["id"])).status == 404
    refused = await RESPONSES.ask(gateway, customer, model, previous_response_id=first["id"])
    assert refused.error["code"] == "previous_response_not_found"
    with psycopg.connect(customer.database_url, autocommit=True) as session:
        session.execute(SWEEP.encode())
    assert rows(customer, READ) == []
    assert customer.books.broken_rules() == []


async def test_a_test_key_stores_little(gateway: RunningGateway, tenant: Tenants, make_model: Models) -> None:
    customer, model = tenant(environment="test", credit_nanos=0), make_model("tokens=4")
    await respond(gateway, customer, model, input="short")
    await respond(gateway, customer, model, input=secrets.token_hex(20_000))
    assert len(rows(customer, READ)) == 1


async def test_a_stored_response_is_shown_whole_only(
    gateway: RunningGateway, tenant: Tenants, make_model: Models
) -> None:
    customer = tenant()
    first = await respond(gateway, customer, make_model("tokens=4"))
    answer = await call(gateway, customer, "GET", f"{first['id']}?stream=true")
    assert (answer.status, answer.error["param"]) == (400, "stream")


async def test_the_same_key_stores_once(gateway: RunningGateway, tenant: Tenants, make_model: Models) -> None:
    customer, model = tenant(), make_model("tokens=4")
    for _ in range(2):
        await respond(gateway, customer, model, headers=KEY)
    assert len(rows(customer, READ)) == 1
