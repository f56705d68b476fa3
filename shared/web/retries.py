"""How a request is known again when its client sends it once more: by its Idempotency-Key, or as an SDK's own retry."""

import hashlib
import re

from starlette.requests import Request

from shared.core.ids import ChatSessionId, format_chat_session_id
from shared.keys.fingerprint import fingerprints
from shared.ledger.types import Claim
from shared.web.json_body import read_body
from shared.web.receipts import read_idempotency_key

KEY_LIFETIME_S = 24 * 3600
# The official SDKs give up long before.
SDK_LIFETIME_S = 15 * 60
_COUNT = re.compile(r"\d{1,6}", re.ASCII)


async def read_claim(
    request: Request, secret_keys: tuple[str, ...], session_id: ChatSessionId | None = None
) -> Claim | None:
    """Return what a later request would be recognised by; None where nothing says that there may be one.

    session_id: the session that it goes on with, which its body need not name

    The official SDKs of OpenAI and Anthropic send no key, but count their retries in a header of every request, 0 for
    the first.

    raises  InvalidRequest for a key that cannot be one
    source  https://www.ietf.org/archive/id/draft-ietf-httpapi-idempotency-key-header-07.html;
            openai-python, _base_client.py: `x-stainless-retry-count`
    """
    key = read_idempotency_key(request)
    count = request.headers.get("x-stainless-retry-count", "")
    is_counted = _COUNT.fullmatch(count) is not None
    if key is None and not is_counted:
        return None
    body = await read_body(request)
    body_text = f"{request.url.path} {hashlib.sha256(body).hexdigest()}"
    if session_id is not None:
        body_text += f" {format_chat_session_id(session_id)}"
    return Claim(
        key_hmacs=None if key is None else fingerprints(f"idempotency-key {key}", secret_keys),
        body_hmacs=fingerprints(f"body {body_text}", secret_keys),
        is_retry=is_counted and int(count) > 0,
        lifetime_s=SDK_LIFETIME_S if key is None else KEY_LIFETIME_S,
    )
