"""How facts are said in an e-mail: money, numbers, times, and texts that somebody else wrote."""

import unicodedata
from datetime import UTC, datetime
from typing import Any

from shared.core.money import Nanos, format_dollars

MAX_TEXT_LENGTH = 300
# Line ends and other controls, what turns the direction of writing, and half characters.
_UNSAYABLE = frozenset({"Cc", "Zl", "Zp", "Cs"})
_DIRECTIONS = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)


def dollars(amount: Nanos) -> str:
    """Say an amount exactly, with two decimals or as many as it has: `$25.00`, `$0.0000125`."""
    whole, _, decimals = format_dollars(Nanos(abs(amount))).partition(".")
    return f"{'-' if amount < 0 else ''}${int(whole):,}.{decimals.rstrip('0').ljust(2, '0')}"


def cents(amount: int) -> str:
    """Say an amount of whole cents: `$25.00`."""
    whole, rest = divmod(abs(amount), 100)
    return f"{'-' if amount < 0 else ''}${whole:,}.{rest:02d}"


def count(number: int) -> str:
    """Say a number so that one can read it: `1,234,567`."""
    return f"{number:,}"


def moment(time: datetime) -> str:
    """Say a time to the minute, always in UTC: `23 November 2026, 14:05 UTC`."""
    in_utc = time.astimezone(UTC)
    return f"{in_utc.day} {_MONTHS[in_utc.month - 1]} {in_utc.year}, {in_utc:%H:%M} UTC"


def month(text: str) -> str:
    """Say `2026-11` as `November 2026`."""
    year, number = text.split("-")
    return f"{_MONTHS[int(number) - 1]} {year}"


def is_web_address(text: str | None) -> bool:
    """Whether a link may lead there."""
    return text is not None and text.startswith("https://")


def one_line(text: str) -> str:
    """Take from a text what would end a line or turn its direction, and what is too long for a mail."""
    said = "".join(
        " " if unicodedata.category(character) in _UNSAYABLE or character in _DIRECTIONS else character
        for character in text[: MAX_TEXT_LENGTH + 1]
    )
    return said if len(text) <= MAX_TEXT_LENGTH else f"{said[:MAX_TEXT_LENGTH]}…"


def sayable(value: Any) -> Any:
    """Have every text within a fact on one line."""
    if isinstance(value, str):
        return one_line(value)
    if isinstance(value, dict):
        return {name: sayable(part) for name, part in value.items()}
    if isinstance(value, list):
        return [sayable(part) for part in value]
    return value
