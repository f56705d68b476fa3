"""/admin/coupons: coupons made, seen and changed."""

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from functions.admin import descriptions
from functions.admin.bodies import CouponChanges, read_changes, read_coupon_code, read_new_coupon
from functions.admin.resources import ask, change, enter
from functions.admin.views import coupon_view
from shared.web.access import requires_admin
from shared.web.answers import json_answer
from shared.web.json_body import read_json_object
from shared.web.pagination import list_answer, read_page, write_cursor

router = APIRouter()


@router.get("/admin/coupons", openapi_extra=descriptions.COUPONS, response_class=Response)
@requires_admin
async def list_coupons(request: Request) -> Response:
    """List coupons by their codes."""
    resources, admin = await enter(request)
    page = read_page(request)
    told = await ask(
        request, admin, lambda: resources.accounts.list_coupons(admin, limit=page.limit + 1, after=page.after)
    )
    shown = told.coupons[: page.limit]
    cursor = write_cursor(shown[-1].code) if len(told.coupons) > page.limit else None
    return json_answer(list_answer([coupon_view(coupon) for coupon in shown], cursor))


@router.post("/admin/coupons", status_code=201, openapi_extra=descriptions.NEW_COUPON, response_class=Response)
@requires_admin
async def make_coupon(request: Request) -> Response:
    """Make a coupon."""
    resources, admin = await enter(request)
    coupon = read_new_coupon(await read_json_object(request))
    told = await change(
        request, admin, lambda receipt: resources.accounts.create_coupon(admin, coupon, receipt.to_json())
    )
    return json_answer(coupon_view(told.coupon), 201)


@router.patch("/admin/coupons/{code}", openapi_extra=descriptions.CHANGE_COUPON, response_class=Response)
@requires_admin
async def change_coupon(request: Request) -> Response:
    """Change how often and when a coupon may be redeemed."""
    resources, admin = await enter(request)
    code = read_coupon_code(request.path_params["code"])
    changes = read_changes(CouponChanges, await read_json_object(request))
    told = await change(
        request, admin, lambda receipt: resources.accounts.update_coupon(admin, code, changes, receipt.to_json())
    )
    return json_answer(coupon_view(told.coupon))
