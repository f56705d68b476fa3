"""A person's way through all functions, wherever they run: signing in, a key, its use, its end."""

import pytest

from shared.core.scopes import USER_SCOPES
from tests.deploy.person import Person
from tests.deploy.same_answers import JSON, Question, Target, put
from tests.functions.auth.client import PATH as SIGN_IN
from tests.functions.chat.client import HELLO, PATH
from tests.functions.keys.client import KEYS
from tests.harness.privy import PrivyTokens, new_privy_id


@pytest.fixture
async def first_key(whole: Target, privy: PrivyTokens) -> str:
    """The key of someone who has just signed in."""
    body = {"token": privy.access(new_privy_id())}
    answer = await put(Question("sign-in", "POST", SIGN_IN, JSON, body), whole.url)
    assert (answer.status, answer.json["is_new_user"]) == (200, True)
    secret = answer.json["api_key"]
    assert isinstance(secret, str)
    return secret


async def test_a_key_is_made_used_renamed_rotated_and_revoked(whole: Target, first_key: str) -> None:
    person = Person(whole, first_key)
    made = await person.call("POST", KEYS, {"name": "test", "environment": "test", "scopes": ["inference"]})
    key, path = Person(whole, made.json["api_key"]), f"{KEYS}/{made.json['id']}"
    completion = {"model": "openai/gpt-5-mini", "messages": HELLO}
    assert (made.status, (await key.call("POST", PATH, completion)).status) == (201, 200)
    assert (await person.call("PATCH", path, {"name": "renamed"})).json["name"] == "renamed"
    assert [each["name"] for each in (await person.call("GET", KEYS)).json["data"]][1:] == ["renamed"]
    rotated = await person.call("POST", f"{path}/rotate", {"overlap_hours": 0})
    successor = Person(whole, rotated.json["api_key"])
    assert (await key.call("POST", PATH, completion)).error["code"] == "invalid_api_key"
    assert (await successor.call("POST", PATH, completion)).status == 200
    ended = await person.call("DELETE", path)
    assert (ended.status, ended.raw) == (204, b"")
    assert (await successor.call("POST", PATH, completion)).error["code"] == "invalid_api_key"
    events = [
        each["event"] for each in (await person.call("GET", f"{KEYS}/audit-logs?key_id={made.json['id']}")).json["data"]
    ]
    assert events == ["key_revoked", "key_rotated", "key_updated", "key_created"]


async def test_a_first_key_looks_at_the_account_and_ends_it(whole: Target, first_key: str) -> None:
    person = Person(whole, first_key)
    key = await person.call("GET", "/v1/key")
    assert sorted(key.json["scopes"]) == sorted(USER_SCOPES)
    assert (await person.call("GET", "/user/balance")).json["available"] == "0.000000000"
    limits = await person.call("GET", "/user/limits")
    assert limits.headers["x-ratelimit-limit-requests"] == key.headers["x-ratelimit-limit-requests"]
    gone = await person.call("DELETE", "/user/account", {"confirmation": "DELETE_ACCOUNT"})
    assert (gone.status, gone.raw) == (204, b"")
    for path in ("/v1/key", KEYS, "/user/balance", "/v1/generations/gen_" + "0" * 32):
        assert (await person.call("GET", path)).error["code"] == "invalid_api_key", path


async def test_a_list_is_had_as_csv(whole: Target, first_key: str) -> None:
    person = Person(whole, first_key)
    for path in ("/user/activity", "/user/transactions"):
        answer = await person.call("GET", path, Accept="text/csv")
        assert (answer.status, answer.headers["Content-Type"].partition(";")[0]) == (200, "text/csv"), path
        assert b"," in answer.raw.splitlines()[0]
