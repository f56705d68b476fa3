"""Which app a request comes from, as its own headers say; nobody vouches for it."""

import contextlib
import re
from collections.abc import Mapping
from urllib.parse import urlsplit

from shared.core.caller import CallingApp

# The names that OpenRouter's clients send. The address is what an app is known by; a title alone is no app.
# source: https://openrouter.ai/docs/app-attribution
ADDRESS_HEADER = "http-referer"
TITLE_HEADERS = ("x-title", "x-openrouter-title")
MAX_URL_LENGTH = 200
MAX_TITLE_LENGTH = 80
# A public name: an app on somebody's own machine is known to nobody else.
_HOST = re.compile(r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]*[a-z0-9]", re.ASCII)


def read_calling_app(headers: Mapping[str, str]) -> CallingApp | None:
    """Return the app that the headers name; None where they name none, or not by a public web address."""
    url = _read_url(headers.get(ADDRESS_HEADER, ""))
    if url is None:
        return None
    titles = (_read_title(headers.get(name, "")) for name in TITLE_HEADERS)
    return CallingApp(url=url, title=next((title for title in titles if title), None))


def _read_url(text: str) -> str | None:
    """Return the address's origin; what follows it may name a person or a session, and is as many apps as one likes."""
    try:
        parts = urlsplit(text.strip())
        host = (parts.hostname or "").removesuffix(".")
    except ValueError:
        return None
    if parts.scheme not in ("http", "https") or not _HOST.fullmatch(host):
        return None
    url = f"https://{host}"
    return url if len(url) <= MAX_URL_LENGTH else None


def _read_title(text: str) -> str:
    """Return a title as it can be shown to anybody: one line of printable characters."""
    with contextlib.suppress(UnicodeError):
        # Header values come as Latin-1; nearly everybody sends UTF-8.
        text = text.encode("latin-1").decode()
    printable = "".join(character if character.isprintable() else " " for character in text)
    return " ".join(printable.split())[:MAX_TITLE_LENGTH].rstrip()
