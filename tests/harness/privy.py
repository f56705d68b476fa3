"""Whoever signs in at Privy, and whoever would like to pass for one."""

import base64
import hashlib
import hmac
import json
import secrets
from dataclasses import dataclass
from typing import Any

from infra.local.privy_tokens import LOCAL_APP_ID, SigningKey, access_claims, identity_claims


@dataclass(frozen=True, slots=True)
class PrivyTokens:
    """Issues tokens under a key that the gateway trusts; keyword arguments replace claims, None takes one away."""

    key: SigningKey
    app_id: str = LOCAL_APP_ID

    def access(self, user_id: str, /, **claims: Any) -> str:
        """Return an access token."""
        return self.key.sign(self.access_claims(user_id, **claims))

    def identity(self, user_id: str, email: str | None = None, /, **claims: Any) -> str:
        """Return an identity token."""
        return self.key.sign(_replaced(identity_claims(self.app_id, user_id, email), claims))

    def access_claims(self, user_id: str, /, **claims: Any) -> dict[str, Any]:
        """Return what an access token says, to be signed by whoever should not."""
        return _replaced(access_claims(self.app_id, user_id), claims)


def new_privy_id() -> str:
    """Return the id of someone whom nobody has seen."""
    return f"did:privy:{secrets.token_hex(12)}"


def unsigned_token(claims: dict[str, Any], header: dict[str, Any]) -> str:
    """Return a token with an empty signature, whatever its header says."""
    return f"{_part(header)}.{_part(claims)}."


def hmac_signed_token(claims: dict[str, Any], header: dict[str, Any], secret: bytes) -> str:
    """Return a token signed with HS256, as a library would that takes a public key for a shared secret."""
    text = f"{_part(header)}.{_part(claims)}"
    return f"{text}.{_unpadded(hmac.new(secret, text.encode(), hashlib.sha256).digest())}"


def _replaced(claims: dict[str, Any], others: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in {**claims, **others}.items() if value is not None}


def _part(value: object) -> str:
    return _unpadded(json.dumps(value).encode())


def _unpadded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
