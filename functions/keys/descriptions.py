"""How the routes of keys are described: parameters, bodies and answers, made when somebody reads them."""

from typing import Any

from functions.keys.schemas import KeyChanges, NewKey, RotationBody
from functions.keys.views import EventView, IssuedKeyView, KeyView, OwnKeyView, UsageView
from shared.web.openapi import OnDemand, answer_of, body_of, list_of

MAX_USAGE_DAYS = 90
DEFAULT_USAGE_DAYS = 30

_KEY_ID = {"name": "key_id", "in": "path", "required": True, "schema": {"type": "string"}}
_IDEMPOTENCY_KEY = {"name": "Idempotency-Key", "in": "header", "schema": {"type": "string", "maxLength": 255}}
_DAYS = {"name": "days", "in": "query", "schema": {"type": "integer", "minimum": 1, "maximum": MAX_USAGE_DAYS}}
_OF_KEY = {"name": "key_id", "in": "query", "schema": {"type": "string"}}


def _with(parameters: list[dict[str, Any]], description: dict[str, Any]) -> dict[str, Any]:
    return {**description, "parameters": [*parameters, *description.get("parameters", ())]}


OWN_KEY = OnDemand(lambda: answer_of(OwnKeyView))
CREATE = OnDemand(lambda: _with([_IDEMPOTENCY_KEY], body_of(NewKey) | answer_of(IssuedKeyView, status=201)))
LIST = OnDemand(lambda: list_of(KeyView))
USAGE = OnDemand(lambda: _with([_DAYS], list_of(UsageView)))
AUDIT_LOGS = OnDemand(lambda: _with([_OF_KEY], list_of(EventView)))
READ = OnDemand(lambda: _with([_KEY_ID], answer_of(KeyView)))
UPDATE = OnDemand(lambda: _with([_KEY_ID], body_of(KeyChanges) | answer_of(KeyView)))
ROTATE = OnDemand(lambda: _with([_KEY_ID, _IDEMPOTENCY_KEY], body_of(RotationBody) | answer_of(IssuedKeyView)))
COLLECT = OnDemand(lambda: _with([_KEY_ID, _IDEMPOTENCY_KEY], answer_of(IssuedKeyView)))
REVOKE = OnDemand(lambda: {"parameters": [_KEY_ID]})
