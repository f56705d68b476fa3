"""Stored chats over HTTP: made once, shown as they were sent, changed and deleted by their owner alone."""

import asyncio
from typing import Any

import pytest

from infra.local.stack import LocalStack
from tests.functions.account.client import with_scopes
from tests.functions.chat.client import Answer
from tests.functions.keys.client import Holder, outcome, owner_of, run_sql
from tests.harness.gateways import RunningGateway
from tests.harness.tenants import Tenants

SESSIONS, SEARCH, STATS = "/v1/chat/sessions", "/v1/chat/search", "/v1/chat/stats"
ERASE = "select api.erase_history()"
PARTS = [
    {"type": "text", "text": "what is this?"},
    {"type": "image_url", "image_url": {"url": "https://example.com/quetzal.png", "detail": "low"}},
]


@pytest.fixture
def owner(gateway: RunningGateway, tenant: Tenants) -> Holder:
    return owner_of(gateway, tenant())


async def make(owner: Holder, **settings: Any) -> str:
    """Make a session and return its path."""
    answer = await owner.call("POST", SESSIONS, settings)
    assert answer.status == 201, answer.raw
    return f"{SESSIONS}/{answer.json['id']}"


async def say(owner: Holder, path: str, content: Any, role: str = "user", **other: Any) -> Answer:
    return await owner.call("POST", f"{path}/messages", {"role": role, "content": content, **other})


async def test_what_is_stored_is_shown_as_it_was_sent(owner: Holder) -> None:
    path = await make(owner, title=" A bird ", model="test/one")
    question = await say(owner, path, PARTS)
    answer = await say(owner, path, 'A "quetzal" — 🐦\nGreen.', "assistant", model="test/one")
    assert (question.status, answer.status) == (201, 201)
    shown = (await owner.call("GET", path)).json
    assert (shown["object"], shown["title"], shown["model"]) == ("chat.session", "A bird", "test/one")
    assert shown["message_count"] == 2
    assert shown["tokens"] == question.json["tokens"] + answer.json["tokens"]
    assert shown["messages"] == {
        "object": "list",
        "data": [question.json, answer.json],
        "has_more": False,
        "next": None,
    }
    assert [each["content"] for each in shown["messages"]["data"]] == [PARTS, 'A "quetzal" — 🐦\nGreen.']
    assert [each["model"] for each in shown["messages"]["data"]] == [None, "test/one"]


async def test_the_shorter_address_is_the_same(owner: Holder) -> None:
    first = await owner.call("POST", "/chat/sessions", {"title": "short"}, {"Idempotency-Key": "one"})
    again = await owner.call("POST", SESSIONS, {"title": "short"}, {"Idempotency-Key": "one"})
    assert (first.status, first.json, again.json) == (201, again.json, first.json)
    assert again.headers["Idempotent-Replayed"] == "true"
    assert (await owner.call("GET", "/chat/sessions")).json == (await owner.call("GET", SESSIONS)).json


async def test_a_request_that_comes_again_stores_once(owner: Holder) -> None:
    path, again = await make(owner), {"Idempotency-Key": "message"}
    body = {"role": "user", "content": "once"}
    answers = await asyncio.gather(*(owner.call("POST", f"{path}/messages", body, again) for _ in range(6)))
    assert {answer.status for answer in answers} == {201}
    assert len({answer.json["id"] for answer in answers}) == 1
    assert sum(answer.headers.get("Idempotent-Replayed") == "true" for answer in answers) == 5
    other = await owner.call("POST", f"{path}/messages", {**body, "content": "other"}, again)
    assert (other.status, other.error["code"]) == (409, "idempotency_key_reused")
    elsewhere = await owner.call("POST", f"{await make(owner)}/messages", body, again)
    assert (elsewhere.status, elsewhere.error["code"]) == (409, "idempotency_key_reused")
    assert (await owner.call("GET", path)).json["message_count"] == 1


async def test_lists_are_read_a_page_at_a_time(owner: Holder) -> None:
    made = [(await owner.call("POST", SESSIONS, {"title": str(number)})).json["id"] for number in range(3)]
    first = (await owner.call("GET", f"{SESSIONS}?limit=2")).json
    second = (await owner.call("GET", f"{SESSIONS}?limit=2&after={first['next']}")).json
    assert [each["id"] for each in first["data"] + second["data"]] == made[::-1]
    assert (first["has_more"], second["has_more"], second["next"]) == (True, False, None)
    path = f"{SESSIONS}/{made[0]}"
    for number in range(3):
        await say(owner, path, f"quetzal {number}")
    page = (await owner.call("GET", f"{path}?limit=2")).json["messages"]
    rest = (await owner.call("GET", f"{path}?limit=2&after={page['next']}")).json["messages"]
    assert [each["content"] for each in page["data"] + rest["data"]] == [f"quetzal {number}" for number in range(3)]
    found = (await owner.call("GET", f"{SEARCH}?q=quetzal&limit=2")).json
    more = (await owner.call("POST", f"{SEARCH}?limit=2&after={found['next']}", {"query": "quetzal"})).json
    assert [each["snippet"] for each in found["data"] + more["data"]] == ["quetzal 2", "quetzal 1", "quetzal 0"]


@pytest.mark.parametrize("method", ["PATCH", "PUT"])
async def test_a_change_reaches_what_it_names(owner: Holder, method: str) -> None:
    path = await make(owner, title="one", model="test/one")
    assert (await owner.call(method, path, {"title": "two"})).json["model"] == "test/one"
    changed = (await owner.call(method, path, {"model": None})).json
    assert (changed["title"], changed["model"]) == ("two", None)
    assert outcome(await owner.call(method, path, {})) == "invalid_request"


async def test_a_deleted_session_is_nowhere_at_once_and_gone_after_the_purge(owner: Holder, stack: LocalStack) -> None:
    path = await make(owner, title="gone")
    await say(owner, path, "quetzal", model="test/one")
    assert [(await owner.call("DELETE", path)).status for _ in range(2)] == [204, 204]
    for method, suffix, body in (
        ("GET", "", None), ("PATCH", "", {"title": "x"}), ("POST", "/messages", {"role": "user", "content": "x"}),
    ):  # fmt: skip
        assert outcome(await owner.call(method, path + suffix, body)) == "session_not_found"
    assert (await owner.call("GET", SESSIONS)).json["data"] == []
    assert (await owner.call("GET", f"{SEARCH}?q=quetzal")).json["data"] == []
    assert (await owner.call("GET", STATS)).json == {
        "object": "chat.stats", "sessions": 0, "messages": 0, "tokens": 0, "models": [],
    }  # fmt: skip
    run_sql(stack.database_url, ERASE)
    assert outcome(await owner.call("DELETE", path)) == "session_not_found"


async def test_search_and_sums_are_of_the_caller_s_own(owner: Holder, gateway: RunningGateway, tenant: Tenants) -> None:
    stranger = owner_of(gateway, tenant())
    path = await make(owner, title="birds")
    await say(owner, path, "The resplendent quetzal lives in cloud forests.", "assistant", model="test/one")
    (found,) = (await owner.call("POST", SEARCH, {"query": "Quetzal -penguin"})).json["data"]
    assert (found["session_id"], found["title"], found["role"]) == (path.rpartition("/")[2], "birds", "assistant")
    assert "quetzal" in found["snippet"]
    assert (await stranger.call("POST", SEARCH, {"query": "quetzal"})).json["data"] == []
    told = (await owner.call("GET", STATS)).json
    assert told["models"] == [{"model": "test/one", "messages": 1, "tokens": told["tokens"]}]
    assert (await stranger.call("GET", STATS)).json["sessions"] == 0
    assert outcome(await stranger.call("GET", path)) == "session_not_found"


async def test_scopes_divide_looking_from_changing(owner: Holder, gateway: RunningGateway, tenant: Tenants) -> None:
    reader, writer = with_scopes(gateway, tenant(), "history:read"), with_scopes(gateway, tenant(), "history:write")
    assert outcome(await reader.call("GET", SESSIONS)) == 200
    assert outcome(await reader.call("POST", SEARCH, {"query": "x"})) == 200
    assert outcome(await reader.call("POST", SESSIONS, {})) == "missing_scope"
    path = await make(writer)
    assert outcome(await say(writer, path, "x")) == 201
    for asked in (path, SESSIONS, f"{SEARCH}?q=x", STATS):
        assert outcome(await writer.call("GET", asked)) == "missing_scope"


@pytest.mark.parametrize(
    ("suffix", "body", "param"),
    [
        ("", {"title": ""}, "title"), ("", {"title": " \t"}, "title"), ("", {"title": "x" * 201}, "title"),
        ("", {"title": "a\x00b"}, "title"), ("", {"title": "\ud800"}, "title"), ("", {"title": 7}, "title"),
        ("", {"model": "a b"}, "model"), ("", {"model": "x" * 201}, "model"), ("", {"account_id": 1}, "account_id"),
        ("/messages", {"content": "x"}, "role"), ("/messages", {"role": "tool", "content": "x"}, "role"),
        ("/messages", {"role": "user"}, "content"), ("/messages", {"role": "user", "content": ""}, "content"),
        ("/messages", {"role": "user", "content": None}, "content"),
        ("/messages", {"role": "user", "content": []}, "content"),
        ("/messages", {"role": "user", "content": "a\x00"}, "content"),
        ("/messages", {"role": "user", "content": "\udcff"}, "content"),
        ("/messages", {"role": "user", "content": [{"type": "text", "text": "\ud800"}]}, "content"),
        ("/messages", {"role": "user", "content": [{"type": "video"}]}, "content"),
        ("/messages", {"role": "user", "content": [PARTS[0]] * 101}, "content"),
        ("/messages", {"role": "user", "content": "x", "tokens": 1}, "tokens"),
    ],
)  # fmt: skip
async def test_what_cannot_be_stored_is_refused_by_the_name_of_its_field(
    owner: Holder, suffix: str, body: dict[str, Any], param: str
) -> None:
    path = await make(owner) if suffix else SESSIONS
    answer = await owner.call("POST", path + suffix, body)
    assert (answer.status, answer.error["code"], answer.error["param"]) == (400, "invalid_request", param)


async def test_a_message_that_is_too_large_says_how_large_one_may_be(owner: Holder) -> None:
    path = await make(owner)
    assert outcome(await say(owner, path, "é" * 131_000)) == 201
    answer = await say(owner, path, "é" * 132_000)
    assert (answer.status, answer.error["code"], "262144" in answer.error["message"]) == (
        413,
        "message_too_large",
        True,
    )


@pytest.mark.parametrize("session_id", ["1", "sess_0", "sess_01", "sess_", "SESS_1", "sess_" + "9" * 19, "sess_1%00"])
async def test_what_is_no_id_names_no_session(owner: Holder, session_id: str) -> None:
    for method in ("GET", "DELETE"):
        assert outcome(await owner.call(method, f"{SESSIONS}/{session_id}")) == "session_not_found"


@pytest.mark.parametrize("query", ["", "?q=", "?q=" + "x" * 201, "?q=a%00b", "?q=x&limit=0", "?q=x&after=eA"])
async def test_a_search_asks_for_words(owner: Holder, query: str) -> None:
    assert outcome(await owner.call("GET", SEARCH + query)) == "invalid_request"


@pytest.mark.parametrize("body", [{}, {"query": ""}, {"query": 7}, {"query": "x" * 201}])
async def test_a_search_in_a_body_is_refused_by_the_name_of_its_field(owner: Holder, body: dict[str, Any]) -> None:
    answer = await owner.call("POST", SEARCH, body)
    assert (answer.status, answer.error["code"], answer.error["param"]) == (400, "invalid_request", "query")


async def test_an_account_that_ends_leaves_no_chat_behind_the_purge(owner: Holder, stack: LocalStack) -> None:
    path = await make(owner, title="quetzal-of-an-ended-account")
    await say(owner, path, "quetzal-of-an-ended-account")
    assert (await owner.call("DELETE", "/user/account", {"confirmation": "DELETE_ACCOUNT"})).status == 204
    for _ in range(100):
        if run_sql(stack.database_url, ERASE) == [({"count": 0},)]:
            break
    for table in ("chat_sessions", "chat_messages", "receipts"):
        statement = f"select count(*) from gateway.{table} as line where line::text like '%%quetzal-of-an-ended%%'"
        assert run_sql(stack.database_url, statement) == [(0,)]
