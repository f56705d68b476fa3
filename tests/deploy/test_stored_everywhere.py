"""What stays, wherever the functions run: a response that is continued, a chat that is found again."""

from typing import Any

import pytest

from tests.deploy.cast import MAKE_SESSION
from tests.deploy.person import Person
from tests.deploy.same_answers import CRON_SECRET, Target
from tests.functions.chat.client import PATH, words
from tests.functions.chat.speakers import RESPONSES
from tests.functions.keys.client import GIVE_ALL_SCOPES, run_sql
from tests.harness.tenants import Models, Tenant, Tenants

SESSIONS = "/v1/chat/sessions"
PURGE = "/internal/jobs/purge"
LEFT = "select count(*)::int from gateway.chat_messages where account_id = %s"


@pytest.fixture
def customer(tenant: Tenants) -> Tenant:
    made = tenant()
    run_sql(made.database_url, GIVE_ALL_SCOPES, made.key_id)
    return made


async def respond(person: Person, **body: Any) -> dict[str, Any]:
    return await person.order(RESPONSES.path, body)


async def test_a_response_is_continued_shown_and_erased(anywhere: Target, customer: Tenant, make_model: Models) -> None:
    person, model = Person(anywhere, customer.api_key), make_model("tokens=3")
    first = await respond(person, model=model.id, input="one")
    second = await respond(person, model=model.id, input="two", previous_response_id=first["id"])
    # The provider was sent the conversation before it, too.
    assert second["usage"]["input_tokens"] > first["usage"]["input_tokens"] + first["usage"]["output_tokens"]
    path = f"{RESPONSES.path}/{second['id']}"
    assert await person.read(path) == second
    gone = await person.call("DELETE", path)
    assert (gone.status, gone.json["deleted"]) == (200, True)
    assert (await person.call("GET", path)).error["code"] == "response_not_found"
    assert customer.books.broken_rules() == []


async def test_a_completion_goes_on_with_a_chat_and_leaves_its_turn_there(
    anywhere: Target, customer: Tenant, make_model: Models
) -> None:
    person, model = Person(anywhere, customer.api_key), make_model("tokens=3")
    ((session_id,),) = run_sql(customer.database_url, MAKE_SESSION, customer.account_id)
    counts = []
    for turn in ("one", "two"):
        messages = [{"role": "user", "content": turn}]
        body = {"model": model.id, "messages": messages, "session_id": f"sess_{session_id}"}
        counts.append((await person.order(PATH, body))["usage"]["prompt_tokens"])
    streamed = await person.call("POST", PATH, {**body, "stream": True})
    assert streamed.text == words(3)
    # The provider was sent the turn before it, too.
    assert counts[1] > counts[0] + 3
    assert run_sql(customer.database_url, LEFT, customer.account_id) == [(6,)]
    assert customer.books.broken_rules() == []


async def test_a_chat_is_kept_found_and_erased(whole: Target, customer: Tenant) -> None:
    person = Person(whole, customer.api_key)
    path = f"{SESSIONS}/{(await person.call('POST', SESSIONS, {'title': 'birds'})).json['id']}"
    said = await person.call("POST", f"{path}/messages", {"role": "user", "content": "Ein Quetzal über 世界"})
    assert said.status == 201, said.raw
    (found,) = (await person.order("/v1/chat/search", {"query": "quetzal"}))["data"]
    assert (found["session_id"], found["title"]) == (path.rpartition("/")[2], "birds")
    assert (await person.read("/v1/chat/stats"))["messages"] == 1
    assert (await person.call("DELETE", path)).status == 204
    assert (await person.call("GET", path)).error["code"] == "session_not_found"
    assert run_sql(customer.database_url, LEFT, customer.account_id) == [(1,)]
    assert (await Person(whole, CRON_SECRET).read(PURGE))["history_erased"] >= 2
    assert run_sql(customer.database_url, LEFT, customer.account_id) == [(0,)]
