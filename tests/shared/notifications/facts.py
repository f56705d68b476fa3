"""Facts as the database writes them, for every template."""

import uuid
from datetime import UTC, datetime
from typing import Any

import msgspec

from shared.core.ids import AccountId
from shared.core.integrations import PublicSettings
from shared.notifications.render import Renderer
from shared.notifications.types import FACTS, Mail

SECRET = "a secret of the tests, long enough to be one"
GATEWAY_URL = "https://gateway.example.com"
AT = "2026-11-23T15:48:19.123456+00:00"
SUM = {
    "part": "total", "requests": 1200, "failed_requests": 3, "input_tokens": 1234567, "cached_input_tokens": 8,
    "cache_write_tokens": 9, "output_tokens": 55, "images": 2, "cost_nanos": 12_500_000_001,
    "charged_nanos": 12_500_000_001, "value": "", "key_name": None,
}  # fmt: skip

GIVEN: dict[str, dict[str, Any]] = {
    "welcome": {},
    "trial_started": {"amount_nanos": 10_000_000_000, "ends_at": AT},
    "trial_ending": {"ends_at": AT, "remaining_nanos": 4_250_000_000},
    "trial_ended": {"ended_at": AT},
    "low_balance": {"available_nanos": 1_999_999_999, "threshold_nanos": 2_000_000_000},
    "payment_received": {
        "payment_id": "pi_1", "kind": "credits", "received_cents": 2750, "tax_cents": 250,
        "credit_nanos": 25_000_000_000, "bonus_nanos": 0, "plan_name": None, "receipt_url": "https://pay.stripe.com/r/1",
    },
    "payment_refunded": {"payment_id": "pi_1", "refunded_cents": 1250, "taken_nanos": 12_500_000_000},
    "payment_failed": {
        "plan_name": "Dev", "amount_cents": 2900, "invoice_url": "https://invoice.stripe.com/i/1", "grace_ends_at": AT,
    },
    "plan_changed": {"plan_name": "Team", "effective_at": AT},
    "key_created": {
        "key_id": 7, "name": "robot", "masked": "gw_live_ab12…wxyz", "environment": "live", "at": AT,
        "overlap_hours": None, "is_by_schedule": False,
    },
    "key_rotated": {
        "key_id": 7, "name": "robot", "masked": "gw_live_ab12…wxyz", "environment": "live", "at": AT,
        "overlap_hours": 168, "is_by_schedule": True,
    },
    "usage_report": {
        "month": "2026-10", "total": SUM, "models": [SUM | {"value": "openai/gpt-5-mini"}],
        "keys": [SUM | {"value": "7", "key_name": "robot"}, SUM | {"value": "8"}],
    },
    "security_notice": {
        "event": "address_refused", "at": AT, "key_id": 7, "name": "robot", "masked": "gw_live_ab12…wxyz",
        "environment": "live", "address": "198.51.100.9", "origin_host": None,
    },
    "test": {},
}  # fmt: skip
assert set(GIVEN) == set(FACTS)


def make_mail(template: str, data: dict[str, Any] | None = None, *, category: str = "payments") -> Mail:
    """Return a mail as the store reads it."""
    given = msgspec.json.encode(GIVEN[template] if data is None else data)
    return Mail(
        id=uuid.uuid4(),
        attempt=1,
        account_id=AccountId(1000),
        template=template,
        category=category,
        address="ada@example.com",
        data=msgspec.Raw(given),
        created_at=datetime.now(UTC),
    )


def make_renderer() -> Renderer:
    """Return one whose links are https."""
    return Renderer(PublicSettings(gateway_url=GATEWAY_URL, app_url=f"{GATEWAY_URL}/console"), (SECRET,))
