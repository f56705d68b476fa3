"""What a provider says that a dialect cannot put into its words: as long as nothing has arrived, it costs nothing."""

from tests.functions.chat.asked_again import START
from tests.functions.chat.books import assert_settled, usage_line
from tests.functions.chat.raw_provider import STREAM_HEAD, RawProvider, chunk
from tests.functions.chat.speakers import RESPONSES, STREAMED, TRANSLATED, Speaker
from tests.harness.gateways import RunningGateway
from tests.harness.tenants import Models, Tenants

# More digits than Python reads, in a field that chat passes on unread.
UNREADABLE = chunk("tok0").replace(b'"created":1', b'"odd":' + b"1" * 5_000)
ENDING = chunk("", "stop") + b"data: [DONE]\n\n"
TOKEN = b'{"token":"tok0","logprob":-1%b,"bytes":[1%b]}'


@TRANSLATED
async def test_a_first_event_that_cannot_be_read_costs_nothing(
    odd_gateway: RunningGateway, raw_provider: RawProvider, tenant: Tenants, make_model: Models, speaker: Speaker
) -> None:
    customer, model = tenant(), make_model(providers=("portkey",))
    raw_provider.answers(model.upstream_model, STREAM_HEAD + UNREADABLE + chunk("tok1") + ENDING)
    answer = await speaker.ask(odd_gateway, customer, model, stream=True)
    assert (answer.status, answer.error["code"]) == (502, "provider_unavailable")
    assert assert_settled(customer, START) == 0


@TRANSLATED
async def test_a_later_event_that_cannot_be_read_ends_the_answer_and_what_arrived_is_charged(
    odd_gateway: RunningGateway, raw_provider: RawProvider, tenant: Tenants, make_model: Models, speaker: Speaker
) -> None:
    customer, model = tenant(), make_model(providers=("portkey",))
    raw_provider.answers(model.upstream_model, STREAM_HEAD + chunk("tok0") + UNREADABLE + ENDING)
    answer = await speaker.ask(odd_gateway, customer, model, stream=True)
    assert speaker.read_failed(answer)["code"] == "stream_interrupted"
    assert b"tok0" in answer.raw
    line = usage_line(customer, answer.generation_id)
    assert line["outcome"] == "interrupted"
    assert assert_settled(customer, START) == line["cost_nanos"] > 0


@STREAMED
async def test_a_logprob_too_long_to_be_a_number_is_an_unlikely_one(
    odd_gateway: RunningGateway, raw_provider: RawProvider, tenant: Tenants, make_model: Models, is_stream: bool
) -> None:
    customer, model = tenant(), make_model(providers=("portkey",))
    said = b'"logprobs":{"content":[' + TOKEN % (b"0" * 400, b"0" * 40) + b"]}"
    raw = STREAM_HEAD + chunk("tok0").replace(b'"finish_reason"', said + b',"finish_reason"') + ENDING
    if not is_stream:
        body = b'{"id":"raw","choices":[{"index":0,"message":{"content":"tok0"},"finish_reason":"stop",' + said + b"}]}"
        head = STREAM_HEAD.replace(b"text/event-stream", b"application/json")
        raw = head + body
    raw_provider.answers(model.upstream_model, raw)
    answer = await RESPONSES.ask(odd_gateway, customer, model, stream=is_stream)
    assert RESPONSES.read(answer, is_stream=is_stream).text == "tok0"
    assert b'"logprob":-9999.0' in answer.raw
    assert assert_settled(customer, START) > 0
