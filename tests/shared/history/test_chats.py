"""Stored chats through PostgREST: what a completion takes from a session and leaves in it, as our types say it."""

import uuid
from collections.abc import AsyncIterator

import aiohttp
import pytest

from infra.local.stack import LocalStack
from shared.clients.database import Database
from shared.core.caller import Caller
from shared.core.errors import StoreUnavailable
from shared.core.ids import ChatSessionId, GenerationId, ModelId, parse_generation_id
from shared.core.receipts import Receipt
from shared.core.verdicts import Refused
from shared.flows.own_receipt import own_receipt
from shared.history.chat_types import SessionTold, TurnKept, TurnsTold
from shared.history.chats import BegunTurn, History, TurnMessage
from tests.functions.keys.client import Holder, owner_of
from tests.harness.callers import caller_of
from tests.harness.gateways import RunningGateway
from tests.harness.tenants import Models, Tenant, Tenants

TURN = (
    TurnMessage({"role": "user", "content": "Hello"}),
    TurnMessage({"role": "assistant", "content": "tok1 tok2"}, tokens=2),
)
BEGUN = BegunTurn(
    models=(ModelId("test/one"),),
    input_tokens=10,
    output_tokens=10,
    reasoning_output_tokens=10,
    images=0,
    messages=2,
    size_bytes=10,
    largest_bytes=5,
    instruction_messages=0,
    instruction_bytes=0,
    largest_instruction_bytes=0,
)


@pytest.fixture
async def history(stack: LocalStack) -> AsyncIterator[History]:
    async with aiohttp.ClientSession() as session:
        yield History(Database(session, url=stack.supabase_url, key=stack.credentials.secret_key, deadline_s=10))


@pytest.fixture
def customer(tenant: Tenants) -> Tenant:
    return tenant(credit_nanos=10**10)


@pytest.fixture
def owner(gateway: RunningGateway, customer: Tenant) -> Holder:
    return owner_of(gateway, customer)


@pytest.fixture
def caller(stack: LocalStack, owner: Holder) -> Caller:
    return caller_of(owner.secret, stack.credentials.gateway_secret, scope="inference")


def receipt_for(stack: LocalStack, caller: Caller) -> Receipt:
    return own_receipt(None, caller, (stack.credentials.gateway_secret,))


async def new_session(stack: LocalStack, history: History, caller: Caller) -> ChatSessionId:
    made = await history.create_session(caller, {"title": None, "model_id": None}, receipt_for(stack, caller))
    assert isinstance(made, SessionTold)
    return made.session.id


async def generation_of(owner: Holder, make_model: Models) -> GenerationId:
    answer = await owner.complete(make_model("tokens=2"))
    generation_id = parse_generation_id(answer.generation_id)
    assert generation_id is not None
    return generation_id


async def test_a_turn_is_stored_once_and_read_again(
    stack: LocalStack, history: History, caller: Caller, owner: Holder, make_model: Models
) -> None:
    session_id, generation_id = (
        await new_session(stack, history, caller),
        await generation_of(owner, make_model),
    )
    model_id = ModelId("test/one")
    outcomes = [await history.append_turn(generation_id, session_id, TURN, model_id) for _ in range(2)]
    assert outcomes == [TurnKept("stored"), TurnKept("stored_before")]
    told = await history.begin_turn(caller, session_id, BEGUN, None)
    assert isinstance(told, TurnsTold)
    assert (told.messages, told.is_cut) == (tuple(one.message for one in TURN), False)
    shown = (await owner.call("GET", f"/v1/chat/sessions/sess_{session_id}")).json["messages"]["data"]
    assert {each["generation_id"] for each in shown} == {f"gen_{generation_id.hex}"}
    assert [each["tokens"] for each in shown][1] == 2


async def test_what_is_not_there_is_refused(history: History, caller: Caller) -> None:
    answers = [
        await history.begin_turn(caller, ChatSessionId(10**12), BEGUN, None),
        await history.append_turn(GenerationId(uuid.uuid4()), ChatSessionId(10**12), TURN, None),
    ]
    codes = [answer.code for answer in answers if isinstance(answer, Refused)]
    assert codes == ["session_not_found", "unknown_hold"]


async def test_a_turn_of_nothing_is_a_fault_of_ours(history: History) -> None:
    with pytest.raises(StoreUnavailable):
        await history.append_turn(GenerationId(uuid.uuid4()), ChatSessionId(1), (), None)


async def test_the_purge_is_asked_until_nothing_is_left(
    stack: LocalStack, history: History, caller: Caller, owner: Holder
) -> None:
    session_id = await new_session(stack, history, caller)
    assert (await owner.call("DELETE", f"/v1/chat/sessions/sess_{session_id}")).status == 204
    counts = [(await history.erase_deleted(limit=100)).count for _ in range(50)]
    assert (counts[0] >= 1, counts[-1]) == (True, 0)
