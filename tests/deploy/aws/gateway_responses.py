"""What API Gateway answers by itself, as the deployed gateway responses change it.

source  https://docs.aws.amazon.com/apigateway/latest/developerguide/supported-gateway-response-types.html
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

from tests.deploy.aws.deployed import GatewayResponse
from tests.deploy.aws.proxy_answers import HttpAnswer

UNCHANGED = GatewayResponse(None, {}, {"application/json": '{"message":$context.error.messageString}'})
VARIABLE = re.compile(r"\$(context(?:\.[A-Za-z]+)+)")


@dataclass(frozen=True, slots=True)
class Refusal:
    """An answer of API Gateway's own; response_type None has no type of its own but the default of its status."""

    status: int
    message: str
    response_type: str | None = None


NO_ROUTE = Refusal(403, "Missing Authentication Token", "MISSING_AUTHENTICATION_TOKEN")
TOO_LARGE = Refusal(413, "Request Too Long", "REQUEST_TOO_LARGE")
TOO_LATE = Refusal(504, "Endpoint request timed out", "INTEGRATION_TIMEOUT")
# Lambda has no instance left for the call.
# source: https://repost.aws/knowledge-center/api-gateway-internal-server-error
NO_INSTANCE = Refusal(500, "Internal server error", "INTEGRATION_FAILURE")
FUNCTION_FAILED = Refusal(502, "Internal server error")


def render(refusal: Refusal, deployed: Mapping[str, GatewayResponse], request_id: str) -> HttpAnswer:
    """Write the answer as the deployed response of its type says, else as the default of 4XX or 5XX does."""
    by_status = f"DEFAULT_{refusal.status // 100}XX"
    response = deployed.get(refusal.response_type or "") or deployed.get(by_status) or UNCHANGED
    values = {
        "context.error.message": refusal.message,
        "context.error.messageString": json.dumps(refusal.message),
        "context.error.responseType": refusal.response_type or by_status,
        "context.requestId": request_id,
    }
    (content_type, template), *_ = (response.templates or UNCHANGED.templates).items()
    # Only 'text in quotes' and context variables may stand there.
    headers = {
        name: value[1:-1] if value.startswith("'") else values[value] for name, value in response.headers.items()
    }
    body = VARIABLE.sub(lambda found: values[found[1]], template)
    return HttpAnswer(
        response.status or refusal.status, (("Content-Type", content_type), *headers.items()), body.encode()
    )
