import base64
import json
import struct
from typing import Any

import pytest

from shared.core.errors import InvalidRequest
from shared.core.money import Nanos
from shared.providers.embedding_counts import INPUT_OVERHEAD_TOKENS, Input, count_embeddings
from shared.providers.embeddings import Encoding, build_embedding_request, read_embeddings, write_embeddings
from shared.providers.featherless import FEATHERLESS
from shared.providers.openrouter import OPENROUTER
from shared.providers.portkey import PORTKEY
from shared.providers.raw_json import MalformedAnswer
from shared.providers.record import Provider
from shared.providers.simulated_embeddings import MAX_NUMBERS, answer_embeddings
from shared.providers.usage import ImplausibleUsage, read_prompt_tokens

# OpenAI's example of an answer.
# source  https://platform.openai.com/docs/api-reference/embeddings/create
OPENAI_S = b"""{
  "object": "list",
  "data": [
    {"object": "embedding", "embedding": [0.0023064255, -0.009327292, -0.0028842222], "index": 0}
  ],
  "model": "text-embedding-ada-002",
  "usage": {"prompt_tokens": 8, "total_tokens": 8}
}"""
# Text Embeddings Inference prints no exponent and no spaces; vLLM puts an id and `completion_tokens: 0` beside.
# source  https://github.com/huggingface/text-embeddings-inference, docs/openapi.json;
#         https://github.com/vllm-project/vllm, EmbeddingResponse
VLLM_S = (
    b'{"id":"embd-c1","object":"list","created":1750000000,"model":"BAAI/bge-m3","data":[{"index":0,"object":'
    b'"embedding","embedding":[1e-5,-0.25]}],"usage":{"prompt_tokens":4,"total_tokens":4,"completion_tokens":0,'
    b'"prompt_tokens_details":null}}'
)
# OpenRouter names the answer and says what it took.
# source  https://openrouter.ai/docs/api/api-reference/embeddings/create-embeddings
OPENROUTER_S = (
    b'{"id":"gen-1750000000-abc","object":"list","data":[{"object":"embedding","embedding":[0.5],"index":0}],'
    b'"model":"openai/text-embedding-3-small","provider":"OpenAI","usage":{"prompt_tokens":8,"total_tokens":8,'
    b'"cost":0.00000016}}'
)


def packed(*numbers: float) -> str:
    return base64.b64encode(struct.pack(f"<{len(numbers)}f", *numbers)).decode()


def answer_of(*embeddings: object, **fields: Any) -> bytes:
    data = [{"index": index, "embedding": embedding} for index, embedding in enumerate(embeddings)]
    return json.dumps({"data": data, **fields}).encode()


@pytest.mark.parametrize(
    ("body", "vector", "tokens"),
    [
        (OPENAI_S, b"[0.0023064255, -0.009327292, -0.0028842222]", 8),
        (VLLM_S, b"[1e-5,-0.25]", 4),
        (OPENROUTER_S, b"[0.5]", 8),
    ],
    ids=["OpenAI", "vLLM", "OpenRouter"],
)
def test_documented_answers_are_read_with_their_very_digits(body: bytes, vector: bytes, tokens: int) -> None:
    answer = read_embeddings(body, count=1, encoding="float")
    assert answer.vectors == (vector,)
    assert read_prompt_tokens(answer.usage, max_tokens=100) == tokens


def test_an_answer_s_name_is_told() -> None:
    assert [read_embeddings(body, count=1, encoding="float").id for body in (OPENAI_S, VLLM_S, OPENROUTER_S)] == [
        "",
        "embd-c1",
        "gen-1750000000-abc",
    ]


@pytest.mark.parametrize("given", [[0.5, -1.0], packed(0.5, -1.0)], ids=["list", "base64"])
def test_a_vector_is_turned_into_the_encoding_that_was_asked_for(given: object) -> None:
    as_list = read_embeddings(answer_of(given), count=1, encoding="float").vectors[0]
    as_base64 = read_embeddings(answer_of(given), count=1, encoding="base64").vectors[0]
    assert json.loads(as_list) == [0.5, -1.0]
    assert json.loads(as_base64) == packed(0.5, -1.0)


@pytest.mark.parametrize("encoding", ["float", "base64"])
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b'{"data":null}',
        b'{"data":[]}',
        b'{"data":[{"index":0}]}',
        b'{"data":[{"index":0,"embedding":null}]}',
        b'{"data":[{"index":0,"embedding":{}}]}',
        b'{"data":[{"index":0,"embedding":[]}]}',
        b'{"data":[{"index":0,"embedding":""}]}',
        b'{"data":[{"index":0,"embedding":["0.5"]}]}',
        b'{"data":[{"index":0,"embedding":[null]}]}',
        b'{"data":[{"index":0,"embedding":[NaN]}]}',
        b'{"data":[{"index":0,"embedding":[Infinity]}]}',
        b'{"data":[{"index":0,"embedding":[1e999]}]}',
        b'{"data":[{"index":0,"embedding":[1e39]}]}',
        b'{"data":[{"index":0,"embedding":[1e39,-1e39]}]}',
        b'{"data":[{"index":0,"embedding":[[0.5]]}]}',
        b'{"data":[{"index":1,"embedding":[0.5]}]}',
        b'{"data":[{"index":"0","embedding":[0.5]}]}',
        b'{"data":[{"index":0,"embedding":"AAAA"}]}',
        b'{"data":[{"index":0,"embedding":"AAAAAAA"}]}',
        b'{"data":[{"index":0,"embedding":"not base64"}]}',
        b'{"data":[{"index":0,"embedding":"\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9"}]}',
        answer_of([0.5], [0.5]),
        answer_of(packed(float("nan"))),
        answer_of(packed(float("inf"), float("-inf"))),
    ],
)
def test_what_is_no_vector_per_input_is_malformed(body: bytes, encoding: Encoding) -> None:
    with pytest.raises(MalformedAnswer):
        read_embeddings(body, count=1, encoding=encoding)


@pytest.mark.parametrize("given", [[0.5, 0.5], packed(0.5, 0.5)], ids=["list", "base64"])
def test_how_many_numbers_a_vector_has_is_told(given: object) -> None:
    assert read_embeddings(answer_of(given), count=1, encoding="base64").dimensions == 2


def test_a_float_list_made_of_base64_is_no_longer_than_its_32_bits_need() -> None:
    numbers = struct.unpack("<4f", struct.pack("<4f", 0.1, -1e-7, 3, 1 / 3))
    (vector,) = read_embeddings(answer_of(packed(*numbers)), count=1, encoding="float").vectors
    assert struct.pack("<4f", *json.loads(vector)) == struct.pack("<4f", *numbers)
    assert len(vector) <= 4 * 16


@pytest.mark.parametrize("indexes", [[0, 0], [1, 2], [0, None], [0, 2], [-1, 0]])
def test_indexes_that_are_no_numbering_are_malformed(indexes: list[int | None]) -> None:
    data = [{"index": index, "embedding": [0.5]} for index in indexes]
    with pytest.raises(MalformedAnswer):
        read_embeddings(json.dumps({"data": data}).encode(), count=2, encoding="float")


def test_vectors_of_different_lengths_are_malformed() -> None:
    with pytest.raises(MalformedAnswer):
        read_embeddings(answer_of([0.5, 0.5], packed(0.5)), count=2, encoding="float")


def test_an_error_is_told_whatever_comes_beside_it() -> None:
    answer = read_embeddings(answer_of(error={"code": 502}), count=1, encoding="float")
    assert (answer.error, answer.vectors) == (b'{"code": 502}', ())


def test_an_answer_is_written_as_openai_s_with_what_it_cost() -> None:
    written = write_embeddings((b"[0.5]", b"[1]"), model='odd "name"', tokens=7)
    assert json.loads(written.with_cost(Nanos(1_500))) == {
        "object": "list",
        "data": [
            {"object": "embedding", "index": 0, "embedding": [0.5]},
            {"object": "embedding", "index": 1, "embedding": [1]},
        ],
        "model": 'odd "name"',
        "usage": {"prompt_tokens": 7, "total_tokens": 7, "cost": 0.0000015},
    }
    assert json.loads(written.with_cost(None))["usage"] == {"prompt_tokens": 7, "total_tokens": 7}


@pytest.mark.parametrize(
    ("provider", "beside"),
    [
        (OPENROUTER, {"encoding_format": "base64", "provider": {"data_collection": "deny"}}),
        (PORTKEY, {"encoding_format": "base64"}),
        (FEATHERLESS, {}),
    ],
    ids=lambda value: value.slug if isinstance(value, Provider) else "",
)
def test_the_provider_is_sent_what_it_knows(provider: Provider, beside: dict[str, Any]) -> None:
    body = {
        "model": "ours", "models": ["other"], "input": ["a \ud83d"], "dimensions": 8, "user": "u", "input_type": "q",
        "encoding_format": "float", "provider": {"data_collection": "deny"}, "usage": {}, "stream": False,
    }  # fmt: skip
    sent = build_embedding_request(body, provider=provider, upstream_model="theirs")
    assert json.loads(sent) == {
        "model": "theirs", "input": ["a \ud83d"], "dimensions": 8, "user": "u", "input_type": "q", **beside,
    }  # fmt: skip
    assert b"\\ud83d" in sent


def test_a_number_that_json_cannot_carry_is_the_client_s_fault() -> None:
    with pytest.raises(InvalidRequest):
        build_embedding_request({"input": "a", "x": float("inf")}, provider=PORTKEY, upstream_model="m")


@pytest.mark.parametrize("raw", [None, b"null", b"{}", b'{"prompt_tokens":null}', b'{"completion_tokens":3}'])
def test_missing_tokens_are_not_zero(raw: bytes | None) -> None:
    assert read_prompt_tokens(raw, max_tokens=9) is None


@pytest.mark.parametrize("told", [b"-1", b"10", b"1.5", b'"7"', b"true"])
def test_tokens_that_cannot_be_are_not_believed(told: bytes) -> None:
    with pytest.raises(ImplausibleUsage):
        read_prompt_tokens(b'{"prompt_tokens":%b}' % told, max_tokens=9)


def test_inputs_are_counted_from_above() -> None:
    counts = count_embeddings({"model": "m", "input": []}, ["word", "12", [5, 6, 7]])
    assert (counts.text_bytes, counts.given_tokens) == (6, 3)
    # Two bytes of a word may be a token, each digit too, and each input has something around it.
    assert counts.expected_tokens == 2 + 2 + 3 + 3 * INPUT_OVERHEAD_TOKENS
    assert counts.most_tokens == 6 + 3 + 3 * INPUT_OVERHEAD_TOKENS
    assert counts.counted_tokens == 2 + 3


def test_a_field_that_nobody_knows_is_held_for_with_every_input_and_not_charged() -> None:
    inputs = ["a"] * 10
    body = {"model": "m", "input": inputs, "instruction": "x" * 100, "dimensions": 8, "user": "y" * 100}
    alone, counts = count_embeddings({}, inputs), count_embeddings(body, inputs)
    assert counts.expected_tokens - alone.expected_tokens == 10 * 50
    assert counts.most_tokens - alone.most_tokens == 10 * 100
    assert counts.counted_tokens == alone.counted_tokens == 3


@pytest.mark.parametrize("encoding", ["float", "base64"])
def test_a_simulated_answer_is_one_that_can_be_read(encoding: Encoding) -> None:
    inputs: list[Input] = ["a \ud83d", [1, 2]]
    counts = count_embeddings({}, inputs)
    body = answer_embeddings(inputs, counts, encoding=encoding, dimensions=13)
    assert len(read_embeddings(body, count=2, encoding=encoding).vectors) == 2


def test_a_simulated_answer_is_the_same_in_both_encodings() -> None:
    counts = count_embeddings({}, ["a"])
    bodies = [answer_embeddings(["a"], counts, encoding=each, dimensions=9) for each in ("float", "base64")]
    as_base64 = {read_embeddings(body, count=1, encoding="base64").vectors for body in bodies}
    assert len(as_base64) == 1


def test_a_simulated_answer_has_a_limit() -> None:
    with pytest.raises(InvalidRequest):
        answer_embeddings(["a"], count_embeddings({}, ["a"]), encoding="float", dimensions=MAX_NUMBERS + 1)
