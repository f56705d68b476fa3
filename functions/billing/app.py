"""The function of plans and payments: what Vercel and uvicorn load, and what AWS Lambda calls."""

from fastapi import APIRouter

from functions.billing import codes, payments, plans, trials
from functions.billing.resources import open_resources
from shared.web.app import create_app
from shared.web.aws import LambdaHandler
from shared.web.resources import keep_open

router = APIRouter()
router.include_router(plans.router)
router.include_router(payments.router)
router.include_router(trials.router)
router.include_router(codes.router)
app = create_app("billing", router, keep_open(open_resources))
handler = LambdaHandler(app)
