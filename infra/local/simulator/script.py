"""What a request may ask of the simulator: one frozen record, read from the model name, the body and a header."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from enum import StrEnum

MODEL_PREFIX = "sim/"
# Words after `sim/` that name a model and set nothing.
PLAIN_NAMES = frozenset({"echo", "free"})
MAX_TOKENS = 200_000
# No wait outlives a test run; a hang without an end would keep a killed client's connection for ever.
MAX_WAIT_MS = 120_000
MAX_BYTES = 4_000_000


class ScriptError(ValueError):
    """The script names an unknown setting or a value that it cannot have."""


class UsageMode(StrEnum):
    """How the answer reports its usage; all but normal and in_last_chunk are faults seen at real providers."""

    NORMAL = "normal"
    MISSING = "missing"
    ZERO = "zero"
    NEGATIVE = "negative"
    HUGE = "huge"
    GARBAGE = "garbage"
    IN_LAST_CHUNK = "in_last_chunk"


class Hang(StrEnum):
    """Where the answer falls silent until the client leaves."""

    BEFORE_HEADERS = "before_headers"
    MID_STREAM = "mid_stream"


class Cut(StrEnum):
    """Where the answer ends too early; clean is a normal end of the body in the wrong place."""

    BEFORE_HEADERS = "before_headers"
    MID_STREAM = "mid_stream"
    CLEAN = "clean"


class ImageForm(StrEnum):
    """How an image comes; broken is base64 that is none, bad_url an address that nobody may be sent to."""

    BASE64 = "b64_json"
    URL = "url"
    NOTHING = "nothing"
    BROKEN = "broken"
    BAD_URL = "bad_url"


class VectorForm(StrEnum):
    """How embeddings come; other is in the encoding that was not asked for, reversed and unnumbered are no faults.

    whole: as long as the model makes them, whatever was asked
    """

    AS_ASKED = "as_asked"
    OTHER = "other"
    WHOLE = "whole"
    REVERSED = "reversed"
    UNNUMBERED = "unnumbered"
    SAME_INDEX = "same_index"
    TOO_FEW = "too_few"
    RAGGED = "ragged"
    EMPTY = "empty"
    NAN = "nan"
    INFINITE = "infinite"


class OnCancel(StrEnum):
    """What the provider does when its client leaves: stop and bill what was said, or say and bill all of it."""

    STOP = "stop"
    FINISH = "finish"


@dataclass(frozen=True, slots=True)
class Script:
    """One scripted answer; the defaults are a healthy provider that says eight words at once.

    record_after_ms: for so long after its end the record of a generation cannot be asked for
    images: how many come, None for as many as are asked for; image_form: how the first of them come, image_forms many,
    None for all of them

    units   *_ms milliseconds; tokens per choice, `at` over all choices; split and event_bytes in bytes; retry_after in
            seconds; cost in US dollars; None where the simulator computes the value
    """

    tokens: int = 8
    pace_ms: int = 0
    first_byte_ms: int = 0
    headers_then_wait_ms: int = 0
    prompt_tokens: int | None = None
    cached_tokens: int = 0
    reasoning_tokens: int = 0
    usage: UsageMode = UsageMode.NORMAL
    cost: Decimal | None = None
    tool_calls: int = 0
    json: bool = False
    status: int | None = None
    retry_after: int | None = None
    fail_times: int | None = None
    key: str = ""
    hang: Hang | None = None
    cut: Cut | None = None
    at: int = 2
    no_done: bool = False
    error_event: bool = False
    garbage: bool = False
    comments: int = 0
    crlf: bool = False
    split: int = 0
    wide: bool = False
    multiline: bool = False
    event_bytes: int = 0
    gate: str = ""
    record_after_ms: int = 0
    images: int | None = None
    image_form: ImageForm = ImageForm.BASE64
    image_forms: int | None = None
    image_bytes: int = 64
    vectors: VectorForm = VectorForm.AS_ASKED
    on_cancel: OnCancel = OnCancel.STOP

    @property
    def has_mid_stream_fault(self) -> bool:
        """Whether the answer stops being healthy after `at` tokens."""
        return (
            self.garbage or self.error_event or self.hang is Hang.MID_STREAM or self.cut in {Cut.MID_STREAM, Cut.CLEAN}
        )

    @property
    def is_finished_unheard(self) -> bool:
        """Whether the answer is generated and billed to its end although the client has left."""
        is_healthy = self.status is None and self.hang is None and self.cut is None and not self.has_mid_stream_fault
        return self.on_cancel is OnCancel.FINISH and is_healthy

    @property
    def is_plain(self) -> bool:
        """Whether every event is written as it is, whole and on one line."""
        return not (self.crlf or self.split or self.multiline or self.event_bytes)


DEFAULT_SCRIPT = Script()


def read_settings(model: str, body_field: object, header: str) -> dict[str, str]:
    """Merge the three places a script may stand in; the header wins over the body, the body over the model name.

    raises  ScriptError
    """
    settings: dict[str, str] = {}
    if model.startswith(MODEL_PREFIX):
        settings.update(_split_settings(model.removeprefix(MODEL_PREFIX)))
    if body_field is not None:
        if not isinstance(body_field, Mapping):
            raise ScriptError("`simulate` must be an object of settings")
        settings.update({str(name): _as_text(value) for name, value in body_field.items()})
    if header:
        settings.update(_split_settings(header))
    return settings


def parse_script(settings: Mapping[str, str]) -> Script:
    """Turn settings into a script.

    raises  ScriptError, naming the setting
    """
    if not settings:
        return DEFAULT_SCRIPT
    values: dict[str, object] = {}
    for name, text in settings.items():
        parse = _PARSERS.get(name)
        if parse is None:
            raise ScriptError(f"unknown setting {name!r}; known: {', '.join(sorted(_PARSERS))}")
        try:
            values[name] = parse(text)
        except (ValueError, InvalidOperation) as error:
            raise ScriptError(f"setting {name!r} cannot be {text!r}: {error}") from error
    # The parsers' table pairs every name with its type, which the type checker cannot see.
    return Script(**values)  # type: ignore[arg-type]


def _split_settings(text: str) -> dict[str, str]:
    settings: dict[str, str] = {}
    for part in text.split(","):
        name, equals, value = part.strip().partition("=")
        if not name or (not equals and name in PLAIN_NAMES):
            continue
        settings[name.strip()] = value.strip() if equals else "1"
    return settings


def _as_text(value: object) -> str:
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, str | int | float):
        return str(value)
    raise ScriptError(f"a setting is a string, a number or a boolean, not {type(value).__name__}")


def _whole(minimum: int, maximum: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        number = int(text)
        if not minimum <= number <= maximum:
            raise ValueError(f"must be {minimum} to {maximum}")
        return number

    return parse


def _flag(text: str) -> bool:
    if text not in {"0", "1"}:
        raise ValueError("must be 0 or 1")
    return text == "1"


def _dollars(text: str) -> Decimal:
    amount = Decimal(text)
    if not amount.is_finite():
        raise ValueError("must be a finite number")
    return amount


_PARSERS: Mapping[str, Callable[[str], object]] = {
    "tokens": _whole(0, MAX_TOKENS),
    "pace_ms": _whole(0, MAX_WAIT_MS),
    "first_byte_ms": _whole(0, MAX_WAIT_MS),
    "headers_then_wait_ms": _whole(0, MAX_WAIT_MS),
    "prompt_tokens": _whole(0, 10**9),
    "cached_tokens": _whole(0, 10**9),
    "reasoning_tokens": _whole(0, 10**9),
    "usage": UsageMode,
    "cost": _dollars,
    "tool_calls": _whole(0, 128),
    "json": _flag,
    "status": _whole(400, 599),
    "retry_after": _whole(0, 86_400),
    "fail_times": _whole(0, 1_000_000),
    "key": str,
    "hang": Hang,
    "cut": Cut,
    "at": _whole(0, MAX_TOKENS),
    "no_done": _flag,
    "error_event": _flag,
    "garbage": _flag,
    "comments": _whole(0, 10_000),
    "crlf": _flag,
    "split": _whole(0, MAX_BYTES),
    "wide": _flag,
    "multiline": _flag,
    "event_bytes": _whole(0, MAX_BYTES),
    "gate": str,
    "record_after_ms": _whole(0, MAX_WAIT_MS),
    "images": _whole(0, 100),
    "image_form": ImageForm,
    "image_forms": _whole(0, 100),
    "image_bytes": _whole(1, 64_000_000),
    "vectors": VectorForm,
    "on_cancel": OnCancel,
}
