"""How large the inputs of embeddings are, from above and without a tokenizer, so that their hold pays for them."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from shared.core.errors import InvalidRequest
from shared.core.money import ceil_div
from shared.providers.request_counts import count_request, estimate_text, weigh_text

# What stands around an input: BERT's tokenizers put two or three, E5's and Nomic's prefixes are four; tripled and more.
INPUT_OVERHEAD_TOKENS = 16
# The estimate for providers that do not say: about four bytes of text make a token.
BYTES_PER_COUNTED_TOKEN = 4
# What stands beside the inputs of a request, texts and numbers: an instruction to the model is a few hundred bytes.
MAX_BESIDE_BYTES = 16 * 1024
# Of a request all but these may reach the model, once with every input.
_NOT_INPUT = frozenset({"input", "encoding_format", "dimensions", "input_type"})

_NAME = re.compile(r"\w{1,40}", re.ASCII)

# A text, or its tokens.
Input = str | Sequence[int]


class EmbeddingCounts(msgspec.Struct, frozen=True, kw_only=True):
    """What the inputs hold.

    dense_bytes: those of text_bytes that may be a token each; given_tokens: not as text; beside_bytes,
    beside_dense_bytes: of the fields that may stand before every input
    """

    inputs: int
    text_bytes: int
    dense_bytes: int
    given_tokens: int
    beside_bytes: int
    beside_dense_bytes: int

    @property
    def expected_tokens(self) -> int:
        """Return the upper estimate of all tokens."""
        beside = estimate_text(self.beside_bytes, self.beside_dense_bytes)
        return estimate_text(self.text_bytes, self.dense_bytes) + self.inputs * beside + self._beside_text

    @property
    def most_tokens(self) -> int:
        """Return more tokens than any tokenizer makes of it: none makes two of one byte."""
        return self.text_bytes + self.inputs * self.beside_bytes + self._beside_text

    @property
    def counted_tokens(self) -> int:
        """Estimate the tokens for a provider that does not tell them: those of the inputs, and of nothing beside."""
        return ceil_div(self.text_bytes, BYTES_PER_COUNTED_TOKEN) + self.given_tokens

    @property
    def _beside_text(self) -> int:
        return self.given_tokens + self.inputs * INPUT_OVERHEAD_TOKENS


def count_embeddings(body: Mapping[str, Any], inputs: Sequence[Input]) -> EmbeddingCounts:
    """Count a request for embeddings.

    policy  from above: a field that we do not know may be put before every input
    raises  InvalidRequest naming the largest such field, where they are too large for that
    """
    others = count_request(_beside(body))
    if others.text_bytes > MAX_BESIDE_BYTES:
        raise _too_large_beside(body)
    weights = [weigh_text(each) for each in inputs if isinstance(each, str)]
    return EmbeddingCounts(
        inputs=len(inputs),
        text_bytes=sum(text_bytes for text_bytes, _ in weights),
        dense_bytes=sum(dense_bytes for _, dense_bytes in weights),
        given_tokens=sum(len(each) for each in inputs if not isinstance(each, str)),
        beside_bytes=others.text_bytes,
        beside_dense_bytes=others.dense_bytes,
    )


def _beside(body: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in body.items() if name not in _NOT_INPUT}


def _too_large_beside(body: Mapping[str, Any]) -> InvalidRequest:
    sizes = {name: count_request({name: value}).text_bytes for name, value in _beside(body).items()}
    name = max(sizes, key=lambda each: sizes[each])
    # The client makes names up; one that is none is not repeated.
    param = name if _NAME.fullmatch(name) else None
    return InvalidRequest(
        f"{param or 'The request'}: all fields beside 'input' may hold {MAX_BESIDE_BYTES:,} bytes together, since each "
        "may be put before every input.",
        param=param,
    )
