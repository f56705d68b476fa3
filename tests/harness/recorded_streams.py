"""Every stream that the tests' gateways send, whoever reads it, held against its dialect's grammar."""

import json
import sys
from dataclasses import dataclass, replace
from pathlib import Path

from infra.local.processes import Processes, Service
from tests.harness import recording_server
from tests.shared.providers import chat_grammar
from tests.shared.providers.messages import grammar as messages_grammar
from tests.shared.providers.responses import grammar as responses_grammar

ENDING = ".streams"
PLAIN_SERVER = (sys.executable, "-m", "infra.server")
RECORDING_SERVER = (sys.executable, "-m", recording_server.__name__)
SHOWN_BYTES = 2_000
# What a checker says of a stream, and what it trips over in one that is of no shape that it knows.
FAULTS = (AssertionError, AttributeError, LookupError, TypeError, ValueError)


class BrokenStream(AssertionError):
    """A stream is not what its dialect's clients are promised."""


@dataclass(slots=True)
class RecordedStream:
    """What has left so far, and within which test it began."""

    path: str
    begun_in: str
    data: bytes = b""


class RecordedStreams:
    """The streams of all gateways whose logs are in one folder, each checked once, when it has ended.

    checked: how many of each path
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._read_bytes: dict[Path, int] = {}
        self._open: dict[str, RecordedStream] = {}
        self._faults: list[str] = []
        self.checked: dict[str, int] = {}

    def check(self, test: str = "") -> None:
        """Check the streams that have ended since the last time; test: the one that ends now.

        raises  BrokenStream, once for all that are broken
        """
        self._read_new(test)
        self._raise_faults()

    def check_unfinished(self) -> None:
        """Check the streams whose client or gateway has left, as far as they came.

        raises  BrokenStream
        """
        self._read_new("")
        while self._open:
            _, stream = self._open.popitem()
            self._hold_against_grammar(stream, is_whole=False)
        self._raise_faults()

    def _read_new(self, test: str) -> None:
        for path in sorted(self._folder.glob(f"*{ENDING}")):
            for line in self._new_lines(path):
                self._take(json.loads(line), test)

    def _raise_faults(self) -> None:
        faults, self._faults = self._faults, []
        if faults:
            raise BrokenStream("\n\n".join(faults))

    def _new_lines(self, path: Path) -> list[bytes]:
        """Return what was written since the last time; of a killed gateway's last line there may be a part."""
        begin = self._read_bytes.get(path, 0)
        if path.stat().st_size == begin:
            return []
        with path.open("rb") as file:
            file.seek(begin)
            lines = file.read().split(b"\n")
        self._read_bytes[path] = begin + sum(len(line) + 1 for line in lines[:-1])
        return lines[:-1]

    def _take(self, line: dict[str, str], test: str) -> None:
        stream = self._open.setdefault(line["stream"], RecordedStream(line["path"], test))
        stream.data += line["data"].encode("latin-1")
        if line["is_last"]:
            del self._open[line["stream"]]
            self._hold_against_grammar(stream, is_whole=True)

    def _hold_against_grammar(self, stream: RecordedStream, *, is_whole: bool) -> None:
        self.checked[stream.path] = self.checked.get(stream.path, 0) + 1
        try:
            check_stream(stream.path, stream.data, is_whole=is_whole)
        except FAULTS as fault:
            shown = stream.data[-SHOWN_BYTES:].decode(errors="replace")
            self._faults.append(f"{stream.path}, begun in {stream.begun_in}: {fault!r}; the stream ends:\n{shown}")


def check_stream(path: str, data: bytes, *, is_whole: bool) -> None:
    """Check one stream of the path; is_whole: it was sent to its end, which may be an error."""
    if path == "/v1/responses":
        responses_grammar.check_sent(data, is_whole=is_whole)
    elif path == "/v1/messages":
        messages_grammar.check_sent(data, is_whole=is_whole)
    elif path == "/v1/chat/completions":
        chat_grammar.check_sent(data, is_whole=is_whole)
    else:
        raise BrokenStream(f"no grammar is known for {path}: add it here")


def with_recorder(service: Service, processes: Processes) -> Service:
    """Return a gateway's service as one whose streams are written down."""
    assert service.command[: len(PLAIN_SERVER)] == PLAIN_SERVER
    path = processes.log_path(service.name).with_suffix(ENDING)
    return replace(
        service,
        command=(*RECORDING_SERVER, *service.command[len(PLAIN_SERVER) :]),
        environment={**service.environment, recording_server.FILE_VARIABLE: str(path)},
    )
