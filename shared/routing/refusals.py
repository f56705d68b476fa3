"""What a client is told when nobody may be asked for it."""

from shared.core.errors import GatewayError


class ProvidersFailing(GatewayError):
    """Every provider that may serve the request has failed too often in a row, and is left alone for a moment."""

    status = 503
    code = "providers_failing"
    advice = (
        "The model's providers have failed several times in a row and are not asked for a moment; wait for "
        "`Retry-After`, or name another model in `models`."
    )
    type = "server_error"
    is_retryable = True

    def __init__(self, retry_after_s: int) -> None:
        super().__init__(
            "The model's providers have failed several times in a row and are not asked for a moment. Retry then, or "
            "name another model in `models`.",
            headers={"Retry-After": str(max(1, retry_after_s))},
        )
