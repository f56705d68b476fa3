"""What OpenRouter publishes of its own usage: the tokens of each day by model, of the fifty that were used most."""

import re
from datetime import date, datetime

import msgspec

from shared.providers.raw_json import MalformedAnswer, decode

# Behind the base URL, with two dates. Any of our keys may read it, 30 times a minute and 500 times a day.
# source: https://openrouter.ai/docs/api/api-reference/datasets/get-rankings-daily
RANKINGS_PATH = "/datasets/rankings-daily"
# Its licence, CC BY 4.0, asks for this line wherever the numbers are shown.
# source: https://openrouter.ai/docs/cookbook/administration/data-api
CITATION = "Source: OpenRouter (openrouter.ai/rankings), as of {as_of}. Licensed under CC BY 4.0."
# More than is used in a hundred days, and few enough that no sum overflows.
MAX_TOKENS = 10**15
_TOKENS = re.compile(r"\d{1,16}", re.ASCII)
_MODEL = re.compile(r"[!-~]{1,200}", re.ASCII)


class DailyTokens(msgspec.Struct, frozen=True):
    """The tokens of one model on one day (UTC); `other` stands for all models that are not told apart."""

    day: str
    model_id: str
    tokens: int


class RankingsReport(msgspec.Struct, frozen=True):
    """A window of days as it was told; skipped: rows that could not be read."""

    days: tuple[DailyTokens, ...]
    as_of: str
    skipped: int


class _Row(msgspec.Struct):
    date: str
    model_permaslug: str
    total_tokens: str


class _Meta(msgspec.Struct):
    as_of: str


class _Answer(msgspec.Struct):
    data: list[msgspec.Raw]
    meta: _Meta


_ANSWER = msgspec.json.Decoder(_Answer)
_ROW = msgspec.json.Decoder(_Row)


def read_rankings(body: bytes) -> RankingsReport:
    """Read an answer of the endpoint.

    raises  MalformedAnswer where it is none, or more rows of it than not cannot be read
    """
    answer = decode(_ANSWER, body)
    rows = {(row.day, row.model_id): row for row in map(_read_row, answer.data) if row is not None}
    skipped = len(answer.data) - len(rows)
    if skipped > len(rows):
        raise MalformedAnswer("rankings whose rows cannot be read")
    return RankingsReport(days=tuple(rows.values()), as_of=_read_moment(answer.meta.as_of), skipped=skipped)


def _read_row(raw: msgspec.Raw) -> DailyTokens | None:
    try:
        row = _ROW.decode(raw)
        day = date.fromisoformat(row.date).isoformat()
    except (msgspec.MsgspecError, ValueError):
        return None
    is_readable = _TOKENS.fullmatch(row.total_tokens) and _MODEL.fullmatch(row.model_permaslug)
    if not is_readable or int(row.total_tokens) > MAX_TOKENS:
        return None
    return DailyTokens(day=day, model_id=row.model_permaslug, tokens=int(row.total_tokens))


def _read_moment(text: str) -> str:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise MalformedAnswer("rankings of no moment") from error
    if moment.tzinfo is None:
        raise MalformedAnswer("rankings of a moment without its time zone")
    return moment.isoformat()
