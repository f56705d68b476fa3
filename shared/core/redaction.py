"""Keys and tokens that came where none belongs, such as in a path: taken out of what is logged or answered."""

import re

# An API key, or a part of one; a JWT.
_SECRET = re.compile(r"(gw_[a-z]+_)[0-9A-Za-z]{8,}|(ey)J[\w-]{8,}\.[\w.-]*", re.ASCII)


def without_secrets(text: str) -> str:
    """Return the text with three dots in the place of each key or token."""
    return _SECRET.sub(lambda found: f"{found[1] or found[2]}…", text)
