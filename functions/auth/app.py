"""The function of sign-ins: what Vercel and uvicorn load, and what AWS Lambda calls."""

from functions.auth.resources import open_resources
from functions.auth.routes import router
from shared.web.app import create_app
from shared.web.aws import LambdaHandler
from shared.web.resources import keep_open

app = create_app("auth", router, keep_open(open_resources))
handler = LambdaHandler(app)
