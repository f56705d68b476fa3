"""One JSON line per event on standard output; never a key, a prompt or an answer."""

import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Literal

from shared.core.ids import GenerationId, RequestId, format_generation_id
from shared.core.trace import trace_in_context

Level = Literal["info", "warning", "error"]
Field = str | int | float | bool | Mapping[str, object] | None

request_id_in_context: ContextVar[RequestId | None] = ContextVar("request_id", default=None)
# Known from admission on.
generation_in_context: ContextVar[GenerationId | None] = ContextVar("generation", default=None)


def log_event(event: str, *, level: Level = "info", **fields: Field) -> None:
    """Write one line: `event` is noun_verb, the other fields carry their units in their names.

    policy  never raises: a log that cannot be written must not fail the request
    """
    line = {"event": event, "level": level, **_context(), **fields}
    try:
        sys.stdout.write(json.dumps({name: value for name, value in line.items() if value is not None}) + "\n")
        sys.stdout.flush()
    except (OSError, ValueError):
        # ValueError: the stream is closed already.
        return


@contextmanager
def about_generation(generation_id: GenerationId) -> Iterator[None]:
    """Have every line that is written meanwhile name the generation."""
    token = generation_in_context.set(generation_id)
    try:
        yield
    finally:
        generation_in_context.reset(token)


def describe_bug(bug: BaseException) -> str:
    """Name a bug and the line that raised it, without its own words: those may quote a prompt or a key."""
    trace = bug.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = "an unknown place" if trace is None else f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}"
    return f"{type(bug).__name__} at {where}"


def _context() -> dict[str, Field]:
    trace, generation_id = trace_in_context.get(), generation_in_context.get()
    return {
        "request_id": request_id_in_context.get(),
        "generation_id": None if generation_id is None else format_generation_id(generation_id),
        "trace_id": None if trace is None else trace.trace_id,
    }
