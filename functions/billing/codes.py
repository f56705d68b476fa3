"""Coupons and referrals: POST /coupons/redeem, GET /coupons/history, GET /referral and POST /referral/apply."""

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from functions.billing import gift_descriptions as descriptions
from functions.billing.gift_bodies import read_code
from functions.billing.gift_views import redemption_view, referral_view
from functions.billing.gifts import give
from functions.billing.resources import ask, enter, resources_of
from shared.core.caller import Caller
from shared.core.receipts import Receipt
from shared.core.verdicts import Refused
from shared.trials.codes import Codes
from shared.trials.types import KnownPerson, PersonChanged, RedemptionTold, ReferralTold
from shared.web.access import requires
from shared.web.answers import json_answer
from shared.web.json_body import read_json_object
from shared.web.pagination import list_answer, read_page, write_cursor
from shared.web.refused import refuses

router = APIRouter()


@router.post("/coupons/redeem", openapi_extra=descriptions.REDEEM, response_class=Response)
@requires("billing:write")
@refuses(404)
async def redeem_coupon(request: Request) -> Response:
    """Give the caller what a coupon stands for."""
    caller, codes = await enter(request), _codes_of(request)
    code = read_code(await read_json_object(request))

    async def redeem(caller: Caller, person: KnownPerson, receipt: Receipt) -> RedemptionTold | PersonChanged | Refused:
        return await codes.redeem(caller, code, person, receipt)

    return json_answer(redemption_view((await give(request, caller, redeem)).redemption))


@router.get("/coupons/history", openapi_extra=descriptions.REDEMPTIONS, response_class=Response)
@requires("billing:read")
async def list_redemptions(request: Request) -> Response:
    """List the coupons that the account has redeemed, newest first."""
    caller, codes, page = await enter(request), _codes_of(request), read_page(request)
    before, most = page.after_id, page.limit
    told = await ask(request, caller, lambda caller: codes.list_redemptions(caller, limit=most + 1, before=before))
    shown = told.redemptions[:most]
    cursor = write_cursor(shown[-1].id) if len(told.redemptions) > most else None
    return json_answer(list_answer([redemption_view(redemption) for redemption in shown], cursor))


@router.get("/referral", openapi_extra=descriptions.REFERRAL, response_class=Response)
@requires("billing:read")
async def show_referral(request: Request) -> Response:
    """Tell by which code the account refers others, and what came of it."""
    return json_answer(referral_view(await ask(request, await enter(request), _codes_of(request).read_referral)))


@router.post("/referral/apply", openapi_extra=descriptions.APPLY_REFERRAL, response_class=Response)
@router.post("/referral/code", openapi_extra=descriptions.APPLY_REFERRAL, response_class=Response)
@requires("billing:write")
@refuses(404)
async def apply_referral(request: Request) -> Response:
    """Write down by whose code the caller has come."""
    caller, codes = await enter(request), _codes_of(request)
    code = read_code(await read_json_object(request))

    async def apply(caller: Caller, person: KnownPerson, receipt: Receipt) -> ReferralTold | PersonChanged | Refused:
        return await codes.apply_referral(caller, code, person, receipt)

    return json_answer(referral_view(await give(request, caller, apply)))


def _codes_of(request: Request) -> Codes:
    return Codes(resources_of(request).desk.database)
