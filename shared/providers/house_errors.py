"""The sentences by which a provider says that it serves nobody of ours: our key, our account, our model there.

A provider repeats in its errors what a client has written, whole prompts among it. So a message says something of the
provider only where all of it is one of these sentences, in which nothing varies but our own name for the model.
"""

import re
from collections.abc import Mapping, Sequence
from enum import StrEnum
from types import MappingProxyType
from typing import Any

import msgspec

from shared.providers.raw_json import MalformedAnswer, decode


class HouseError(StrEnum):
    """What it is that all requests of ours would meet."""

    KEY = "key"
    ACCOUNT = "account"
    MODEL = "model"


# Stands in a sentence for our own name of the model.
_MODEL = "MODEL"
# An error's message lies within an error within a body, at most.
_MAX_DEPTH = 3
_PURCHASE = (
    r"(?: Make sure your key is on the correct account or org, and if so, purchase more at https://openrouter\.ai/\S{1,40}"
    r"| Add more using https://openrouter\.ai/\S{1,40})?"
)
# source  see tests/shared/providers/test_blame.py
_SENTENCES: Mapping[HouseError, Sequence[str]] = MappingProxyType(
    {
        HouseError.KEY: (
            r"Key limit exceeded(?: \([a-z]+ limit\))?\.(?: Manage it using https://openrouter\.ai/\S{1,40})?",
            r"The model is gated\.?",
        ),
        HouseError.ACCOUNT: (
            rf"Insufficient credits\.?(?: This account never purchased credits\.)?{_PURCHASE}",
            r"Quota exceeded and account balance is \$(?:-[\d.]+|0(?:\.0*)?)(?:, please pay with fiat or send tao)?",
        ),
        HouseError.MODEL: (
            rf"No endpoints found for {_MODEL}\.",
            rf"{_MODEL} is not a valid model ID",
            rf"The model [`']{_MODEL}[`'] does not exist(?: or you do not have access to it)?\.",
        ),
    }
)
_BODY = msgspec.json.Decoder(Any)


def house_error(body: bytes, upstream_model: str) -> HouseError | None:
    """Say which of these an error's body is; upstream_model: by which name the provider was asked for the model.

    policy  never raises; what is not known is none of them
    """
    try:
        message = _message_in(decode(_BODY, body), _MAX_DEPTH)
    except MalformedAnswer:
        return None
    for error, sentences in _SENTENCES.items():
        for sentence in sentences:
            if re.fullmatch(sentence.replace(_MODEL, re.escape(upstream_model)), message.strip()):
                return error
    return None


def _message_in(value: object, depth: int) -> str:
    if isinstance(value, str):
        return value
    if not isinstance(value, dict) or depth == 0:
        return ""
    return next((_message_in(value[name], depth - 1) for name in ("error", "detail", "message") if name in value), "")
