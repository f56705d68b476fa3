"""Reasoning as chat carries it, into Anthropic's thinking blocks and back, so that a model reads its own again.

A thinking block has a text and a signature, a redacted one only its data. What OpenRouter's `reasoning_details` have
beyond that (another vendor's format, an id), and a text that the client does not want to see, is sealed into the
signature or the data, which are opaque to the client anyway.

source  https://openrouter.ai/docs/use-cases/reasoning-tokens#preserving-reasoning-blocks
"""

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from typing import Any

from shared.providers.messages.checks import Object, invalid, read_text, refuse_unknown_keys

ANTHROPIC_FORMAT = "anthropic-claude-v1"
TEXT, SUMMARY, ENCRYPTED = "reasoning.text", "reasoning.summary", "reasoning.encrypted"
# A dot stands in no base64, so no signature of a provider begins like this.
_SEAL = "gw1."
_SEALED_FIELDS = {"type": str, "text": str, "signature": str, "data": str, "format": str, "id": str, "index": int}


def seal(fields: Mapping[str, Any]) -> str:
    """Write the fields that hold something as one opaque text."""
    kept = {name: value for name, value in fields.items() if value not in (None, "")}
    return _SEAL + base64.urlsafe_b64encode(json.dumps(kept, separators=(",", ":")).encode()).decode()


def is_foreign(format_name: str, kind: str) -> bool:
    """Say whether a reasoning detail would not come back as it was from a block's own fields."""
    return kind == SUMMARY or format_name not in ("", "unknown", ANTHROPIC_FORMAT)


def restore_reasoning(blocks: Sequence[tuple[Object, str]]) -> Object:
    """Return the fields of a chat message that hold its thinking blocks, each given with its path.

    shape   reasoning_details, in order; where nothing in them is signed or sealed only their text: `reasoning`
    raises  InvalidRequest for a seal that is not ours or was changed
    """
    details = [_restore(block, path, index) for index, (block, path) in enumerate(blocks)]
    if all("type" not in detail for detail in details):
        text = "\n".join(detail["text"] for detail in details if detail["text"])
        return {"reasoning": text} if text else {}
    return {"reasoning_details": [{"type": TEXT, "format": "unknown"} | detail for detail in details]}


def _restore(block: Object, path: str, index: int) -> Object:
    if block["type"] == "redacted_thinking":
        refuse_unknown_keys(block, ("type", "data"), path)
        data = read_text(block.get("data"), f"{path}.data")
        if data.startswith(_SEAL):
            return {"type": ENCRYPTED, "index": index} | _unseal(data, f"{path}.data")
        return {"type": ENCRYPTED, "data": data, "format": ANTHROPIC_FORMAT, "index": index}
    refuse_unknown_keys(block, ("type", "thinking", "signature"), path)
    text = read_text(block.get("thinking"), f"{path}.thinking")
    signature = read_text(block.get("signature") or "", f"{path}.signature")
    if not signature:
        return {"text": text, "index": index}
    if not signature.startswith(_SEAL):
        return {"type": TEXT, "text": text, "signature": signature, "format": ANTHROPIC_FORMAT, "index": index}
    detail = {"text": text, "index": index} | _unseal(signature, f"{path}.signature")
    if detail.get("type") == SUMMARY:
        detail["summary"] = detail.pop("text")
    return detail


def _unseal(sealed: str, path: str) -> Object:
    try:
        fields = json.loads(base64.b64decode(sealed.removeprefix(_SEAL), altchars=b"-_", validate=True))
    except (ValueError, RecursionError, binascii.Error):
        fields = None
    if (
        not isinstance(fields, dict)
        or any(type(value) is not _SEALED_FIELDS.get(name) for name, value in fields.items())
        or fields.get("type", TEXT) not in {TEXT, SUMMARY, ENCRYPTED}
    ):
        raise invalid(path, "was changed on its way; send thinking blocks back as they came")
    return fields
