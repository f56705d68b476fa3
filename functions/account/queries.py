"""What is asked of a list by its query: which lines, and from when until when."""

import re
import uuid
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta

from starlette.requests import Request

from shared.core.errors import InvalidRequest
from shared.core.ids import parse_key_id
from shared.usage.types import (
    OUTCOMES,
    TRANSACTION_KINDS,
    ActivityFilter,
    Days,
    TransactionFilter,
)
from shared.web.pagination import Page

MAX_DAYS = 366
DEFAULT_DAYS = 30
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_MOMENT = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?(Z|[+ -]\d{2}:\d{2})?", re.ASCII)
_MODEL = re.compile(r"[!-~]{1,200}")
_PROVIDER = re.compile(r"[a-z0-9-]{1,40}")


def read_transaction_filter(request: Request, page: Page) -> TransactionFilter:
    """Read which ledger lines are meant: kind (several, with commas), from, to.

    raises  InvalidRequest naming the parameter
    """
    from_at, to_at = _window(request)
    text = request.query_params.get("kind")
    kinds = (
        None if text is None else tuple(_one_of(request, "kind", TRANSACTION_KINDS, kind) for kind in text.split(","))
    )
    return TransactionFilter(kinds=kinds, from_at=from_at, to_at=to_at, before=page.after_id)


def read_activity_filter(request: Request, page: Page) -> ActivityFilter:
    """Read which requests are meant: model, provider, key, status, from, to.

    raises  InvalidRequest naming the parameter
    """
    from_at, to_at = _window(request)
    status = request.query_params.get("status")
    before_at, before_id = _read_place(page.after)
    return ActivityFilter(
        model_id=_matching(request, "model", _MODEL, "the id of a model"),
        provider=_matching(request, "provider", _PROVIDER, "the slug of a provider"),
        key_id=_key_id(request),
        outcome=None if status is None else _one_of(request, "status", OUTCOMES, status),
        from_at=from_at,
        to_at=to_at,
        before_at=before_at,
        before_id=before_id,
    )


def read_days(request: Request, today: date) -> Days:
    """Read which days are to be summed: from and to, both included; the last thirty where nothing is said.

    raises  InvalidRequest naming the parameter
    """
    last = _day(request, "to") or today
    if last.year < 2:
        raise InvalidRequest("to: a day of our time.", param="to")
    first = _day(request, "from") or last - timedelta(days=DEFAULT_DAYS - 1)
    if not timedelta(0) <= last - first < timedelta(days=MAX_DAYS):
        raise InvalidRequest(f"from: a day before `to`, and at most {MAX_DAYS} days in all.", param="from")
    return Days(first=first, last=last)


def _one_of[Word: str](request: Request, name: str, words: Sequence[Word], text: str) -> Word:
    for word in words:
        if word == text:
            return word
    raise InvalidRequest(f"{name}: one of {', '.join(words)}.", param=name)


def _matching(request: Request, name: str, pattern: re.Pattern[str], what: str) -> str | None:
    text = request.query_params.get(name)
    if text is not None and not pattern.fullmatch(text):
        raise InvalidRequest(f"{name}: {what}.", param=name)
    return text


def _key_id(request: Request) -> int | None:
    text = request.query_params.get("key")
    key_id = None if text is None else parse_key_id(text)
    if text is not None and key_id is None:
        raise InvalidRequest("key: the id of a key, as GET /user/api-keys shows it.", param="key")
    return key_id


def _window(request: Request) -> tuple[datetime | None, datetime | None]:
    from_at, to_at = _moment(request, "from"), _moment(request, "to")
    if from_at is not None and to_at is not None and from_at >= to_at:
        raise InvalidRequest("from: a moment before `to`.", param="from")
    return from_at, to_at


def _moment(request: Request, name: str) -> datetime | None:
    """Read a moment, or a day (UTC) for its first one. A `+` that was not escaped arrives as a space."""
    text = request.query_params.get(name)
    if text is None:
        return None
    if _DAY.fullmatch(text) or _MOMENT.fullmatch(text):
        try:
            moment = datetime.fromisoformat(text.replace(" ", "+"))
            return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
        except (ValueError, OverflowError):
            pass
    raise InvalidRequest(f"{name}: a day or a moment, such as 2026-11-30 or 2026-11-30T08:00:00Z.", param=name)


def _day(request: Request, name: str) -> date | None:
    text = request.query_params.get(name)
    if text is None:
        return None
    if _DAY.fullmatch(text):
        try:
            day = date.fromisoformat(text)
        except ValueError:
            day = date.max
        # The day after it has to be one, too.
        if day < date.max:
            return day
    raise InvalidRequest(f"{name}: a day, such as 2026-11-30.", param=name)


def _read_place(text: str | None) -> tuple[str | None, uuid.UUID | None]:
    """Read where a page of requests ended: the moment and the id of its last line.

    raises  InvalidRequest
    """
    if text is None:
        return None, None
    moment, _, generation_id = text.partition(" ")
    try:
        return datetime.fromisoformat(moment).astimezone(UTC).isoformat(), uuid.UUID(generation_id)
    except (ValueError, OverflowError):
        raise InvalidRequest(
            "after: take it from `next` of the page before, as it stands there.", param="after"
        ) from None
