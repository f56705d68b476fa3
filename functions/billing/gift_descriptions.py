"""How the routes of trials, coupons and referrals are described, when somebody reads it."""

from functions.billing.gift_bodies import CodeBody
from functions.billing.gift_views import RedemptionView, ReferralView, TrialView
from functions.billing.schemas import NoFields
from shared.web.openapi import OnDemand, answer_of, body_of, list_of

_IDEMPOTENCY_KEY = {"name": "Idempotency-Key", "in": "header", "schema": {"type": "string", "maxLength": 255}}
_KEYED = {"parameters": [_IDEMPOTENCY_KEY]}

START_TRIAL = OnDemand(lambda: _KEYED | body_of(NoFields, is_required=False) | answer_of(TrialView))
TRIAL = OnDemand(lambda: answer_of(TrialView))
REDEEM = OnDemand(lambda: _KEYED | body_of(CodeBody) | answer_of(RedemptionView))
REDEMPTIONS = OnDemand(lambda: list_of(RedemptionView))
REFERRAL = OnDemand(lambda: answer_of(ReferralView))
APPLY_REFERRAL = OnDemand(lambda: _KEYED | body_of(CodeBody) | answer_of(ReferralView))
