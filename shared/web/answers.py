"""Answers of structs and plain values, without a model in a signature: FastAPI would spend a cold start on it."""

from typing import Any

import msgspec
from starlette.responses import Response


def json_answer(value: Any, status: int = 200) -> Response:
    """Answer with a value as JSON; money is a text in it, and never a float."""
    return Response(msgspec.json.encode(value), status, media_type="application/json")
