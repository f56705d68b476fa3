"""Identifiers, each its own type, and how the ones we issue are made."""

import re
import secrets
import uuid
from typing import Literal, NewType

AccountId = NewType("AccountId", int)
KeyId = NewType("KeyId", int)
PriceId = NewType("PriceId", int)
# A conversation that an account keeps, and a message of one.
ChatSessionId = NewType("ChatSessionId", int)
ChatMessageId = NewType("ChatMessageId", int)
ModelId = NewType("ModelId", str)
ProviderSlug = NewType("ProviderSlug", str)
RequestId = NewType("RequestId", str)
# Who someone is to Privy, as a token says that was verified; nothing else finds an account.
PrivyId = NewType("PrivyId", str)
# One inference request from admission to settlement; its hold and its usage line carry the same UUID.
GenerationId = NewType("GenerationId", uuid.UUID)

KeyEnvironment = Literal["live", "test", "staging", "development"]

_GENERATION_ID = re.compile(r"gen_([0-9a-f]{32})", re.ASCII)
# The database counts in 64 bits.
_KEY_ID = re.compile(r"key_([1-9]\d{0,17})", re.ASCII)
_USER_ID = re.compile(r"user_([1-9]\d{0,17})", re.ASCII)
_CHAT_SESSION_ID = re.compile(r"sess_([1-9]\d{0,17})", re.ASCII)


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


def format_key_id(key_id: KeyId) -> str:
    """Print a key's id as the API shows it: `key_42`. It names the key and is no secret."""
    return f"key_{key_id}"


def parse_key_id(text: str) -> KeyId | None:
    """Read an id as `format_key_id` prints it; None for anything else."""
    match = _KEY_ID.fullmatch(text)
    return None if match is None else KeyId(int(match[1]))


def format_chat_session_id(session_id: ChatSessionId) -> str:
    """Print the id of a conversation as the API shows it: `sess_42`."""
    return f"sess_{session_id}"


def parse_chat_session_id(text: str) -> ChatSessionId | None:
    """Read an id as `format_chat_session_id` prints it; None for anything else."""
    match = _CHAT_SESSION_ID.fullmatch(text)
    return None if match is None else ChatSessionId(int(match[1]))


def format_chat_message_id(message_id: ChatMessageId) -> str:
    """Print the id of a stored message as the API shows it: `msg_42`."""
    return f"msg_{message_id}"


def format_user_id(account_id: AccountId) -> str:
    """Print whose an account is as the API shows it: `user_1000`."""
    return f"user_{account_id}"


def parse_user_id(text: str) -> AccountId | None:
    """Read an id as `format_user_id` prints it; None for anything else."""
    match = _USER_ID.fullmatch(text)
    return None if match is None else AccountId(int(match[1]))


def new_request_id() -> RequestId:
    """Return the id that `X-Request-Id`, every log line and every error of one HTTP request carry."""
    return RequestId(f"req_{secrets.token_hex(12)}")
