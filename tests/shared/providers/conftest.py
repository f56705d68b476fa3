"""Every stream that a unit test writes is held against its grammar too, whatever the test looks at."""

from collections.abc import Callable, Iterator
from functools import wraps
from typing import Any

import pytest

from shared.providers.messages.stream import MessageStream
from shared.providers.priced import Priced
from shared.providers.responses.stream import ResponseStream
from tests.shared.providers.messages import grammar as messages_grammar
from tests.shared.providers.responses import grammar as responses_grammar

Check = Callable[..., None]
ENDINGS = ("complete", "incomplete", "fail")
WRITING = ("begin", "take", *ENDINGS)


class _Writings:
    """What each stream object has written so far, in the order of its outermost calls."""

    def __init__(self, check: Check) -> None:
        self._check = check
        self._written: dict[int, tuple[object, bytes]] = {}
        self._is_within_a_call = False

    def watch(self, name: str, write: Callable[..., bytes | Priced]) -> Callable[..., bytes | Priced]:
        """Return the method that also notes what it writes, and has a stream checked that it ends."""

        @wraps(write)
        def watched(stream: object, *arguments: Any, **named: Any) -> bytes | Priced:
            if self._is_within_a_call:
                return write(stream, *arguments, **named)
            self._is_within_a_call = True
            try:
                answer = write(stream, *arguments, **named)
            finally:
                self._is_within_a_call = False
            # A stream that has nothing of its request to repeat is listened to and never sent.
            if getattr(stream, "_echo", None) != {}:
                self._note(stream, answer, is_last=name in ENDINGS)
            return answer

        return watched

    def check_unfinished(self) -> None:
        """Check what never ended, as far as it came."""
        for _, data in self._written.values():
            self._check(data, is_whole=False)

    def _note(self, stream: object, answer: bytes | Priced, *, is_last: bool) -> None:
        more = answer.with_cost(None) if isinstance(answer, Priced) else answer
        # The object stays here, so that its number is not another's meanwhile.
        _, before = self._written.get(id(stream), (stream, b""))
        self._written[id(stream)] = (stream, before + more)
        if is_last and more:
            del self._written[id(stream)]
            self._check(before + more, is_whole=True)


@pytest.fixture(autouse=True)
def _written_streams_are_grammatical(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    all_writings = []
    for kind, check in (
        (MessageStream, messages_grammar.check_sent),
        (ResponseStream, responses_grammar.check_sent),
    ):
        writings = _Writings(check)
        all_writings.append(writings)
        for name in WRITING:
            monkeypatch.setattr(kind, name, writings.watch(name, getattr(kind, name)))
    yield
    for writings in all_writings:
        writings.check_unfinished()
