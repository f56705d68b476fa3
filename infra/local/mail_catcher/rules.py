"""What Resend says to a request that it does not take."""

import re
from collections.abc import Callable
from typing import Any

from aiohttp import web

# source  https://resend.com/docs/api-reference/errors, https://resend.com/docs/api-reference/emails/send-email
_ADDRESS = re.compile(r"(?:[^<>\r\n]*<)?[^\s<>@,;]+@[^\s<>@,;]+>?")
_HEADER_NAME = re.compile(r"[A-Za-z0-9-]{1,100}", re.ASCII)
_ENDS_LINE = re.compile(r"[\r\n]")
MAX_RECIPIENTS = 50
MAX_KEY_LENGTH = 256


def refusal(status: int, name: str, message: str, headers: dict[str, str] | None = None) -> web.Response:
    """Return an error in Resend's shape."""
    return web.json_response({"statusCode": status, "name": name, "message": message}, status=status, headers=headers)


def fault_of(body: object) -> web.Response | None:
    """Return what is wrong with a mail; None where it would be sent."""
    if not isinstance(body, dict):
        return refusal(400, "validation_error", "The request body must be an object.")
    missing = next((name for name in ("from", "to", "subject") if not body.get(name)), None)
    if missing or not (body.get("html") or body.get("text")):
        return refusal(422, "missing_required_field", f"Missing `{missing or 'html` or `text'}` field.")
    if not _is_address(body["from"]):
        return refusal(422, "invalid_from_address", "Invalid `from` field.")
    headers: dict[str, Any] = body.get("headers") or {}
    wrong = next((name for name, is_right in _CHECKS.items() if not is_right({**body, "headers": headers})), None)
    return None if wrong is None else refusal(422, "validation_error", f"Invalid `{wrong}` field.")


def _are_recipients(value: object) -> bool:
    recipients = value if isinstance(value, list) else [value]
    return len(recipients) <= MAX_RECIPIENTS and all(_is_address(address) for address in recipients)


def _is_address(value: object) -> bool:
    return isinstance(value, str) and _ADDRESS.fullmatch(value) is not None


def _is_value(value: object) -> bool:
    return isinstance(value, str) and _ENDS_LINE.search(value) is None


_CHECKS: dict[str, Callable[[dict[str, Any]], bool]] = {
    "to": lambda body: _are_recipients(body["to"]),
    "subject": lambda body: _is_value(body["subject"]),
    "headers": lambda body: all(_HEADER_NAME.fullmatch(n) and _is_value(v) for n, v in body["headers"].items()),
}
