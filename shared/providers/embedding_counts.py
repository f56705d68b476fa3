"""How large the inputs of embeddings are, from above and without a tokenizer, so that their hold pays for them."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from shared.core.money import ceil_div
from shared.providers.request_counts import count_request, estimate_text, weigh_text

# What stands around an input: BERT's tokenizers put two or three, E5's and Nomic's prefixes are four; tripled and more.
INPUT_OVERHEAD_TOKENS = 16
# The estimate for providers that do not say: about four bytes of text make a token.
BYTES_PER_COUNTED_TOKEN = 4
# Of a request all but these may reach the model, once with every input.
_NOT_INPUT = frozenset({"input", "encoding_format", "dimensions", "input_type"})

# A text, or its tokens.
Input = str | Sequence[int]


class EmbeddingCounts(msgspec.Struct, frozen=True, kw_only=True):
    """What the inputs hold. dense_bytes: those of text_bytes that may be a token each; given_tokens: not as text."""

    inputs: int
    text_bytes: int
    dense_bytes: int
    given_tokens: int

    @property
    def expected_tokens(self) -> int:
        """Return the upper estimate of all tokens."""
        return estimate_text(self.text_bytes, self.dense_bytes) + self._beside_text

    @property
    def most_tokens(self) -> int:
        """Return more tokens than any tokenizer makes of it: none makes two of one byte."""
        return self.text_bytes + self._beside_text

    @property
    def counted_tokens(self) -> int:
        """Estimate the tokens for a provider that does not tell them."""
        return ceil_div(self.text_bytes, BYTES_PER_COUNTED_TOKEN) + self.given_tokens

    @property
    def _beside_text(self) -> int:
        return self.given_tokens + self.inputs * INPUT_OVERHEAD_TOKENS


def count_embeddings(body: Mapping[str, Any], inputs: Sequence[Input]) -> EmbeddingCounts:
    """Count a request for embeddings.

    policy  from above: a field that we do not know may be put before every input
    """
    others = count_request({name: value for name, value in body.items() if name not in _NOT_INPUT})
    weights = [weigh_text(each) for each in inputs if isinstance(each, str)]
    return EmbeddingCounts(
        inputs=len(inputs),
        text_bytes=sum(text_bytes for text_bytes, _ in weights) + len(inputs) * others.text_bytes,
        dense_bytes=sum(dense_bytes for _, dense_bytes in weights) + len(inputs) * others.dense_bytes,
        given_tokens=sum(len(each) for each in inputs if not isinstance(each, str)),
    )
