"""The function of accounts: what Vercel and uvicorn load, and what AWS Lambda calls."""

from fastapi import APIRouter

from functions.account import lines, mail_routes, notifications, routes
from functions.account.resources import open_resources
from shared.web.app import create_app
from shared.web.aws import LambdaHandler
from shared.web.resources import keep_open

router = APIRouter()
router.include_router(routes.router)
router.include_router(lines.router)
router.include_router(notifications.router)
router.include_router(mail_routes.router)
app = create_app("account", router, keep_open(open_resources))
handler = LambdaHandler(app)
