"""Faults on the wire."""

import asyncio
import json
import time
from typing import Any

import aiohttp
import pytest

from tests.infra.local.simulator.conftest import MESSAGES, Sim, parse_events, text_of

WORDS = "tok0 tok1 tok2 tok3 tok4 tok5 tok6 tok7"


async def read_until_broken(sim: Sim, script: str, **fields: Any) -> bytes:
    received = b""
    async with sim.ask({"model": f"sim/{script}", "stream": True, **fields}) as response:
        with pytest.raises(aiohttp.ClientPayloadError):
            async for data in response.content.iter_any():
                received += data
    return received


async def read_pieces(sim: Sim, body: dict[str, Any]) -> list[bytes]:
    """Return the pieces of a chunked answer, as the wire has them."""
    host, _, port = sim.url.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    content = json.dumps(body).encode()
    lines = [
        "POST /openrouter/v1/chat/completions HTTP/1.1",
        "Host: simulator",
        "Authorization: Bearer sk-sim",
        f"Content-Length: {len(content)}",
    ]
    writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + content)
    await reader.readuntil(b"\r\n\r\n")
    pieces: list[bytes] = []
    while size := int(await reader.readline(), 16):
        pieces.append((await reader.readexactly(size + 2))[:-2])
    writer.close()
    await writer.wait_closed()
    return pieces


async def ended(sim: Sim) -> dict[str, Any]:
    """Return the last record once it is closed; the simulator learns of a hang-up a moment after it."""
    for _ in range(200):
        record = await sim.last()
        if record["ended_at"] is not None:
            return record
        await asyncio.sleep(0.01)
    raise AssertionError("the request did not end")


async def test_a_cut_stream_ends_without_its_final_chunk(sim: Sim) -> None:
    events = parse_events(await read_until_broken(sim, "cut=mid_stream,at=3"))
    assert text_of(events) == "tok0 tok1 tok2"
    record = await ended(sim)
    assert (record["completion_tokens"], record["finished"], record["client_left"]) == (3, False, False)


async def test_a_clean_cut_ends_normally_with_neither_finish_nor_done(sim: Sim) -> None:
    events = await sim.events({"model": "sim/cut=clean,at=3"})
    assert len(events) == 3
    assert all(event["choices"][0]["finish_reason"] is None for event in events)


async def test_a_cut_before_headers_answers_nothing(sim: Sim) -> None:
    with pytest.raises(aiohttp.ServerDisconnectedError):
        await sim.post({"model": "sim/cut=before_headers"})
    record = await ended(sim)
    assert (record["status"], record["cost"], record["client_left"]) == (None, "0", False)


async def test_a_missing_done_is_the_only_thing_missing(sim: Sim) -> None:
    events = await sim.events({"model": "sim/no_done=1"})
    assert text_of(events) == WORDS
    assert events[-1]["usage"]["completion_tokens"] == 8


async def test_an_error_event_ends_the_stream(sim: Sim) -> None:
    events = await sim.events({"model": "sim/error_event=1,at=4"})
    assert text_of(events) == "tok0 tok1 tok2 tok3"
    assert "secret-provider-detail" in events[-1]["error"]["message"]
    assert events[-1]["choices"][0]["finish_reason"] == "error"
    record = await ended(sim)
    assert (record["completion_tokens"], record["finish_reason"], record["finished"]) == (4, "error", False)


async def test_a_garbage_line_stands_among_good_events(sim: Sim) -> None:
    raw = await sim.stream({"model": "sim/garbage=1,at=2"})
    bad = [block for block in raw.split(b"\n\n") if b"\xff\xfe" in block]
    assert len(bad) == 1
    assert text_of(parse_events(raw.replace(bad[0] + b"\n\n", b""))) == WORDS


async def test_comments_stand_before_and_between_events(sim: Sim) -> None:
    raw = await sim.stream({"model": "sim/comments=2"})
    assert raw.startswith(b": OPENROUTER PROCESSING\n\n: OPENROUTER PROCESSING\n\ndata: ")
    assert raw.count(b": OPENROUTER PROCESSING\n\n") == 20
    assert text_of(parse_events(raw)) == WORDS


async def test_crlf_ends_every_line(sim: Sim) -> None:
    raw = await sim.stream({"model": "sim/crlf=1,multiline=1"})
    assert raw.count(b"\n") == raw.count(b"\r\n") > 0
    assert text_of(parse_events(raw)) == WORDS


async def test_an_event_may_stand_on_two_data_lines(sim: Sim) -> None:
    raw = await sim.stream({"model": "sim/multiline=1"})
    assert raw.count(b"\ndata: ") > raw.count(b"\n\ndata: ")
    assert text_of(parse_events(raw)) == WORDS


async def test_one_event_is_padded(sim: Sim) -> None:
    raw = await sim.stream({"model": "sim/event_bytes=70000"})
    sizes = [len(block) for block in raw.split(b"\n\n")]
    assert sorted(sizes)[-1] == 70_000 + len("data: ")
    assert sorted(sizes)[-2] < 1000
    assert text_of(parse_events(raw)) == WORDS


@pytest.mark.parametrize("size", [1, 7, 1000])
async def test_split_bodies_come_in_pieces_that_cut_through_characters(sim: Sim, size: int) -> None:
    pieces = await read_pieces(sim, {"model": f"sim/split={size}", "messages": MESSAGES, "stream": True})
    assert all(len(piece) == size for piece in pieces[:-1])
    text = text_of(parse_events(b"".join(pieces)))
    assert text.startswith("tok0é tok1🙂 tok2漢 tok3")
    _, whole = await sim.post({"model": f"sim/split={size}"})
    assert whole["choices"][0]["message"]["content"] == text


async def test_wide_text_is_raw_utf8_on_the_wire(sim: Sim) -> None:
    raw = await sim.stream({"model": "sim/wide=1,tokens=2"})
    assert "tok1🙂".encode() in raw


async def test_a_slow_first_byte_delays_the_headers(sim: Sim) -> None:
    started = time.monotonic()
    async with sim.ask({"model": "sim/first_byte_ms=120"}):
        assert time.monotonic() - started >= 0.12


async def test_headers_may_come_long_before_the_first_event(sim: Sim) -> None:
    started = time.monotonic()
    async with sim.ask({"model": "sim/headers_then_wait_ms=400", "stream": True}) as response:
        headers_after_s = time.monotonic() - started
        await response.content.readany()
        assert headers_after_s < 0.3
        assert time.monotonic() - started >= 0.4


async def test_pace_is_kept_between_chunks(sim: Sim) -> None:
    started = time.monotonic()
    await sim.events({"model": "sim/pace_ms=20"})
    assert time.monotonic() - started >= 7 * 0.02


async def test_a_client_that_leaves_stops_the_generation_and_pays_for_what_was_said(sim: Sim) -> None:
    async with sim.ask({"model": "sim/tokens=1000,pace_ms=10,reasoning_tokens=5", "stream": True}) as response:
        await response.content.readuntil(b"tok2")
        response.close()
    record = await ended(sim)
    assert record["client_left"]
    assert not record["finished"]
    assert 3 <= record["tokens_sent"] < 100
    assert record["completion_tokens"] == record["tokens_sent"] + 5
    generation = (await sim.get(f"/openrouter/v1/generation?id={record['id']}"))["data"]
    assert generation["cancelled"]
    assert generation["finish_reason"] is None
    assert generation["native_tokens_completion"] == record["completion_tokens"]


@pytest.mark.parametrize(
    ("script", "billed"),
    [("hang=before_headers", 0), ("hang=mid_stream,at=3", 3), ("gate=never", 0), ("first_byte_ms=60000", 0)],
)
async def test_a_client_that_leaves_a_hang_is_noticed_at_once(sim: Sim, script: str, billed: int) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await sim.stream({"model": f"sim/{script}"})
    record = await ended(sim)
    assert (record["client_left"], record["completion_tokens"]) == (True, billed)
    assert (record["cost"] == "0") == (billed == 0)


async def test_a_client_that_leaves_between_two_slow_tokens_is_noticed_at_once(sim: Sim) -> None:
    async with sim.ask({"model": "sim/tokens=10,pace_ms=20000", "stream": True}) as response:
        await response.content.readuntil(b"tok0")
        left_at = time.time()
        response.close()
    record = await ended(sim)
    assert (record["client_left"], record["tokens_sent"]) == (True, 1)
    assert record["ended_at"] - left_at < 0.5


async def test_a_provider_that_cannot_cancel_says_and_bills_all_of_it_though_nobody_listens(sim: Sim) -> None:
    script = "sim/tokens=20,pace_ms=20,reasoning_tokens=5,on_cancel=finish"
    async with sim.ask({"model": script, "stream": True}) as response:
        generation_id = response.headers["X-Generation-Id"]
        await response.content.readuntil(b"tok2")
        response.close()
    await asyncio.sleep(0.1)
    path = f"/openrouter/v1/generation?id={generation_id}"
    assert "error" in await sim.get(path), "what is still being said has no record yet"
    record = await ended(sim)
    assert (record["client_left"], record["finished"], record["completion_tokens"]) == (True, True, 25)
    assert record["ended_at"] - record["started_at"] >= 0.3
    generation = (await sim.get(path))["data"]
    assert (generation["native_tokens_completion"], generation["cancelled"]) == (25, False)


async def test_a_whole_answer_that_is_waited_for_no_longer_is_billed_where_nothing_can_be_cancelled(sim: Sim) -> None:
    for on_cancel, billed in (("finish", 8), ("stop", 0)):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await sim.post({"model": f"sim/first_byte_ms=300,on_cancel={on_cancel}"})
        record = await ended(sim)
        assert (record["client_left"], record["completion_tokens"]) == (True, billed)


@pytest.mark.parametrize("script", ["cut=mid_stream", "hang=mid_stream", "cut=clean"])
async def test_an_answer_that_is_not_streamed_breaks_in_the_middle_of_its_body(sim: Sim, script: str) -> None:
    with pytest.raises((aiohttp.ClientPayloadError, TimeoutError, json.JSONDecodeError)):
        async with asyncio.timeout(0.2):
            await sim.post({"model": f"sim/{script}"})
    assert not (await ended(sim))["finished"]


async def test_an_answer_that_is_not_streamed_can_be_garbage_or_an_error(sim: Sim) -> None:
    async with sim.ask({"model": "sim/garbage=1"}) as response:
        assert b"\xff\xfe" in await response.read()
    _, body = await sim.post({"model": "sim/error_event=1"})
    assert body["choices"][0]["finish_reason"] == "error"
    assert "secret-provider-detail" in body["error"]["message"]


async def test_a_long_stream_without_pauses_lets_others_through(sim: Sim) -> None:
    long = asyncio.create_task(sim.stream({"model": "sim/tokens=20000"}))
    await asyncio.sleep(0.05)
    await sim.post({})
    assert not long.done()
    assert len(parse_events(await long)) == 20_000 + 3
