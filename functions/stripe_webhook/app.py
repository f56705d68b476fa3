"""The function that Stripe calls: what Vercel and uvicorn load, and what AWS Lambda calls."""

from functions.stripe_webhook.resources import open_resources
from functions.stripe_webhook.routes import router
from shared.web.app import create_app
from shared.web.aws import LambdaHandler
from shared.web.resources import keep_open

app = create_app("stripe_webhook", router, keep_open(open_resources))
handler = LambdaHandler(app)
