"""Tokens as Privy issues them, signed with a key of the local stack's own."""

import base64
import hashlib
import json
import secrets
import time
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

LOCAL_APP_ID = "local-privy-app"
ISSUER = "privy.io"
TOKEN_LIFETIME_S = 3600

Claims = dict[str, Any]


class SigningKey:
    """An ES256 key pair; its id is made of its public half, as a JWK's thumbprint is."""

    def __init__(self, private_key: ec.EllipticCurvePrivateKey) -> None:
        self._private_key = private_key
        point = private_key.public_key().public_numbers()
        self._coordinates = {"x": _base64url(point.x.to_bytes(32)), "y": _base64url(point.y.to_bytes(32))}
        self.id = _base64url(hashlib.sha256(json.dumps(self._coordinates).encode()).digest())

    @classmethod
    def generate(cls) -> "SigningKey":
        """Make a new pair."""
        return cls(ec.generate_private_key(ec.SECP256R1()))

    @classmethod
    def load_or_create(cls, path: Path) -> "SigningKey":
        """Return the pair kept in a file, made at the first start; only the owner may read it."""
        if path.exists():
            key = serialization.load_pem_private_key(path.read_bytes(), password=None)
            assert isinstance(key, ec.EllipticCurvePrivateKey)
            return cls(key)
        made = cls.generate()
        path.touch(mode=0o600)
        path.write_bytes(made.private_pem)
        return made

    @property
    def private_pem(self) -> bytes:
        """The private half, to be kept."""
        encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
        return self._private_key.private_bytes(encoding, form, serialization.NoEncryption())

    @property
    def public_pem(self) -> str:
        """The public half as Privy's dashboard shows it."""
        encoding, form = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        return self._private_key.public_key().public_bytes(encoding, form).decode()

    @property
    def jwk(self) -> dict[str, str]:
        """The public half as a JWKS lists it."""
        return {"kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": self.id, **self._coordinates}

    def sign(self, claims: Claims, **headers: object) -> str:
        """Sign claims; headers add to, or take the place of, those that Privy writes."""
        return jwt.encode(claims, self._private_key, algorithm="ES256", headers={"kid": self.id, **headers})


def access_claims(app_id: str, user_id: str) -> Claims:
    """Return what an access token says.

    source  https://docs.privy.io/authentication/user-authentication/access-tokens#access-token-format
    """
    return {"sid": f"session-{secrets.token_hex(8)}", **_claims(app_id, user_id)}


def identity_claims(app_id: str, user_id: str, email: str | None) -> Claims:
    """Return what an identity token says of someone who signed in by e-mail, or without one by a wallet.

    source  https://docs.privy.io/user-management/users/identity-tokens#token-format
    """
    now_s = int(time.time())
    address = f"0x{hashlib.sha256(user_id.encode()).hexdigest()[:40]}"
    wallet = {"type": "wallet", "address": address, "chain_type": "ethereum", "lv": now_s}
    account = wallet if email is None else {"type": "email", "address": email, "lv": now_s}
    return {"cr": str(now_s), "linked_accounts": json.dumps([account]), **_claims(app_id, user_id)}


def _claims(app_id: str, user_id: str) -> Claims:
    now_s = int(time.time())
    return {"iss": ISSUER, "iat": now_s, "aud": app_id, "sub": user_id, "exp": now_s + TOKEN_LIFETIME_S}


def _base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
