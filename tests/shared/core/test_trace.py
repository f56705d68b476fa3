import pytest

from shared.core.trace import MAX_TRACESTATE_LENGTH, TraceContext, read_trace

TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT_ID = "00f067aa0ba902b7"
GIVEN = f"00-{TRACE_ID}-{PARENT_ID}-01"
PLACE = TraceContext(trace_id=TRACE_ID, parent_id=PARENT_ID, is_sampled=True)


@pytest.mark.parametrize(
    ("header", "is_sampled"),
    [
        (GIVEN, True),
        (f" {GIVEN}\t", True),
        (f"00-{TRACE_ID}-{PARENT_ID}-00", False),
        # Only the last bit is known to us.
        (f"00-{TRACE_ID}-{PARENT_ID}-02", False),
        (f"00-{TRACE_ID}-{PARENT_ID}-ff", True),
        # A later version may say more behind.
        (f"01-{TRACE_ID}-{PARENT_ID}-01", True),
        (f"cc-{TRACE_ID}-{PARENT_ID}-01-what-the-future-brings", True),
    ],
)
def test_a_place_in_a_trace_is_read(header: str, is_sampled: bool) -> None:
    assert read_trace([header], []) == TraceContext(trace_id=TRACE_ID, parent_id=PARENT_ID, is_sampled=is_sampled)


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [""],
        ["00"],
        [GIVEN, GIVEN],
        [GIVEN.upper()],
        [f"{GIVEN}-"],
        [f"{GIVEN}-more"],
        [f"{GIVEN}0"],
        [f"cc-{TRACE_ID}-{PARENT_ID}-01.more"],
        [f"ff-{TRACE_ID}-{PARENT_ID}-01"],
        [f"00-{'0' * 32}-{PARENT_ID}-01"],
        [f"00-{TRACE_ID}-{'0' * 16}-01"],
        [f"00-{TRACE_ID[:-1]}g-{PARENT_ID}-01"],
        [f"00-{TRACE_ID[:-1]}-{PARENT_ID}-01"],
        [f"00-{TRACE_ID}-{PARENT_ID}-1"],
        [f"00-{TRACE_ID}-{PARENT_ID}"],
        [f"00-{TRACE_ID}-{PARENT_ID}-01\n"],
        [f"00-{'٤' * 32}-{PARENT_ID}-01"],
    ],
)
def test_what_is_no_place_is_none_and_its_state_is_not_read(headers: list[str]) -> None:
    assert read_trace(headers, ["vendor=1"]) is None


@pytest.mark.parametrize(
    ("came", "state"),
    [
        ([], ""),
        ([""], ""),
        (["a=1,b=2"], "a=1,b=2"),
        (["a=1", " b=2 "], "a=1,b=2"),
        (["a=" + "x" * (MAX_TRACESTATE_LENGTH - 2)], "a=" + "x" * (MAX_TRACESTATE_LENGTH - 2)),
        (["a=" + "x" * MAX_TRACESTATE_LENGTH], ""),
        (["a=é"], ""),
        (["a=1\r\nX-Forged: 1"], ""),
    ],
)
def test_what_tracing_systems_add_is_kept_as_it_came_if_it_can_be_sent(came: list[str], state: str) -> None:
    read = read_trace([GIVEN], came)
    assert read is not None
    assert read.state == state


def test_a_place_is_passed_on_as_it_came() -> None:
    read = read_trace([GIVEN], ["a=1"])
    assert read is not None
    assert read.to_headers() == {"traceparent": GIVEN, "tracestate": "a=1"}
    assert PLACE.to_headers() == {"traceparent": GIVEN}


def test_of_a_later_version_the_next_service_is_told_what_ours_can_say() -> None:
    read = read_trace([f"cc-{TRACE_ID}-{PARENT_ID}-03-more"], [])
    assert read is not None
    assert read.to_headers() == {"traceparent": GIVEN}
