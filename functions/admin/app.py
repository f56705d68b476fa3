"""The function of admins: what Vercel and uvicorn load, and what AWS Lambda calls."""

from fastapi import APIRouter

from functions.admin import coupons, letters, sales, state, users
from functions.admin.resources import open_resources
from shared.web.app import create_app
from shared.web.aws import LambdaHandler
from shared.web.resources import keep_open

router = APIRouter()
router.include_router(users.router)
router.include_router(coupons.router)
router.include_router(sales.router)
router.include_router(letters.router)
router.include_router(state.router)
app = create_app("admin", router, keep_open(open_resources))
handler = LambdaHandler(app)
