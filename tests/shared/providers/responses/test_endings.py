"""How a response ends: by the first reason that is told, and nothing takes back that it was cut."""

import json
from typing import Any

import pytest

from shared.core.errors import GatewayError
from shared.providers.failures import ProviderOverloaded, ProviderRateLimited
from shared.providers.responses.stream import ResponseStream
from tests.shared.providers.responses.grammar import check_stream, follow, read_events
from tests.shared.providers.responses.support import (
    COST,
    ECHO,
    NOW,
    OPENING,
    USAGE,
    begun,
    chunk,
    piece,
    stream_of,
    types_of,
)

OVERLOADED = ProviderOverloaded("The model's providers are overloaded. Retry shortly.")
CALL = piece(0, call_id="c", name="f", text="{}")


@pytest.mark.parametrize(
    ("chunks", "status"),
    [
        ([chunk("length"), chunk("stop", content="")], "incomplete"),
        ([chunk("length"), chunk("stop")], "incomplete"),
        ([chunk("stop"), chunk("length")], "completed"),
        ([chunk(content="a"), chunk("length"), chunk("stop")], "incomplete"),
        ([chunk(tool_calls=[CALL]), chunk("content_filter"), chunk("stop", content="")], "incomplete"),
        # It went on: what was shown as cut stays so.
        ([chunk("length", content="a"), chunk(content="b"), chunk("stop")], "incomplete"),
        ([chunk("stop", content="a"), chunk(content="b"), chunk("length")], "incomplete"),
    ],
)
def test_a_reason_that_is_told_again_changes_nothing(chunks: list[dict[str, Any]], status: str) -> None:
    assert check_stream(stream_of(chunks))["status"] == status


class TestEndings:
    @pytest.mark.parametrize(
        ("finish_reason", "reason"),
        [
            ("length", "max_output_tokens"),
            ("max_tokens", "max_output_tokens"),
            ("content_filter", "content_filter"),
            ("SAFETY", "content_filter"),
        ],
    )
    def test_an_answer_that_was_cut_is_incomplete_with_usage(self, finish_reason: str, reason: str) -> None:
        response = check_stream(stream_of([chunk(reasoning="x"), chunk(content="a"), chunk(finish_reason)]))
        assert (response["status"], response["incomplete_details"]) == ("incomplete", {"reason": reason})
        assert [item["status"] for item in response["output"]] == ["completed", "incomplete"]
        assert response["usage"]["total_tokens"] == 35

    @pytest.mark.parametrize("finish_reason", ["stop", "tool_calls", "end_turn", "eos", "whatever", None])
    def test_any_other_end_is_complete(self, finish_reason: str | None) -> None:
        response = check_stream(stream_of([chunk(content="a"), chunk(finish_reason)]))
        assert (response["status"], response["completed_at"]) == ("completed", NOW)

    def test_a_cut_within_calls_is_in_the_last_of_them(self) -> None:
        calls = [piece(0, call_id="a", name="f", text="{}"), piece(1, call_id="b", name="g", text="{")]
        response = check_stream(stream_of([chunk(tool_calls=calls), chunk("length")]))
        assert [item["status"] for item in response["output"]] == ["completed", "incomplete"]

    def test_a_finish_that_is_said_again_otherwise_changes_nothing(self) -> None:
        response = check_stream(stream_of([chunk(content="a"), chunk("length"), chunk("stop", content="")]))
        assert response["status"] == "incomplete"

    def test_the_caller_may_end_an_answer_as_incomplete(self) -> None:
        stream, sent = begun([chunk(content="a")])
        response = check_stream(sent + stream.incomplete("max_output_tokens", USAGE).with_cost(COST))
        assert response["output"][0]["status"] == "incomplete"

    def test_nothing_comes_after_an_end(self) -> None:
        stream, _ = begun([chunk(content="a")])
        stream.complete(USAGE, now=NOW)
        assert stream.take(chunk(content="b")) == b""
        assert stream.begin() == b""
        assert stream.complete(USAGE, now=NOW).with_cost(COST) == b""
        assert stream.incomplete("content_filter", USAGE).with_cost(COST) == b""
        assert stream.fail(OVERLOADED, USAGE, request_id=None).with_cost(COST) == b""

    def test_an_answer_that_nobody_began_begins_with_its_first_chunk(self) -> None:
        stream = ResponseStream(OPENING, ECHO)
        check_stream(stream.take(chunk(content="a")) + stream.complete(USAGE, now=NOW).with_cost(COST))

    def test_a_ping_is_a_comment_in_front_of_the_next_event(self) -> None:
        stream, sent = begun([chunk(content="a")])
        assert stream.ping() == b": ping\n"
        check_stream(sent + stream.ping() + stream.complete(USAGE, now=NOW).with_cost(COST))


class TestFailure:
    def test_a_failure_is_an_error_event_and_a_failed_response_with_usage(self) -> None:
        stream, sent = begun([chunk(content="a"), chunk(tool_calls=[piece(0, call_id="c", name="f", text="{")])])
        sent += stream.fail(OVERLOADED, USAGE, request_id="req_1").with_cost(COST)
        response = check_stream(sent)
        assert types_of(sent)[-2:] == ["error", "failed"]
        assert response["error"]["code"] == "server_error"
        assert response["usage"]["cost"] == 0.000123
        assert [item["status"] for item in response["output"]] == ["completed", "incomplete"]

    def test_a_call_that_broke_off_is_never_done(self) -> None:
        stream, sent = begun([chunk(tool_calls=[piece(0, call_id="c", name="f", text="{")])])
        sent += stream.fail(OVERLOADED, USAGE, request_id=None).with_cost(COST)
        assert not [event for event in types_of(sent) if event.endswith(".done")]

    def test_a_failure_before_the_first_chunk_is_a_whole_stream(self) -> None:
        failed = ResponseStream(OPENING, ECHO).fail(ProviderRateLimited("Retry later."), None, request_id="req_1")
        response = check_stream(failed.with_cost(None))
        assert (response["usage"], response["error"]["code"]) == (None, "rate_limit_exceeded")

    def test_the_error_event_has_our_code_and_request_id(self) -> None:
        stream, _ = begun()
        error = read_events(stream.fail(OVERLOADED, None, request_id="req_1").with_cost(None))[0]
        assert (error["code"], error["error"]["request_id"]) == ("provider_overloaded", "req_1")
        assert error["error"]["retryable"] is True

    @pytest.mark.parametrize(
        ("status", "code"),
        [(402, "rate_limit_exceeded"), (429, "rate_limit_exceeded"), (400, "invalid_prompt"), (500, "server_error")],
    )
    def test_a_failed_response_has_a_code_that_clients_know(self, status: int, code: str) -> None:
        error = GatewayError("No.", param="messages[3].content")
        error.status = status
        stream, sent = begun()
        response = check_stream(sent + stream.fail(error, None, request_id=None).with_cost(None))
        assert (response["error"]["code"], response["error"]["param"]) == (code, "input")


class TestMoney:
    def test_usage_is_what_was_charged_and_cost_is_an_exact_number(self) -> None:
        stream, _ = begun([chunk(content="a")])
        ending = stream.complete(USAGE, now=NOW).with_cost(COST)
        assert b'"cost":0.000123}' in ending
        assert read_events(ending)[-1]["response"]["usage"] == {
            "input_tokens": 15,
            "input_tokens_details": {"cached_tokens": 3, "cache_write_tokens": 2},
            "output_tokens": 20,
            "output_tokens_details": {"reasoning_tokens": 5},
            "total_tokens": 35,
            "cost": 0.000123,
        }

    def test_a_cost_that_is_not_known_is_not_named(self) -> None:
        stream, sent = begun([chunk(content="\ud83d")])
        ending = stream.complete(USAGE, now=NOW).with_cost(None)
        assert b"cost" not in ending
        assert follow(sent + ending)["usage"]["output_tokens"] == 20


def test_the_output_to_store_is_the_output_that_was_sent() -> None:
    stream, sent = begun([chunk(reasoning="x"), chunk(content="a"), chunk("stop")])
    response = json.loads(json.dumps(check_stream(sent + stream.complete(USAGE, now=NOW).with_cost(COST))))
    assert stream.output == response["output"]
