"""Every write of admins: written down in its transaction, made once for each Idempotency-Key, and by whom."""

import json
import secrets
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.access.tables import digest_all
from tests.functions.admin.people import Office, user_path
from tests.functions.chat.client import Answer
from tests.functions.keys.client import Holder, run_sql
from tests.functions.test_access import DeclaredRoute, declared_routes

WRITES = [route for route in declared_routes() if route.group == "admin" and route.method not in {"GET", "HEAD"}]
RESTORE = "update gateway.switches set daily_loss_bound_nanos = null where id = 1"


@dataclass(frozen=True, slots=True)
class Change:
    """A request that changes something, and another body under the same Idempotency-Key."""

    path: str
    body: dict[str, Any] | None
    other: dict[str, Any]


Make = Callable[[Office], Awaitable[Change]]


def _name() -> str:
    return secrets.token_hex(6)


async def _provision(office: Office, path: str = "/admin/users") -> Change:
    return Change(path, {"external_id": _name()}, {"external_id": _name()})


async def _create(office: Office) -> Change:
    return await _provision(office, "/admin/create")


async def _change_user(office: Office) -> Change:
    tenant, _ = office.customer()
    return Change(user_path(tenant), {"name": "Ada", "status": "suspended"}, {"name": "Bob"})


async def _give_credit(office: Office) -> Change:
    tenant, _ = office.customer()
    body = {"amount": "1.50", "reason": "a gift"}
    return Change(user_path(tenant, "/credits"), body, {**body, "amount": "1.51"})


async def _add_credits(office: Office) -> Change:
    tenant, _ = office.customer()
    body = {"amount": "-1.50", "reason": "a mistake", "user_id": f"user_{tenant.account_id}"}
    return Change("/admin/add_credits", body, {**body, "amount": "1.51"})


async def _give_plan(office: Office) -> Change:
    tenant, _ = office.customer()
    return Change(user_path(tenant, "/plan"), {"plan_id": "free"}, {"plan_id": "dev"})


async def _assign_plan(office: Office) -> Change:
    tenant, _ = office.customer()
    body = {"plan_id": "free", "user_id": f"user_{tenant.account_id}"}
    return Change("/admin/assign-plan", body, {**body, "plan_id": "dev"})


async def _make_coupon(office: Office) -> Change:
    body = {"code": _name(), "amount": "2.00", "max_redemptions": 3}
    return Change("/admin/coupons", body, {**body, "code": _name()})


async def _change_coupon(office: Office) -> Change:
    return Change(f"/admin/coupons/{await office.make_coupon()}", {"max_redemptions": 9}, {"is_active": False})


async def _change_model(office: Office) -> Change:
    model = office.make_model()
    offer = {"provider": "openrouter", "price": {"input": "5", "output": "6.5"}}
    return Change(f"/admin/models/{model.id}", {"offer": offer}, {"is_enabled": False})


async def _change_provider(office: Office) -> Change:
    # One of its own: what is changed of others holds for the models of other tests.
    slug = f"p-{_name()}"
    office.make_model(providers=(slug,))
    return Change(f"/admin/providers/{slug}", {"markup_percent": "7.5"}, {"is_enabled": False})


async def _retry_letter(office: Office) -> Change:
    letter_id = office.add_letter("stripe_event", f"evt_{_name()}")
    return Change(f"/admin/dead-letters/{letter_id}/retry", None, {})


async def _set_switches(office: Office) -> Change:
    amount = f"{1000 + secrets.randbelow(1000)}.00"
    return Change("/admin/switches", {"daily_loss_bound": amount}, {"daily_loss_bound": None})


MAKERS: dict[str, Make] = {
    "POST /admin/users": _provision,
    "POST /admin/create": _create,
    "PATCH /admin/users/{user_id}": _change_user,
    "POST /admin/users/{user_id}/credits": _give_credit,
    "POST /admin/add_credits": _add_credits,
    "POST /admin/users/{user_id}/plan": _give_plan,
    "POST /admin/assign-plan": _assign_plan,
    "POST /admin/coupons": _make_coupon,
    "PATCH /admin/coupons/{code}": _change_coupon,
    "PATCH /admin/models/{model_id:path}": _change_model,
    "PATCH /admin/providers/{slug}": _change_provider,
    "POST /admin/dead-letters/{letter_id}/retry": _retry_letter,
    "PUT /admin/switches": _set_switches,
}
EACH = [pytest.param(route, id=f"{route.method} {route.path}") for route in WRITES]


@pytest.fixture(autouse=True)
def _nothing_stays_bounded(database_url: str) -> Iterator[None]:
    yield
    run_sql(database_url, RESTORE)


async def _send(holder: Holder, route: DeclaredRoute, change: Change, key: str) -> Answer:
    return await holder.call(route.method, change.path, change.body, {"Idempotency-Key": key})


def _maker(route: DeclaredRoute) -> Make:
    return MAKERS[f"{route.method} {route.path}"]


def test_every_write_is_tried_here() -> None:
    assert sorted(MAKERS) == sorted(f"{route.method} {route.path}" for route in WRITES)


@pytest.mark.parametrize("route", EACH)
async def test_a_write_is_written_down_with_who_made_it(office: Office, route: DeclaredRoute) -> None:
    admin = office.admin()
    for holder, key_id in ((office.operator, None), (admin, int(admin.id.removeprefix("key_")))):
        answer = await _send(holder, route, await _maker(route)(office), _name())
        assert answer.status in {200, 201}, answer.raw
        events = office.events_of(answer.headers["X-Request-Id"])
        assert events, "nothing was written down"
        assert {event[1] for event in events} <= {key_id}


@pytest.mark.parametrize("route", EACH)
async def test_the_same_write_again_is_answered_as_the_first_time_and_changes_nothing(
    office: Office, route: DeclaredRoute
) -> None:
    change, key = await _maker(route)(office), _name()
    first = await _send(office.operator, route, change, key)
    assert first.status in {200, 201}, first.raw
    before, written = digest_all(office.database_url), office.count_events()
    again = await _send(office.operator, route, change, key)
    assert (again.status, again.json) == (first.status, first.json)
    assert again.headers["Idempotent-Replayed"] == "true"
    assert "Idempotent-Replayed" not in first.headers
    other = await office.operator.call(route.method, change.path, change.other, {"Idempotency-Key": key})
    assert (other.status, other.error["code"]) == (409, "idempotency_key_reused")
    assert digest_all(office.database_url) == before
    assert office.count_events() == written


async def test_another_admins_key_is_another_key(office: Office) -> None:
    tenant, _ = office.customer(credit_nanos=0)
    body = {"amount": "1.00", "reason": "a gift"}
    for holder in (office.operator, office.admin(), office.admin()):
        answer = await holder.call("POST", user_path(tenant, "/credits"), body, {"Idempotency-Key": "the-same"})
        assert (answer.status, answer.json["is_repeated"]) == (200, False)
    assert tenant.balance()["posted_nanos"] == 3_000_000_000


async def test_a_write_that_changes_nothing_is_not_written_down(office: Office) -> None:
    tenant, _ = office.customer()
    await office.done("PATCH", user_path(tenant), {"status": "suspended"})
    before = office.count_events()
    await office.done("PATCH", user_path(tenant), {"status": "suspended"})
    assert office.count_events() == before


async def test_what_admins_did_is_read_by_whose_account_it_was(office: Office) -> None:
    tenant, _ = office.customer()
    admin = office.admin()
    await admin.call("POST", user_path(tenant, "/credits"), {"amount": "2.50", "reason": "sorry for monday"})
    await office.done("PATCH", user_path(tenant), {"role": "admin"})
    log = await office.done("GET", f"/admin/audit?user=user_{tenant.account_id}&actor=admin")
    role, credit = log["data"][:2]
    assert (role["event"], role["actor_id"], role["details"]) == ("role_changed", None, {"from": "user", "to": "admin"})
    assert (credit["event"], credit["key_id"]) == ("credit_given", admin.id)
    assert credit["actor_id"] is not None
    assert credit["details"]["reason"] == "sorry for monday"
    page = await office.done("GET", f"/admin/audit?user=user_{tenant.account_id}&actor=admin&limit=1")
    assert (page["data"], page["has_more"]) == ([role], True)
    rest = await office.done("GET", f"/admin/audit?user=user_{tenant.account_id}&actor=admin&after={page['next']}")
    assert rest["data"] == log["data"][1:]
    assert json.dumps(log).count(admin.secret) == 0
