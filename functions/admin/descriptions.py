"""How the routes of admins are described: parameters, bodies and answers, made when somebody reads them."""

from collections.abc import Sequence
from typing import Any

from functions.admin.bodies import (
    AddCreditsBody,
    AssignPlanBody,
    CouponChanges,
    CreditBody,
    NewCouponBody,
    NewUserBody,
    PlanBody,
    UserChanges,
)
from functions.admin.monitor_views import MonitorView
from functions.admin.queries import ACTORS, KINDS, ROLES, STATUSES, WINDOWS
from functions.admin.sale_bodies import ModelChanges, ProviderChanges, SwitchesBody
from functions.admin.sale_views import ModelView, ProviderView
from functions.admin.state_views import AuditView, LedgerCheckView, LetterView, SwitchesView
from functions.admin.views import CouponView, CreditView, ProvisionedView, UserLineView, UserView
from shared.web.openapi import OnDemand, answer_of, body_of, list_of

_TEXT = {"type": "string"}
_TRUTH = {"type": "boolean"}
_IDEMPOTENCY_KEY = {"name": "Idempotency-Key", "in": "header", "schema": {"type": "string", "maxLength": 255}}


def _query(name: str, schema: dict[str, Any] = _TEXT) -> dict[str, Any]:
    return {"name": name, "in": "query", "schema": schema}


def _one_of(name: str, words: Sequence[str]) -> dict[str, Any]:
    return _query(name, {"type": "string", "enum": list(words)})


def _in_path(name: str) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": _TEXT}


def _with(parameters: list[dict[str, Any]], description: dict[str, Any]) -> dict[str, Any]:
    return {**description, "parameters": [*parameters, *description.get("parameters", ())]}


def _changes(description: dict[str, Any], *path: str) -> dict[str, Any]:
    return _with([*map(_in_path, path), _IDEMPOTENCY_KEY], description)


_WINDOW = [_query("from"), _query("to")]
_USER_FILTER = [_query("q"), _query("id"), _one_of("status", STATUSES), _one_of("role", ROLES), _query("plan")]
_MODEL_FILTER = [_query("q"), _query("provider"), _query("enabled", _TRUTH), _query("pending", _TRUTH)]

USERS = OnDemand(lambda: _with(_USER_FILTER, list_of(UserLineView)))
PROVISION = OnDemand(lambda: _changes(body_of(NewUserBody) | answer_of(ProvisionedView, status=201)))
USER = OnDemand(lambda: _with([_in_path("user_id")], answer_of(UserView)))
CHANGE_USER = OnDemand(lambda: _changes(body_of(UserChanges) | answer_of(UserView), "user_id"))
CREDIT = OnDemand(lambda: _changes(body_of(CreditBody) | answer_of(CreditView), "user_id"))
ADD_CREDITS = OnDemand(lambda: _changes(body_of(AddCreditsBody) | answer_of(CreditView)))
PLAN = OnDemand(lambda: _changes(body_of(PlanBody) | answer_of(UserView), "user_id"))
ASSIGN_PLAN = OnDemand(lambda: _changes(body_of(AssignPlanBody) | answer_of(UserView)))
COUPONS = OnDemand(lambda: list_of(CouponView))
NEW_COUPON = OnDemand(lambda: _changes(body_of(NewCouponBody) | answer_of(CouponView, status=201)))
CHANGE_COUPON = OnDemand(lambda: _changes(body_of(CouponChanges) | answer_of(CouponView), "code"))
MODELS = OnDemand(lambda: _with(_MODEL_FILTER, list_of(ModelView)))
CHANGE_MODEL = OnDemand(lambda: _changes(body_of(ModelChanges) | answer_of(ModelView), "model_id"))
PROVIDERS = OnDemand(lambda: list_of(ProviderView))
CHANGE_PROVIDER = OnDemand(lambda: _changes(body_of(ProviderChanges) | answer_of(ProviderView), "slug"))
LETTERS = OnDemand(lambda: _with([_one_of("kind", KINDS), _query("open", _TRUTH)], list_of(LetterView)))
RETRY = OnDemand(lambda: _changes(answer_of(LetterView), "letter_id"))
SWITCHES = OnDemand(lambda: answer_of(SwitchesView))
SET_SWITCHES = OnDemand(lambda: _changes(body_of(SwitchesBody) | answer_of(SwitchesView)))
MONITOR = OnDemand(lambda: _with([_one_of("window", tuple(WINDOWS)), *_WINDOW], answer_of(MonitorView)))
LEDGER_CHECK = OnDemand(lambda: _with([_query("user")], answer_of(LedgerCheckView)))
AUDIT = OnDemand(
    lambda: _with([_query("user"), _one_of("actor", ACTORS), _query("event"), *_WINDOW], list_of(AuditView))
)
