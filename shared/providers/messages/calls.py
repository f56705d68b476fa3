"""Tool calls as they arrive: which piece belongs to which call, and when the arguments of one are whole."""

import json
import re
from collections.abc import Iterator

from shared.providers.messages.pieces import ToolPiece

# How Anthropic says to carry arguments that are no JSON object.
# source  https://platform.claude.com/docs/en/agents-and-tools/tool-use/fine-grained-tool-streaming
INVALID_KEY = "INVALID_JSON"

_MARK = re.compile(r'["\\{}\[\]]')


class ObjectEnd:
    """Finds where a JSON object that comes in pieces ends; each character is looked at once."""

    __slots__ = ("_depth", "_is_escaped", "_is_in_text", "is_complete")

    def __init__(self) -> None:
        self.is_complete = False
        self._depth = 0
        self._is_in_text = False
        self._is_escaped = False

    def take(self, piece: str) -> str:
        """Return as much of the piece as belongs to the object."""
        start = 0
        if self._is_escaped and piece:
            self._is_escaped, start = False, 1
        while not self.is_complete and (mark := _MARK.search(piece, start)) is not None:
            start = mark.end()
            if mark[0] == "\\":
                self._is_escaped = self._is_in_text and start == len(piece)
                start += self._is_in_text
            elif mark[0] == '"':
                self._is_in_text = not self._is_in_text
            elif not self._is_in_text:
                self._depth += 1 if mark[0] in "{[" else -1
                self.is_complete = self._depth <= 0
        return piece[:start] if self.is_complete else piece


class Call:
    """One call, as far as it has come. is_closed: it was shown to its end; is_waiting: it is to be shown later."""

    def __init__(self) -> None:
        self.id = ""
        self.name = ""
        self.is_closed = False
        self.is_waiting = False
        self._arguments = ""
        self._is_object = False
        self._end = ObjectEnd()

    @property
    def is_complete(self) -> bool:
        """Whether its arguments are a whole object."""
        return self._end.is_complete

    @property
    def is_under_way(self) -> bool:
        """Whether a part of its arguments is there and the rest is not."""
        return self._is_object and not self._end.is_complete

    @property
    def is_ready(self) -> bool:
        """Whether it can be shown: it has a name, and no id is to be waited for any more."""
        return bool(self.name and (self.id or self._arguments))

    def add(self, piece: ToolPiece) -> None:
        """Take a piece; the first id and name count, and what follows a whole object is not looked at."""
        self.id = self.id or piece.id
        self.name = self.name or piece.name
        if self._is_object:
            self._arguments += self._end.take(piece.arguments)
            return
        self._arguments += piece.arguments
        begun = self._arguments.lstrip()
        if begun.startswith("{"):
            self._is_object = True
            self._arguments = self._end.take(begun)

    def take_arguments(self) -> str:
        """Return what may be shown; arguments that do not begin as an object wait for their end."""
        if not self._is_object:
            return ""
        shown, self._arguments = self._arguments, ""
        return shown

    def close(self) -> str:
        """Return what is left to show, now that nothing follows."""
        self.is_closed = True
        if self._is_object:
            return self.take_arguments()
        left = self._arguments.strip()
        return "" if left in {"", "null"} else json.dumps({INVALID_KEY: self._arguments}, separators=(",", ":"))


class Calls:
    """All calls of an answer, in the order in which they began."""

    def __init__(self) -> None:
        self._by_index: dict[int, Call] = {}
        self._latest = 0
        self._all: list[Call] = []

    def __iter__(self) -> Iterator[Call]:
        return iter(self._all)

    def add(self, piece: ToolPiece) -> Call:
        """Return the call that the piece belongs to, with the piece in it.

        policy  Gemini's endpoint names no index, and others name 0 for every call: a piece with a name begins another
                call when its id is another one, or when the call before it is whole; vLLM gives the last piece of a
                call another id and its name once more
        source  github.com/InternLM/lmdeploy/issues/3412, github.com/vllm-project/vllm/issues/44098
        """
        index = self._latest if piece.number is None else piece.number
        call = self._by_index.get(index)
        if call is None or _begins_another(call, piece):
            call = self._by_index[index] = Call()
            self._all.append(call)
        self._latest = index
        call.add(piece)
        return call


def _begins_another(call: Call, piece: ToolPiece) -> bool:
    if not piece.name:
        return False
    if piece.id and call.id:
        return piece.id != call.id and not (call.is_under_way and piece.name == call.name)
    return call.is_complete and piece.arguments.lstrip().startswith("{")
