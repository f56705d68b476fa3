"""A client's answer is put together beside it, and never spoiled by that."""

import msgspec

from shared.core.ids import ModelId, new_generation_id
from shared.core.money import Nanos
from shared.providers.chat_dialect import ChatDialect
from shared.providers.dialect import Served, Used
from shared.providers.listening_dialect import ListeningDialect
from shared.providers.openai_chat import read_chunk
from shared.providers.responses.dialect import ResponsesDialect
from shared.providers.sse import Event
from shared.providers.usage import UsageReport

REPORT = UsageReport(input_tokens=3, cached_input_tokens=0, cache_write_tokens=0, output_tokens=2, reasoning_tokens=0)
USED = Used(report=REPORT, shown=b'{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}', ended_at_s=2)
SERVED = Served(generation_id=new_generation_id(), model=ModelId("test/one"), input_tokens=3, began_at_s=1)


def listening() -> tuple[ListeningDialect, ResponsesDialect]:
    listener = ResponsesDialect({}, model="test/one", asked_at_s=1)
    return ListeningDialect(ChatDialect(is_usage_wanted=True), listener), listener


def event(data: bytes) -> Event:
    return Event(raw=b"data: " + data + b"\n\n", data=data)


def chunk(**choice: object) -> bytes:
    return msgspec.json.encode({"id": "x", "created": 1, "model": "m", "choices": [{"index": 0, **choice}]})


def test_a_stream_is_passed_on_byte_for_byte_and_heard() -> None:
    both, listener = listening()
    alone = ChatDialect(is_usage_wanted=True)
    for dialect in (both, alone):
        dialect.begin(SERVED)
    said = [chunk(delta={"content": "a"}), chunk(delta={"content": "b"}), chunk(delta={}, finish_reason="stop")]
    for data in said:
        assert both.take(event(data), read_chunk(data)) == alone.take(event(data), read_chunk(data))
    last = read_chunk(said[-1])
    assert listener.response is None
    assert both.end(last, USED).with_cost(Nanos(7)) == alone.end(last, USED).with_cost(Nanos(7))
    assert listener.response is not None
    assert listener.response["output"][0]["content"][0]["text"] == "ab"
    assert listener.usage == REPORT


def test_a_whole_answer_that_cannot_be_heard_is_answered_all_the_same() -> None:
    both, listener = listening()
    both.read(b"[]")
    assert both.answer(b"[]", SERVED, USED).with_cost(None) == b"[]"
    assert listener.response is None


def test_a_chunk_that_cannot_be_heard_is_passed_on_and_the_answer_is_not_kept() -> None:
    both, listener = listening()
    both.begin(SERVED)
    good = chunk(delta={"content": "a"})
    odd = event(b"[]")
    assert both.take(odd, read_chunk(good)) == odd.raw
    assert both.take(event(good), read_chunk(good)) == event(good).raw
    both.end(read_chunk(good), USED)
    assert listener.response is None
