"""A provider's JSON decoded as a whole, for dialects that have to say it in other words."""

import json
from typing import Any

from shared.providers.raw_json import MalformedAnswer


def decode_json_object(text: bytes) -> dict[str, Any]:
    """Decode an object; by json, which alone reads halves of emoji.

    raises  MalformedAnswer
    """
    try:
        decoded = json.loads(text)
    except (ValueError, RecursionError) as malformed:
        raise MalformedAnswer("no JSON that can be read") from malformed
    if not isinstance(decoded, dict):
        raise MalformedAnswer("no JSON object")
    return decoded
