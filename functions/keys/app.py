"""The function of keys: what Vercel and uvicorn load, and what AWS Lambda calls."""

from fastapi import APIRouter

from functions.keys import changes, reads
from functions.keys.resources import open_resources
from shared.web.app import create_app
from shared.web.aws import LambdaHandler
from shared.web.resources import keep_open

router = APIRouter()
# The fixed paths stand before those that name a key.
router.include_router(reads.router)
router.include_router(changes.router)
app = create_app("keys", router, keep_open(open_resources))
handler = LambdaHandler(app)
