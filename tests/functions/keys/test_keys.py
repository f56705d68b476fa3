"""Keys over HTTP: made once, shown masked, changed one at a time, and by nobody else."""

import asyncio
from typing import Any

import pytest

from infra.local.stack import LocalStack
from tests.functions.chat.client import Answer
from tests.functions.keys.client import KEYS, Holder, outcome, owner_of, run_sql
from tests.harness.gateways import RunningGateway
from tests.harness.tenants import Models, Tenants

END_SEALS = """
    update gateway.receipts set sealed_until = now()
     where account_id = (select account_id from gateway.api_keys where id = %s)
"""


async def test_a_secret_is_shown_once_and_works_at_once(
    owner: Holder, gateway: RunningGateway, make_model: Models
) -> None:
    answer = await owner.create(name=" ci ", models=["test/*"])
    assert (answer.status, answer.headers["Cache-Control"]) == (201, "no-store")
    view = answer.json
    secret = view.pop("api_key")
    assert view["masked"] == f"{secret[:12]}…{secret[-4:]}"
    assert (view["name"], view["scopes"], view["environment"]) == ("ci", ["inference", "models:read"], "live")
    key = Holder(gateway, secret, view["id"])
    assert (await key.complete(make_model())).status == 200
    seen = [
        await owner.call("GET", f"{KEYS}/{key.id}"),
        await owner.call("GET", KEYS),
        await owner.call("GET", f"{KEYS}/usage"),
        await owner.call("GET", f"{KEYS}/audit-logs"),
        await owner.call("PATCH", f"{KEYS}/{key.id}", {"max_requests": 9}),
        await key.call("GET", "/v1/key"),
    ]
    assert [each.status for each in seen] == [200] * 6
    assert all(secret.encode() not in each.raw for each in seen)
    assert {**seen[0].json, "requests_used": 0, "last_used_at": None} == view
    assert secret not in gateway.log_text()


async def test_a_creation_sent_again_shows_the_same_secret_for_ten_minutes_and_makes_one_key(
    owner: Holder, stack: LocalStack
) -> None:
    again = {"Idempotency-Key": "the-same"}
    first, replay = [await owner.create(name="once", headers=again) for _ in range(2)]
    assert (first.status, replay.status) == (201, 201)
    assert first.json == replay.json
    assert "Idempotent-Replayed" not in first.headers
    assert replay.headers["Idempotent-Replayed"] == "true"
    run_sql(stack.database_url, END_SEALS, int(owner.id.removeprefix("key_")))
    later = await owner.create(name="once", headers=again)
    assert later.json == {**first.json, "api_key": None}
    assert outcome(await owner.create(name="other", headers=again)) == "idempotency_key_reused"
    assert outcome(await owner.create(name="once")) == "key_name_taken"
    assert len((await owner.call("GET", KEYS)).json["data"]) == 2


async def test_of_ten_creations_of_one_name_at_once_one_succeeds(owner: Holder) -> None:
    answers = await asyncio.gather(*(owner.create(name="one") for _ in range(10)))
    assert sorted(str(outcome(answer)) for answer in answers) == ["201"] + ["key_name_taken"] * 9


async def test_ten_of_the_same_creation_at_once_are_one_key_with_one_secret(owner: Holder) -> None:
    again = {"Idempotency-Key": "ten-at-once"}
    answers = await asyncio.gather(*(owner.create(name="one", headers=again) for _ in range(10)))
    assert {answer.status for answer in answers} == {201}
    assert len({answer.json["api_key"] for answer in answers}) == 1
    assert len((await owner.call("GET", KEYS)).json["data"]) == 2


async def test_another_accounts_key_is_not_there(owner: Holder, gateway: RunningGateway, tenant: Tenants) -> None:
    stranger = owner_of(gateway, tenant())
    key = await owner.make()
    before = await owner.read(key)
    path = f"{KEYS}/{key.id}"
    for method, suffix, body in (
        ("GET", "", None), ("PATCH", "", {"is_active": False}), ("PUT", "", {"name": "mine"}), ("DELETE", "", None),
        ("POST", "/rotate", {}), ("POST", "/collect", None),
    ):  # fmt: skip
        answer = await stranger.call(method, path + suffix, body)
        nothing = await stranger.call(method, f"{KEYS}/key_999999999{suffix}", body)
        assert (answer.status, answer.error["code"]) == (404, "key_not_found"), method
        assert answer.error["message"] == nothing.error["message"]
    assert await owner.read(key) == before
    assert (await key.call("GET", "/v1/key")).status == 200
    assert key.id not in [each["id"] for each in (await stranger.call("GET", KEYS)).json["data"]]


@pytest.mark.parametrize(
    "key_id", ["1", "key_0", "key_01", "key_", "KEY_1", "key_" + "9" * 19, "key_1%00", "key_\u0661"]
)
async def test_what_is_no_id_names_no_key(owner: Holder, key_id: str) -> None:
    for method in ("GET", "DELETE"):
        assert outcome(await owner.call(method, f"{KEYS}/{key_id}")) == "key_not_found"


@pytest.mark.parametrize("method", ["PATCH", "PUT"])
async def test_a_change_reaches_the_named_key_and_the_named_settings(owner: Holder, method: str) -> None:
    settings = {"ip_allowlist": ["192.0.2.0/24"], "limits": {"requests_per_minute": 60, "concurrency": 2}}
    key, other = await owner.make(name="a", **settings), await owner.make(name="b", **settings)
    before, other_before = await owner.read(key), await owner.read(other)
    changes: dict[str, Any] = {"name": "c", "limits": {"concurrency": 3}, "spend_limit": {"amount": "1.5"}}
    answer = await owner.call(method, f"{KEYS}/{key.id}", changes)
    spend = {"amount": "1.500000000", "period": "total", "spent": "0.000000000", "remaining": "1.500000000"}
    limits = {"requests_per_minute": 60, "tokens_per_minute": None, "concurrency": 3}
    expected = {**before, "name": "c", "limits": limits, "spend_limit": {**spend, "resets_at": None}}
    assert answer.json == expected == await owner.read(key)
    lifted = await owner.change(key, ip_allowlist=None, limits=None, spend_limit=None)
    nothing = dict.fromkeys(limits)
    assert lifted == {**expected, "ip_allowlist": None, "limits": nothing, "spend_limit": None}
    assert await owner.read(other) == other_before


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", None), ("name", ""), ("name", "a\nb"), ("name", 7), ("name", "x" * 101), ("name", "\ud800"),
        ("environment", "prod"), ("environment", None), ("scopes", []), ("scopes", None), ("scopes", ["admin"]),
        ("scopes", "inference"), ("expires_in_days", 0), ("expires_in_days", 3651), ("expires_in_days", 1.5),
        ("expires_in_days", True), ("max_requests", 0), ("max_requests", 10**13), ("max_requests", "5"),
        ("spend_limit", {"amount": 1.5}), ("spend_limit", {"amount": "-1"}),
        ("spend_limit", {"amount": "1", "period": "year"}),
        ("spend_limit", {"period": "day"}), ("spend_limit", "5"), ("ip_allowlist", []), ("ip_allowlist", ["nowhere"]),
        ("ip_allowlist", ["192.0.2.1/24"]), ("ip_allowlist", ["192.0.2.1"] * 101), ("ip_allowlist", [None]),
        ("allowed_domains", ["https://example.com"]), ("allowed_domains", ["*"]), ("allowed_domains", ["*.com"]),
        ("models", ["a b"]), ("models", []), ("models", [f"m{number}" for number in range(101)]),
        ("rotate_every_days", 6), ("rotate_every_days", 366), ("limits", {"requests_per_minute": 0}),
        ("limits", {"concurrency": 10**6}), ("limits", {"requests_per_day": 1}), ("account_id", 1), ("kind", "session"),
        ("masked", "x"), ("is_active", "yes"), ("is_active", None),
    ],
)  # fmt: skip
async def test_what_no_key_can_have_is_refused_by_the_name_of_its_field(owner: Holder, field: str, value: Any) -> None:
    key = await owner.make()
    before = await owner.read(key)
    answers = [
        await owner.create(**{"name": "another", field: value}),
        await owner.call("PATCH", f"{KEYS}/{key.id}", {field: value}),
    ]
    for answer in answers:
        assert (answer.status, answer.error["code"]) == (400, "invalid_request"), answer.raw
        assert str(answer.error["param"]).startswith(field)
    assert await owner.read(key) == before
    assert len((await owner.call("GET", KEYS)).json["data"]) == 2


@pytest.mark.parametrize("body", [{}, [], "x", {"limits": []}])
async def test_a_change_of_nothing_is_refused(owner: Holder, body: object) -> None:
    key = await owner.make()
    assert (await owner.call("PATCH", f"{KEYS}/{key.id}", body)).status == 400


async def test_each_setting_is_kept_in_its_one_form(owner: Holder) -> None:
    answer = await owner.create(
        ip_allowlist=["192.0.2.7", "2001:DB8::/32", "::ffff:192.0.2.7", "2001:db8::/32"],
        allowed_domains=["App.Example.com", "*.example.com", "app.example.com"],
        models=["openai/*", "openai/*"],
        scopes=["models:read", "inference", "models:read"],
        spend_limit={"amount": 25, "period": "month"},
    )
    view = answer.json
    assert view["ip_allowlist"] == ["192.0.2.7", "2001:db8::/32"]
    assert view["allowed_domains"] == ["app.example.com", "*.example.com"]
    assert (view["models"], view["scopes"]) == (["openai/*"], ["models:read", "inference"])
    assert (view["spend_limit"]["amount"], view["spend_limit"]["period"]) == ("25.000000000", "month")


async def test_a_key_without_the_scope_sees_and_changes_no_key(owner: Holder) -> None:
    limited = await owner.make(name="limited", scopes=["inference", "account:write"])
    seeing = await owner.make(name="seeing", scopes=["keys:read"])
    path = f"{KEYS}/{seeing.id}"
    reads = [
        ("GET", KEYS, None),
        ("GET", path, None),
        ("GET", f"{KEYS}/usage", None),
        ("GET", f"{KEYS}/audit-logs", None),
    ]
    writes: list[tuple[str, str, Any]] = [
        ("POST", KEYS, {"name": "new"}), ("PATCH", path, {"name": "new"}), ("PUT", path, {"name": "new"}),
        ("DELETE", path, None), ("POST", f"{path}/rotate", {}), ("POST", f"{path}/collect", None),
    ]  # fmt: skip
    for request in (*reads, *writes):
        assert outcome(await limited.call(*request)) == "missing_scope", request
    assert [outcome(await seeing.call(*request)) for request in reads] == [200] * 4
    assert [outcome(await seeing.call(*request)) for request in writes] == ["missing_scope"] * 6
    assert (await limited.call("GET", "/v1/key")).json["scopes"] == ["inference", "account:write"]


async def test_nobody_gives_what_he_has_not(owner: Holder) -> None:
    limited = await owner.make(name="limited", scopes=["keys:read", "keys:write"], environment="staging")
    assert outcome(await limited.create(name="x", scopes=["inference"], environment="staging")) == "key_exceeds_yours"
    live = await limited.create(name="x", scopes=["keys:read"], environment="live")
    assert (live.status, live.error["param"]) == (403, "environment")
    richer = await owner.make(name="richer", scopes=["inference"], environment="staging")
    for method, suffix, body in (
        ("PATCH", "", {"is_active": False}),
        ("POST", "/rotate", {}),
        ("POST", "/collect", None),
    ):
        answer = await limited.call(method, f"{KEYS}/{richer.id}{suffix}", body)
        assert (answer.status, answer.error["code"], answer.error["param"]) == (403, "key_exceeds_yours", "scopes")
    assert outcome(
        await limited.call("PATCH", f"{KEYS}/{limited.id}", {"scopes": ["keys:write", "billing:write"]})
    ) == ("key_exceeds_yours")
    made = await limited.create(name="x", scopes=["keys:read"], environment="development")
    assert made.status == 201


async def test_a_list_is_read_a_page_at_a_time(owner: Holder) -> None:
    made = [owner.id] + [(await owner.make(name=f"key {number}")).id for number in range(4)]
    pages: list[list[str]] = []
    cursor: str | None = ""
    while cursor is not None and len(pages) < 5:
        answer: Answer = await owner.call("GET", f"{KEYS}?limit=2" + (f"&after={cursor}" if cursor else ""))
        body = answer.json
        pages.append([each["id"] for each in body["data"]])
        cursor = body["next"]
        assert body["has_more"] is (cursor is not None)
    assert pages == [made[:2], made[2:4], made[4:]]
    for query in ("limit=0", "limit=101", "limit=x", "after=!", "after=eA"):
        assert outcome(await owner.call("GET", f"{KEYS}?{query}")) == "invalid_request", query
