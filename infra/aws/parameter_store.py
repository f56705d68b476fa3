"""Parameter Store as the operator sees it: one stage's parameters, encrypted, by the names of the variables."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

# GetParameters takes at most ten names.
BATCH_SIZE = 10
# What the standard tier, the one without a price, takes.
MAX_VALUE_BYTES = 4096
MAX_LISTED = 1000
PATIENCE = Config(connect_timeout=5, read_timeout=10, retries={"mode": "standard", "max_attempts": 4})


class StoreError(Exception):
    """Parameter Store refused or could not be reached; the message has no value in it."""


@dataclass(frozen=True, slots=True)
class StoredParameter:
    """What may be shown of a parameter."""

    name: str
    version: int
    changed_at: datetime


class ParameterStore:
    """One stage's parameters; every method raises StoreError, and repeating a call is safe."""

    def __init__(self, *, stage: str, region: str) -> None:
        self.path = f"/ai-gateway/{stage}"
        try:
            self._client = boto3.client("ssm", region_name=region, config=PATIENCE)
        except BotoCoreError as error:
            raise StoreError(str(error)) from error

    def read(self, names: Iterable[str]) -> dict[str, str]:
        """Return the values of those that exist."""
        paths = [f"{self.path}/{name}" for name in names]
        found: dict[str, str] = {}
        for start in range(0, len(paths), BATCH_SIZE):
            with _refusals_without_values("read"):
                answer = self._client.get_parameters(Names=paths[start : start + BATCH_SIZE], WithDecryption=True)
            found |= {self._name(each): each["Value"] for each in answer["Parameters"]}
        return found

    def describe(self) -> list[StoredParameter]:
        """Return every parameter of the stage by name, without its value."""
        pages = self._client.get_paginator("describe_parameters").paginate(
            ParameterFilters=[{"Key": "Path", "Option": "OneLevel", "Values": [self.path]}],
            PaginationConfig={"MaxItems": MAX_LISTED},
        )
        with _refusals_without_values("list"):
            found = [each for page in pages for each in page["Parameters"]]
        parameters = [StoredParameter(self._name(each), each["Version"], each["LastModifiedDate"]) for each in found]
        return sorted(parameters, key=lambda parameter: parameter.name)

    def write(self, name: str, value: str) -> None:
        """Store a value under the account's own key for parameters, over what was there."""
        with _refusals_without_values(f"store {name}"):
            self._client.put_parameter(
                Name=f"{self.path}/{name}", Value=value, Type="SecureString", Tier="Standard", Overwrite=True
            )

    def remove(self, name: str) -> bool:
        """Remove a parameter; False where there was none."""
        with _refusals_without_values(f"remove {name}"):
            answer = self._client.delete_parameters(Names=[f"{self.path}/{name}"])
        return bool(answer["DeletedParameters"])

    def _name(self, parameter: dict[str, Any]) -> str:
        path: str = parameter["Name"]
        return path.removeprefix(f"{self.path}/")


@contextmanager
def _refusals_without_values(what: str) -> Iterator[None]:
    """Turn AWS's errors into ours: their own words may quote what was sent."""
    try:
        yield
    except ClientError as error:
        raise StoreError(f"Parameter Store refused to {what}: {error.response['Error']['Code']}") from None
    except BotoCoreError as error:
        raise StoreError(f"Parameter Store could not be asked to {what}: {type(error).__name__}") from None
