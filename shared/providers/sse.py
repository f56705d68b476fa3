"""Server-sent events: a provider's byte stream cut into events that can be forwarded as they came."""

from typing import NamedTuple

from shared.providers.raw_json import MalformedAnswer

MAX_EVENT_BYTES = 1 << 20

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class EventTooLarge(MalformedAnswer):
    """The provider sent more than MAX_EVENT_BYTES without ending the event."""


class Event(NamedTuple):
    """One event. raw: its `event:` and `data:` lines and its blank line as they came; data: its payload.

    A tuple rather than a dataclass: one is made per event of every stream, at a third of the price.
    """

    raw: bytes
    data: bytes
    name: str = ""


class Ending(NamedTuple):
    """What the end of the stream reveals: events that were only waiting for it, and one whose blank line never came."""

    events: list[Event]
    unfinished: Event | None


class EventParser:
    """Cuts bytes into events, however they were split on the way.

    Comments, `id:`, `retry:`, unknown fields and events without a payload are consumed: each of them crashes an
    official SDK or means nothing to it. A CR at the end of a read waits for the next byte, which may be its LF.

    source  https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream
    """

    __slots__ = ("_held", "_held_bytes", "_is_begun")

    def __init__(self) -> None:
        self._held: list[bytes] = []
        self._held_bytes = 0
        self._is_begun = False

    def feed(self, data: bytes) -> list[Event]:
        """Return the events that data completes.

        raises  EventTooLarge; the parser is of no use afterwards
        """
        if not self._is_begun:
            data = self._skip_byte_order_mark(data)
        is_cr_held = bool(self._held) and self._held[-1].endswith(b"\r")
        if b"\n" not in data and b"\r" not in data and not is_cr_held:
            # Part of one long line: looked at once, when its end is there.
            self._hold(data)
            return []
        data = self._with_held(data)
        text, last_cr = (data[:-1], b"\r") if data.endswith(b"\r") else (data, b"")
        events, consumed = _read_lines(text)
        self._hold(text[consumed:] + last_cr)
        return events

    def finish(self) -> Ending:
        """Return what was still held at the end of the stream.

        raises  EventTooLarge
        policy  the standard discards an unfinished event, but some servers end with `data: [DONE]` and no blank line,
                so it is returned apart, raw as it came, for the caller to judge
        """
        rest = self._with_held(b"")
        events, consumed = _read_lines(rest)
        pending, _ = _read_lines(rest[consumed:] + b"\n\n")
        if not pending:
            return Ending(events, None)
        return Ending(events, pending[0]._replace(raw=rest[consumed:]))

    def _skip_byte_order_mark(self, data: bytes) -> bytes:
        data = self._with_held(data)
        if len(data) < len(_BYTE_ORDER_MARK) and _BYTE_ORDER_MARK.startswith(data):
            self._hold(data)
            return b""
        self._is_begun = True
        return data.removeprefix(_BYTE_ORDER_MARK)

    def _with_held(self, data: bytes) -> bytes:
        if not self._held:
            return data
        self._held.append(data)
        data = b"".join(self._held)
        self._held.clear()
        self._held_bytes = 0
        return data

    def _hold(self, data: bytes) -> None:
        if not data:
            return
        self._held.append(data)
        self._held_bytes += len(data)
        if self._held_bytes > MAX_EVENT_BYTES:
            raise EventTooLarge(f"an event of more than {MAX_EVENT_BYTES} bytes")


def _read_lines(text: bytes) -> tuple[list[Event], int]:
    """Return the complete events of text, whatever ends its lines, and how many bytes they took."""
    events: list[Event] = []
    raw: list[bytes] = []
    payload: list[bytes] = []
    name = ""
    offset = consumed = 0
    for line in text.splitlines(keepends=True):
        offset += len(line)
        content = line.rstrip(b"\r\n")
        if len(content) == len(line):
            break
        if content:
            field, _, value = content.partition(b":")
            if field == b"data":
                payload.append(value.removeprefix(b" "))
                raw.append(line)
            elif field == b"event":
                name = value.removeprefix(b" ").decode(errors="replace")
                raw.append(line)
            continue
        if offset - consumed > MAX_EVENT_BYTES:
            raise EventTooLarge(f"an event of more than {MAX_EVENT_BYTES} bytes")
        data = b"\n".join(payload)
        if data.strip():
            # Where the line between was dropped, CR and LF would become one ending and no blank line.
            blank = b"\r" if line == b"\n" and raw[-1].endswith(b"\r") else line
            events.append(Event(b"".join(raw) + blank, data, name))
        raw, payload, name, consumed = [], [], "", offset
    return events, consumed
