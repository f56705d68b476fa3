"""The function of stored chats: what Vercel and uvicorn load, and what AWS Lambda calls."""

from fastapi import APIRouter

from functions.history import routes, searches
from functions.history.resources import open_resources
from shared.web.app import create_app
from shared.web.aws import LambdaHandler
from shared.web.resources import keep_open

router = APIRouter()
router.include_router(routes.router)
router.include_router(searches.router)
app = create_app("history", router, keep_open(open_resources))
handler = LambdaHandler(app)
