"""A ranking as the database tells it; the shapes of the SQL functions' JSON."""

from typing import Literal, get_args

import msgspec

Subject = Literal["models", "apps"]
Period = Literal["day", "week", "month"]
SUBJECTS: tuple[Subject, ...] = get_args(Subject)
PERIODS: tuple[Period, ...] = get_args(Period)
# Whose usage is counted: this gateway's, or what OpenRouter publishes of its own.
Source = Literal["gateway", "openrouter"]
TrendDirection = Literal["up", "down", "flat", "new"]


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """One place of a ranking.

    name: a model's id or an app's address; requests: None where the source does not tell; share: of all tokens of the
    period, from 0 to 1; trend_percent: the tokens against as long a time before, None where there were none
    """

    rank: int
    name: str
    title: str | None
    tokens: int
    requests: int | None
    share: float
    trend_percent: float | None
    trend_direction: TrendDirection


class Ranking(msgspec.Struct, frozen=True, kw_only=True):
    """Some places of a ranking; updated_at: until when its numbers go, None while it has no place."""

    updated_at: str | None
    total: int
    places: tuple[Place, ...]


class HoursSummed(msgspec.Struct, frozen=True):
    """How many hours were summed; is_behind: there are more."""

    hours: int
    is_behind: bool


class Counted(msgspec.Struct, frozen=True):
    """How many were ranked, or taken over."""

    count: int
