"""Identifiers, each its own type, and how the ones we issue are made."""

import re
import secrets
import uuid
from typing import NewType

AccountId = NewType("AccountId", int)
KeyId = NewType("KeyId", int)
PriceId = NewType("PriceId", int)
ModelId = NewType("ModelId", str)
ProviderSlug = NewType("ProviderSlug", str)
RequestId = NewType("RequestId", str)
# One inference request from admission to settlement; its hold and its usage line carry the same UUID.
GenerationId = NewType("GenerationId", uuid.UUID)

_GENERATION_ID = re.compile(r"gen_([0-9a-f]{32})", re.ASCII)


def new_generation_id() -> GenerationId:
    """Return a random id; the ledger admits each one once."""
    return GenerationId(uuid.uuid4())


def format_generation_id(generation_id: GenerationId) -> str:
    """Print the id as the API shows it: `gen_` and 32 hexadecimal digits."""
    return f"gen_{generation_id.hex}"


def parse_generation_id(text: str) -> GenerationId | None:
    """Read an id as `format_generation_id` prints it; None for anything else."""
    match = _GENERATION_ID.fullmatch(text)
    return None if match is None else GenerationId(uuid.UUID(match[1]))


def new_request_id() -> RequestId:
    """Return the id that `X-Request-Id`, every log line and every error of one HTTP request carry."""
    return RequestId(f"req_{secrets.token_hex(12)}")
