"""The answers of functions, read as API Gateway and function URLs read them."""

import base64
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from tests.deploy.aws.web_adapter import STREAM_SEPARATOR

# An answer's metadata must be whole within so many bytes.
MAX_METADATA_BYTES = 16_384
FIELDS = frozenset({"statusCode", "headers", "multiValueHeaders", "cookies", "body", "isBase64Encoded"})


class MalformedAnswer(Exception):
    """The function did not answer in the format of proxy integrations."""


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """The start of an answer, and its body where it came whole."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes = field(default=b"", repr=False)


def read_buffered(payload: bytes, *, takes_bytes: bool) -> HttpAnswer:
    """Read an answer that came whole; its bytes stay in base64 for a client that does not take them.

    raises  MalformedAnswer
    """
    try:
        answer = json.loads(payload)
        if not isinstance(answer, dict) or not answer.keys() <= FIELDS:
            raise MalformedAnswer(payload[:200])
        body = (answer.get("body") or "").encode()
        is_base64 = bool(answer.get("isBase64Encoded"))
        return _read(answer, base64.b64decode(body) if is_base64 and takes_bytes else body)
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise MalformedAnswer(payload[:200]) from error


async def read_start(chunks: AsyncIterator[bytes]) -> tuple[HttpAnswer, AsyncIterator[bytes]]:
    """Read the metadata before a streamed body, and return the body, which is still to come.

    raises  MalformedAnswer, FunctionError
    """
    received = b""
    async for chunk in chunks:
        received += chunk
        metadata, separator, rest = received.partition(STREAM_SEPARATOR)
        if separator:
            try:
                return _read(json.loads(metadata)), _preceded(rest, chunks)
            except (ValueError, KeyError, AttributeError, TypeError) as error:
                raise MalformedAnswer(metadata[:200]) from error
        if len(received) > MAX_METADATA_BYTES:
            break
    raise MalformedAnswer(received[:200])


async def _preceded(first: bytes, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    if first:
        yield first
    async for chunk in chunks:
        yield chunk


def _read(answer: dict[str, Any], body: bytes = b"") -> HttpAnswer:
    headers = [
        (name, str(value))
        for name, values in {**(answer.get("headers") or {}), **(answer.get("multiValueHeaders") or {})}.items()
        for value in (values if isinstance(values, list) else [values])
    ]
    cookies = [("set-cookie", cookie) for cookie in answer.get("cookies") or ()]
    return HttpAnswer(int(answer["statusCode"]), (*headers, *cookies), body)
