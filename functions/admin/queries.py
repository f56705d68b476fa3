"""What is asked of an admin's list by its query."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import get_args

from starlette.requests import Request

from functions.admin.resources import read_user_id
from shared.core.errors import InvalidRequest
from shared.core.ids import AccountId, ProviderSlug
from shared.flows.read_monitor import Window
from shared.operations.catalog_types import CatalogFilter
from shared.operations.refusals import DeadLetterNotFound
from shared.operations.state_types import Actor, AuditFilter, LetterFilter, LetterKind
from shared.operations.types import AccountStatus, Role, UserFilter

MAX_SEARCH_LENGTH = 200
MAX_WINDOW_DAYS = 31
WINDOWS = {
    "5m": timedelta(minutes=5),
    "15m": timedelta(minutes=15),
    "1h": timedelta(hours=1),
    "6h": timedelta(hours=6),
    "24h": timedelta(hours=24),
    "7d": timedelta(days=7),
}
DEFAULT_WINDOW = "1h"
STATUSES: tuple[AccountStatus, ...] = get_args(AccountStatus)
ROLES: tuple[Role, ...] = get_args(Role)
KINDS: tuple[LetterKind, ...] = get_args(LetterKind)
ACTORS: tuple[Actor, ...] = get_args(Actor)
_EVENT = re.compile(r"[a-z]+(_[a-z]+)+", re.ASCII)
_NUMBER = re.compile(r"[1-9]\d{0,17}", re.ASCII)
_SLUG = re.compile(r"[a-z0-9-]{1,40}", re.ASCII)
_PLAN = re.compile(r"[A-Za-z0-9_.-]{1,64}", re.ASCII)
_MOMENT = re.compile(r"\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?(Z|[+ -]\d{2}:\d{2})?)?", re.ASCII)


def read_user_filter(request: Request) -> UserFilter:
    """Read which accounts are meant: q, id, status, role, plan.

    raises  InvalidRequest naming the parameter; UserNotFound for what is no account's id
    """
    named = request.query_params.get("id")
    return UserFilter(
        search=_search(request),
        account_id=None if named is None else read_user_id(named),
        status=_one_of(request, "status", STATUSES),
        role=_one_of(request, "role", ROLES),
        plan_id=_matching(request, "plan", _PLAN, "the id of a plan"),
    )


def read_catalog_filter(request: Request) -> CatalogFilter:
    """Read which models are meant: q, provider, enabled, pending.

    raises  InvalidRequest naming the parameter
    """
    slug = _matching(request, "provider", _SLUG, "the slug of a provider")
    return CatalogFilter(
        search=_search(request),
        provider=None if slug is None else ProviderSlug(slug),
        is_enabled=_truth(request, "enabled"),
        is_pending=_truth(request, "pending"),
    )


def read_letter_filter(request: Request) -> LetterFilter:
    """Read which records are meant: kind, open; those that stand open where nothing is said.

    raises  InvalidRequest naming the parameter
    """
    is_open = _truth(request, "open") if "open" in request.query_params else True
    return LetterFilter(kind=_one_of(request, "kind", KINDS), is_open=is_open)


def read_audit_filter(request: Request) -> AuditFilter:
    """Read which lines are meant: user, actor, event, from, to.

    raises  InvalidRequest naming the parameter; UserNotFound for what is no account's id
    """
    start, end = _moments(request)
    return AuditFilter(
        account_id=read_account(request, "user"),
        actor=_one_of(request, "actor", ACTORS),
        event=_matching(request, "event", _EVENT, "an event such as key_created"),
        from_at=None if start is None else start.isoformat(),
        to_at=None if end is None else end.isoformat(),
    )


def read_window(request: Request, now: datetime) -> Window:
    """Read from when until when is meant: window, up to now; or from and to, at most 31 days apart.

    raises  InvalidRequest naming the parameter
    """
    name = _one_of(request, "window", tuple(WINDOWS))
    start, end = _moments(request)
    if name is not None and (start is not None or end is not None):
        raise InvalidRequest("window: either this, or from and to.", param="window")
    until = end or now
    since = start or until - WINDOWS[name or DEFAULT_WINDOW]
    if not timedelta(0) < until - since <= timedelta(days=MAX_WINDOW_DAYS):
        raise InvalidRequest(f"from: before `to`, by {MAX_WINDOW_DAYS} days at most.", param="from")
    return Window(since.isoformat(), until.isoformat())


def read_letter_id(text: str) -> int:
    """Read the id of a record that a path names.

    raises  DeadLetterNotFound for what can be none
    """
    if not _NUMBER.fullmatch(text):
        raise DeadLetterNotFound("There is no such record. GET /admin/dead-letters lists those there are.", param="id")
    return int(text)


def read_account(request: Request, name: str) -> AccountId | None:
    """Read whose is meant; None for everybody.

    raises  UserNotFound for what is no account's id
    """
    named = request.query_params.get(name)
    return None if named is None else read_user_id(named)


def _search(request: Request) -> str | None:
    text = request.query_params.get("q")
    if text is None:
        return None
    if not 0 < len(text) <= MAX_SEARCH_LENGTH or not text.isprintable():
        raise InvalidRequest(f"q: 1 to {MAX_SEARCH_LENGTH} characters that can be seen.", param="q")
    return text


def _one_of[Word: str](request: Request, name: str, words: Sequence[Word]) -> Word | None:
    text = request.query_params.get(name)
    if text is None:
        return None
    for word in words:
        if word == text:
            return word
    raise InvalidRequest(f"{name}: one of {', '.join(words)}.", param=name)


def _matching(request: Request, name: str, pattern: re.Pattern[str], what: str) -> str | None:
    text = request.query_params.get(name)
    if text is not None and not pattern.fullmatch(text):
        raise InvalidRequest(f"{name}: {what}.", param=name)
    return text


def _truth(request: Request, name: str) -> bool | None:
    text = request.query_params.get(name)
    if text not in {None, "true", "false"}:
        raise InvalidRequest(f"{name}: true or false.", param=name)
    return None if text is None else text == "true"


def _moments(request: Request) -> tuple[datetime | None, datetime | None]:
    start, end = _moment(request, "from"), _moment(request, "to")
    if start is not None and end is not None and start >= end:
        raise InvalidRequest("from: a moment before `to`.", param="from")
    return start, end


def _moment(request: Request, name: str) -> datetime | None:
    """Read a moment, or a day (UTC) for its first one. A `+` that was not escaped arrives as a space."""
    text = request.query_params.get(name)
    if text is None:
        return None
    if _MOMENT.fullmatch(text):
        try:
            moment = datetime.fromisoformat(text.replace(" ", "+"))
            moment = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
            # What is before it by a window has to be a moment, too.
            if moment.year > 1:
                return moment
        except (ValueError, OverflowError):
            pass
    raise InvalidRequest(f"{name}: a day or a moment, such as 2026-11-30 or 2026-11-30T08:00:00Z.", param=name)
