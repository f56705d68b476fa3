"""A bucket of S3's, or of whatever speaks as S3 does."""

import asyncio
from collections.abc import Callable
from typing import Any

from shared.core.errors import StoreUnavailable
from shared.core.integrations import ArchiveSettings
from shared.core.log import log_event

CONNECT_TIMEOUT_S = 5
READ_TIMEOUT_S = 30
ATTEMPTS = 3


class ObjectStore:
    """The objects of one bucket; each call waits in a thread of its own, since boto3 knows no other way.

    policy  closed: StoreUnavailable whenever the store does not answer as it must
    """

    def __init__(self, client: Any, bucket: str) -> None:
        self._client = client
        self._bucket = bucket

    async def put(self, key: str, content: bytes) -> None:
        """Store an object, in the place of any that is there.

        raises  StoreUnavailable; a retry is safe
        """
        await self._call(lambda: self._client.put_object(Bucket=self._bucket, Key=key, Body=content))

    async def get(self, key: str) -> bytes:
        """Return an object as it is stored.

        raises  StoreUnavailable, also where there is none
        """

        def read() -> bytes:
            content = self._client.get_object(Bucket=self._bucket, Key=key)["Body"].read()
            assert isinstance(content, bytes)
            return content

        return await self._call(read)

    async def _call[Answer](self, call: Callable[[], Answer]) -> Answer:
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - as in open_object_store

        try:
            return await asyncio.to_thread(call)
        except (BotoCoreError, ClientError, OSError) as error:
            log_event("object_store_failed", level="error", reason=type(error).__name__, code=_code_of(error))
            raise StoreUnavailable("archive") from error


def open_object_store(settings: ArchiveSettings | None) -> ObjectStore | None:
    """Return the bucket; None where none is configured. Without keys it is reached as the function's own role."""
    if settings is None:
        return None
    # It takes a third of a second to import, of every function's start, and few archive anything.
    import boto3  # noqa: PLC0415
    from botocore.config import Config  # noqa: PLC0415

    client = boto3.client(
        "s3",
        region_name=settings.region,
        endpoint_url=settings.url,
        aws_access_key_id=settings.access_key_id,
        aws_secret_access_key=settings.secret_access_key,
        config=Config(
            connect_timeout=CONNECT_TIMEOUT_S,
            read_timeout=READ_TIMEOUT_S,
            retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
            # What speaks as S3 does need not know of its newer checksums.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        ),
    )
    return ObjectStore(client, settings.bucket)


def _code_of(error: Exception) -> str:
    """Return the store's own word for a refusal, which holds nothing of what was sent."""
    response = getattr(error, "response", None)
    return str(response["Error"].get("Code", "")) if isinstance(response, dict) and "Error" in response else ""
