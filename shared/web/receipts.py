"""The Idempotency-Key of a POST outside inference."""

import hashlib
import re
from collections.abc import Callable

from starlette.requests import Request

from shared.core.errors import InvalidRequest
from shared.core.receipts import Receipt
from shared.keys.fingerprint import fingerprints
from shared.web.json_body import read_body

MakeReceipt = Callable[[bytes], Receipt]

_KEY = re.compile(r"[!-~]{1,255}")


async def read_receipt(request: Request, secret_keys: tuple[str, ...]) -> Receipt | None:
    """Return what this request would be known by when it comes again; None without an Idempotency-Key.

    raises  as receipt_maker and read_body
    """
    make_receipt = receipt_maker(request, secret_keys)
    return None if make_receipt is None else make_receipt(await read_body(request))


def receipt_maker(request: Request, secret_keys: tuple[str, ...]) -> MakeReceipt | None:
    """Return what makes the receipt of the content that makes two requests the same; None without an Idempotency-Key.

    Two addresses of one endpoint are the same to it.

    raises  InvalidRequest for a key that cannot be one
    source  https://www.ietf.org/archive/id/draft-ietf-httpapi-idempotency-key-header-07.html
    """
    key = read_idempotency_key(request)
    if key is None:
        return None
    route = _route_of(request)

    def make_receipt(content: bytes) -> Receipt:
        content_hash = hashlib.sha256(content).hexdigest()
        return Receipt(
            key_hmacs=fingerprints(f"idempotency-key {key}", secret_keys),
            body_hmacs=fingerprints(f"body {route} {content_hash}", secret_keys),
            route=route,
        )

    return make_receipt


def read_idempotency_key(request: Request) -> str | None:
    """Return the header as it came.

    raises  InvalidRequest for what cannot be a key
    """
    key = request.headers.get("idempotency-key")
    if key is not None and not _KEY.fullmatch(key):
        raise InvalidRequest("Idempotency-Key: 1 to 255 visible ASCII characters.", param="Idempotency-Key")
    return key


def _route_of(request: Request) -> str:
    """Name the endpoint and what its path names."""
    named = (f"{name}={value}" for name, value in sorted(request.path_params.items()))
    return " ".join((request.scope["endpoint"].__name__, *named))
