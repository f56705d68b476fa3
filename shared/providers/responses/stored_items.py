"""What is stored of an item: what chat is told of it, and the id by which a later request may refer to it."""

from collections.abc import Mapping
from typing import Any

# Whatever else a client may send with an item never reaches a model, and would only have to be opened again.
_ITEM_FIELDS = (
    "id",
    "type",
    "role",
    "content",
    "call_id",
    "name",
    "arguments",
    "input",
    "output",
    "summary",
    "encrypted_content",
)
_PART_FIELDS = ("type", "text", "refusal", "image_url", "detail", "cache_control")


def stored_form(item: Mapping[str, Any]) -> dict[str, Any]:
    """Return the item without what is not translated; it means the same in a later request."""
    kept = _only(item, _ITEM_FIELDS)
    for name in ("content", "output", "summary"):
        if isinstance(kept.get(name), list):
            kept[name] = [_only(part, _PART_FIELDS) for part in kept[name]]
    return kept


def _only(given: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    return {name: given[name] for name in names if given.get(name) is not None}
