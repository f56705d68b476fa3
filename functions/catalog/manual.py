"""The description of the whole gateway and the page that shows it, as they are deployed with this function.

The document is made of all functions' own by `make describe`; this one knows none of them.
"""

import base64
import hashlib
import re
from pathlib import Path

import msgspec

DOCUMENT = Path(__file__).with_name("openapi.json")
PAGE = Path(__file__).with_name("docs.html")
_INLINE = re.compile(r"<(?P<kind>script|style)>(?P<text>.*?)</(?P=kind)>", re.DOTALL)


class Manual(msgspec.Struct, frozen=True):
    """What is served; policy lets the page run its own script and ask this gateway, and nothing else."""

    document: bytes
    page: bytes
    policy: str

    @classmethod
    def read(cls) -> "Manual":
        """Read both files, once for the life of the function."""
        page = PAGE.read_text()
        return cls(document=DOCUMENT.read_bytes(), page=page.encode(), policy=_policy(page))


def _policy(page: str) -> str:
    """Allow what stands in the page by its hash, as it is.

    source  https://www.w3.org/TR/CSP3/#grammardef-hash-source
    """
    allowed = [
        f"{match['kind']}-src 'sha256-{base64.b64encode(hashlib.sha256(match['text'].encode()).digest()).decode()}'"
        for match in _INLINE.finditer(page)
    ]
    closed = ("base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'")
    return "; ".join(("default-src 'none'", "connect-src 'self'", *allowed, *closed))
