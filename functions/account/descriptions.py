"""How the account's routes are described: parameters, bodies and answers, made when somebody reads them."""

from typing import Any

from functions.account.bodies import Confirmation, EmailChanges, ProfileChanges
from functions.account.line_views import ActivityView, StatsView, TransactionView
from functions.account.views import BalanceView, EmailPreferencesView, LimitsView, ProfileView, TestEmailView
from shared.usage.types import OUTCOMES
from shared.web.openapi import OnDemand, answer_of, body_of, list_of

_TEXT = {"type": "string"}
_DAY = {"type": "string", "format": "date"}
_IDEMPOTENCY_KEY = {"name": "Idempotency-Key", "in": "header", "schema": {"type": "string", "maxLength": 255}}


def _query(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "in": "query", "schema": schema}


def _signed(name: str) -> dict[str, Any]:
    return {"name": name, "in": "header", "required": True, "schema": _TEXT}


def _with(parameters: list[dict[str, Any]], description: dict[str, Any]) -> dict[str, Any]:
    return {**description, "parameters": [*parameters, *description.get("parameters", ())]}


def _as_csv_too(description: dict[str, Any]) -> dict[str, Any]:
    description["responses"]["200"]["content"]["text/csv"] = {"schema": _TEXT}
    return description


_WINDOW = [_query("from", _TEXT), _query("to", _TEXT)]

BALANCE = OnDemand(lambda: answer_of(BalanceView))
PROFILE = OnDemand(lambda: answer_of(ProfileView))
UPDATE_PROFILE = OnDemand(lambda: body_of(ProfileChanges) | answer_of(ProfileView))
LIMITS = OnDemand(lambda: answer_of(LimitsView))
DELETE = OnDemand(lambda: body_of(Confirmation))
TRANSACTIONS = OnDemand(lambda: _as_csv_too(_with([_query("kind", _TEXT), *_WINDOW], list_of(TransactionView))))
ACTIVITY = OnDemand(
    lambda: _as_csv_too(
        _with(
            [
                _query("model", _TEXT),
                _query("provider", _TEXT),
                _query("key", _TEXT),
                _query("status", {"type": "string", "enum": list(OUTCOMES)}),
                *_WINDOW,
            ],
            list_of(ActivityView),
        )
    )
)
STATS = OnDemand(lambda: _with([_query("from", _DAY), _query("to", _DAY)], answer_of(StatsView)))
EMAILS = OnDemand(lambda: answer_of(EmailPreferencesView))
UPDATE_EMAILS = OnDemand(lambda: body_of(EmailChanges) | answer_of(EmailPreferencesView))
TEST_EMAIL = OnDemand(lambda: {"parameters": [_IDEMPOTENCY_KEY]} | answer_of(TestEmailView, status=202))
RESEND_EVENT = OnDemand(
    lambda: {
        "parameters": [_signed(name) for name in ("svix-id", "svix-timestamp", "svix-signature")],
        "requestBody": {"required": True, "content": {"application/json": {"schema": {"type": "object"}}}},
        "responses": {"200": {"description": "What the event says is written down."}},
    }
)
UNSUBSCRIBE = OnDemand(
    lambda: {
        "parameters": [_query("token", _TEXT) | {"required": True}],
        "responses": {
            status: {"description": "A page.", "content": {"text/html": {"schema": _TEXT}}} for status in ("200", "400")
        },
    }
)
