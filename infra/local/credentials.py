"""Passwords and keys of one local stack: random, made once, kept beside its data."""

import base64
import hashlib
import hmac
import json
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

JwtRole = Literal["anon", "service_role"]
# 2100-01-01: local keys do not run out.
JWT_EXPIRES_AT_S = 4_102_444_800


@dataclass(frozen=True, slots=True)
class Credentials:
    """What the parts of a stack know each other by."""

    superuser_password: str
    postgres_password: str
    authenticator_password: str
    jwt_secret: str
    publishable_key: str
    secret_key: str
    redis_password: str
    redis_token: str
    gateway_secret: str

    @property
    def admin_api_key(self) -> str:
        """With which whoever operates the local gateway calls it; follows from its secret."""
        return admin_api_key_of(self.gateway_secret)

    def role_jwt(self, role: JwtRole) -> str:
        """Return the JWT that stands for a role: what Supabase calls the legacy key."""
        return sign_jwt({"iss": "supabase", "role": role, "exp": JWT_EXPIRES_AT_S}, self.jwt_secret)


def admin_api_key_of(gateway_secret: str) -> str:
    """Return the ADMIN_API_KEY of the local gateway that has this secret."""
    return hmac.new(gateway_secret.encode(), b"ADMIN_API_KEY", "sha256").hexdigest()


def load_or_create_credentials(path: Path) -> Credentials:
    """Return the stack's credentials, made at its first start.

    raises  ValueError, TypeError when the file is not ours
    """
    if path.exists():
        return Credentials(**json.loads(path.read_text()))
    credentials = Credentials(
        superuser_password=secrets.token_urlsafe(24),
        postgres_password=secrets.token_urlsafe(24),
        authenticator_password=secrets.token_urlsafe(24),
        jwt_secret=secrets.token_urlsafe(40),
        publishable_key=f"sb_publishable_{secrets.token_hex(11)}_{secrets.token_hex(4)}",
        secret_key=f"sb_secret_{secrets.token_hex(11)}_{secrets.token_hex(4)}",
        redis_password=secrets.token_urlsafe(24),
        redis_token=secrets.token_urlsafe(24),
        gateway_secret=secrets.token_urlsafe(40),
    )
    path.touch(mode=0o600)
    path.write_text(json.dumps(asdict(credentials), indent=2))
    return credentials


def sign_jwt(claims: dict[str, str | int], secret: str) -> str:
    """Sign claims with HS256, as PostgREST verifies them."""
    signed = f"{_encode({'alg': 'HS256', 'typ': 'JWT'})}.{_encode(claims)}"
    signature = hmac.new(secret.encode(), signed.encode(), hashlib.sha256).digest()
    return f"{signed}.{_unpadded(signature)}"


def _encode(part: dict[str, str | int]) -> str:
    return _unpadded(json.dumps(part, separators=(",", ":")).encode())


def _unpadded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
