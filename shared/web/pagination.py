"""Lists a page at a time: `?limit=1..100&after=<cursor>`."""

import base64
import binascii
import re
from collections.abc import Sequence
from typing import Any

import msgspec
from starlette.requests import Request

from shared.core.errors import InvalidRequest

DEFAULT_LIMIT = 20
MAX_LIMIT = 100
_LARGEST_ID = 2**63 - 1
_LIMIT = re.compile(r"\d{1,5}", re.ASCII)
_ID = re.compile(r"\d{1,19}", re.ASCII)
# What a cursor says: printable, and no longer than any place in a list takes to name; the longest are ids of models.
_PLACE = re.compile(r"[ -~]{1,200}", re.ASCII)
_CURSOR = re.compile(r"[A-Za-z0-9_-]{2,267}", re.ASCII)


class Page(msgspec.Struct, frozen=True):
    """Which part of a list is asked for: so many items after a place in it, from the start where that is None."""

    limit: int
    after: str | None

    @property
    def after_id(self) -> int | None:
        """The place, in a list whose places are ids.

        raises  InvalidRequest
        """
        if self.after is None:
            return None
        if not _ID.fullmatch(self.after) or int(self.after) > _LARGEST_ID:
            raise _invalid_cursor()
        return int(self.after)


def read_page(request: Request, *, most: int = MAX_LIMIT, default: int = DEFAULT_LIMIT) -> Page:
    """Read which part of a list is asked for; most: how many items at once, default: how many where none is said.

    raises  InvalidRequest
    """
    limit, after = request.query_params.get("limit"), request.query_params.get("after")
    if limit is not None and (not _LIMIT.fullmatch(limit) or not 1 <= int(limit) <= most):
        raise InvalidRequest(f"limit: a whole number from 1 to {most}.", param="limit")
    return Page(
        limit=default if limit is None else int(limit),
        after=None if after is None else _read_cursor(after),
    )


def write_cursor(place: int | str) -> str:
    """Return the cursor of a place in a list: what its next page comes after.

    raises  ValueError for a place that could not be read again
    """
    text = str(place)
    if not _PLACE.fullmatch(text):
        raise ValueError("a place in a list is named by 1 to 200 printable ASCII characters")
    return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


def list_answer(items: Sequence[Any], next_cursor: str | None) -> dict[str, Any]:
    """Return a page as lists are answered; next_cursor is None where nothing comes after it."""
    return {"object": "list", "data": list(items), "has_more": next_cursor is not None, "next": next_cursor}


def _read_cursor(cursor: str) -> str:
    if not _CURSOR.fullmatch(cursor):
        raise _invalid_cursor()
    try:
        place = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode("ascii")
    except (binascii.Error, UnicodeDecodeError):
        raise _invalid_cursor() from None
    if not _PLACE.fullmatch(place):
        raise _invalid_cursor()
    return place


def _invalid_cursor() -> InvalidRequest:
    return InvalidRequest("after: take it from `next` of the page before, as it stands there.", param="after")
