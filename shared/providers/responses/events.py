"""The events of a response's stream, numbered and written as they happen."""

from shared.providers.responses.output import encode_json


class EventWriter:
    """Collects events until they are taken; a number is given once and never skipped."""

    __slots__ = ("_frames", "_next_number")

    def __init__(self) -> None:
        self._frames: list[bytes] = []
        self._next_number = 0

    def number(self) -> int:
        """Return the next sequence number, for an event that is written elsewhere."""
        number = self._next_number
        self._next_number += 1
        return number

    def write(self, event_type: str, **fields: object) -> None:
        """Add an event."""
        event = {"type": event_type, "sequence_number": self.number(), **fields}
        self._frames.append(event_head(event_type) + encode_json(event) + b"\n\n")

    def take(self) -> bytes:
        """Return what was written since the last time."""
        frames = b"".join(self._frames)
        self._frames.clear()
        return frames


def event_head(event_type: str) -> bytes:
    """Return what stands in front of an event's JSON: its name is its type's.

    source  https://www.openresponses.org/specification#http-responses
    """
    return b"event: %b\ndata: " % event_type.encode()
