import io
import json

import pytest

from shared.core.ids import RequestId
from shared.core.log import log_event, request_id_in_context


def test_an_event_is_one_line_of_json(capsys: pytest.CaptureFixture[str]) -> None:
    log_event("hold_expired", level="warning", amount_nanos=5, note="two\nlines", nothing=None)
    written = capsys.readouterr().out
    assert written.count("\n") == 1
    assert json.loads(written) == {
        "event": "hold_expired",
        "level": "warning",
        "amount_nanos": 5,
        "note": "two\nlines",
    }


def test_an_event_carries_the_request_it_belongs_to(capsys: pytest.CaptureFixture[str]) -> None:
    token = request_id_in_context.set(RequestId("req_1"))
    try:
        log_event("request_ended")
    finally:
        request_id_in_context.reset(token)
    assert json.loads(capsys.readouterr().out)["request_id"] == "req_1"


class _BrokenPipe(io.StringIO):
    def write(self, _: str) -> int:
        raise BrokenPipeError


def _closed() -> io.StringIO:
    stream = io.StringIO()
    stream.close()
    return stream


@pytest.mark.parametrize("stream", [_BrokenPipe(), _closed()])
def test_a_log_that_cannot_be_written_fails_nothing(monkeypatch: pytest.MonkeyPatch, stream: io.StringIO) -> None:
    monkeypatch.setattr("sys.stdout", stream)
    log_event("request_ended")
