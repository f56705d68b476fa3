"""Any answer, however it is cut on its way: its stream is grammatical and ends as the whole answer does."""

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from shared.providers.failures import ProviderOverloaded
from shared.providers.responses.answer import output_items, to_response
from shared.providers.responses.conversation import Conversation
from shared.providers.responses.output import incomplete_reason
from shared.providers.responses.stream import ResponseStream
from tests.shared.providers.responses.grammar import check_response, check_stream
from tests.shared.providers.responses.scripts import FINISH_REASONS, chunks, completion, messages
from tests.shared.providers.responses.support import COST, ECHO, NOW, OPENING, USAGE, chunk, stream_of

finish_reasons = st.sampled_from(FINISH_REASONS)
# Every event is checked against OpenAI's types, which a busy machine takes its time for.
unhurried = settings(deadline=None)


@unhurried
@given(data=st.data(), message=messages(), finish_reason=finish_reasons)
def test_a_stream_ends_with_the_response_that_the_whole_answer_becomes(
    data: st.DataObject, message: dict[str, Any], finish_reason: str | None
) -> None:
    streamed = check_stream(stream_of(data.draw(chunks(message, finish_reason))))
    whole, shown = to_response(completion(message, finish_reason), OPENING, ECHO, USAGE, now=NOW)
    response = json.loads(whole.with_cost(COST))
    check_response(response)
    assert streamed == response
    assert shown["output"] == response["output"]


@unhurried
@given(data=st.data(), message=messages(), count=st.integers(0, 20))
def test_a_stream_that_breaks_anywhere_fails_with_what_had_come(
    data: st.DataObject, message: dict[str, Any], count: int
) -> None:
    stream = ResponseStream(OPENING, ECHO)
    taken = b"".join(stream.take(taken) for taken in data.draw(chunks(message, "stop"))[:count])
    broken = stream.begin() + taken + stream.fail(ProviderOverloaded("No."), USAGE, request_id=None).with_cost(COST)
    assert check_stream(broken)["status"] == "failed"


@unhurried
@given(data=st.data(), message=messages())
def test_chunks_in_any_order_lose_no_text(data: st.DataObject, message: dict[str, Any]) -> None:
    ordered = data.draw(chunks(message, None))
    calls = [entry for entry in ordered if "tool_calls" in str(entry)]
    others = [entry for entry in ordered if entry not in calls]
    mixed = []
    while calls or others:
        source = data.draw(st.sampled_from([entries for entries in (calls, others) if entries]))
        mixed.append(source.pop(0))
    output = check_stream(stream_of([*mixed, chunk("stop")]))["output"]
    texts = [part.get("text", part.get("refusal")) for item in output for part in item.get("content", [])]
    whole = output_items(completion(message, "stop")["choices"][0], OPENING, None)
    expected = [part.get("text", part.get("refusal")) for item in whole for part in item.get("content", [])]
    assert "".join(texts) == "".join(expected)
    assert sorted(item["arguments"] for item in output if "arguments" in item) == sorted(
        call["function"]["arguments"] for call in message["tool_calls"]
    )


@unhurried
@given(
    deltas=st.lists(
        st.dictionaries(
            st.sampled_from(
                ["content", "reasoning", "reasoning_details", "refusal", "tool_calls", "function_call", "annotations"]
            ),
            st.recursive(
                st.none() | st.booleans() | st.integers() | st.text(max_size=3),
                lambda inner: (
                    st.lists(inner, max_size=3)
                    | st.dictionaries(
                        st.sampled_from(
                            [
                                "index",
                                "id",
                                "type",
                                "function",
                                "name",
                                "arguments",
                                "text",
                                "summary",
                                "custom",
                                "input",
                            ]
                        ),
                        inner,
                        max_size=4,
                    )
                ),
                max_leaves=8,
            ),
            max_size=3,
        ),
        max_size=6,
    )
)
def test_nothing_that_a_provider_sends_makes_a_stream_ungrammatical(deltas: list[dict[str, Any]]) -> None:
    check_stream(stream_of([chunk(**delta) for delta in deltas]))


@unhurried
@given(message=messages())
def test_an_answer_sent_back_is_the_message_that_it_was(message: dict[str, Any]) -> None:
    conversation = Conversation(None)
    for item in output_items(completion(message, "stop")["choices"][0], OPENING, incomplete_reason("stop")):
        conversation.add(item, "input")
    again = conversation.messages[0] if conversation.messages else {}
    assert again.get("tool_calls", []) == message["tool_calls"]
    said = again.get("content") or ""
    texts = [said] if isinstance(said, str) else [part.get("text", part.get("refusal")) for part in said]
    assert "".join(texts) == (message["content"] or "") + (message.get("refusal") or "")
    is_sealed = any(
        detail["type"] == "reasoning.encrypted" or "signature" in detail
        for detail in message.get("reasoning_details", [])
    )
    if is_sealed:
        assert again["reasoning_details"] == message["reasoning_details"]
    elif "reasoning_details" not in message:
        assert again.get("reasoning") == message.get("reasoning", message.get("reasoning_content"))
