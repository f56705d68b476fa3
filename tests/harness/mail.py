"""What a test sees of the stack's mail catcher, and how its Resend signs an event."""

import base64
import hashlib
import hmac
import json
import time
from typing import Any

import httpx

from infra.local.environment import RESEND_WEBHOOK_SECRET

TIMEOUT_S = 30.0


class MailCatcher:
    """The catcher's `/_control`."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._http = httpx.Client(base_url=url, timeout=TIMEOUT_S, trust_env=False)

    def mails(self, address: str | None = None) -> list[dict[str, Any]]:
        """Return what was caught, to one address or to all, the oldest first."""
        return list(self._look(address)["mails"])

    def subjects(self, address: str | None = None) -> list[str]:
        """Return their subjects."""
        return [mail["subject"] for mail in self.mails(address)]

    @property
    def asked(self) -> int:
        """How often a mail was asked to be sent, whatever the answer was."""
        return int(self._look(None)["asked"])

    def fail(self, **fault: Any) -> None:
        """Have the next requests fail; without anything, have them succeed again."""
        assert self._http.post("/_control/fault", json=fault).status_code == 200

    def reset(self) -> None:
        """Forget everything, faults too."""
        assert self._http.post("/_control/reset").status_code == 200

    def close(self) -> None:
        """End the connection."""
        self._http.close()

    def _look(self, address: str | None) -> dict[str, Any]:
        query = {} if address is None else {"to": address}
        answer: dict[str, Any] = self._http.get("/_control/mails", params=query).json()
        return answer


def resend_event(kind: str, address: str, **data: Any) -> bytes:
    """Return the body of an event about one address."""
    about = {"email_id": "e", "from": "gateway@localhost.test", "to": [address], "subject": "s", **data}
    return json.dumps({"type": kind, "created_at": "2026-11-23T12:00:00.000Z", "data": about}).encode()


def signed(
    body: bytes, *, secret: str = RESEND_WEBHOOK_SECRET, at: int | None = None, event_id: str = "msg_1"
) -> dict[str, str]:
    """Return the headers that Resend signs an event with."""
    timestamp = int(time.time()) if at is None else at
    key = base64.b64decode(secret.removeprefix("whsec_"))
    digest = hmac.new(key, f"{event_id}.{timestamp}.".encode() + body, hashlib.sha256).digest()
    return {
        "svix-id": event_id,
        "svix-timestamp": str(timestamp),
        "svix-signature": f"v1,{base64.b64encode(digest).decode()}",
        "Content-Type": "application/json",
    }
