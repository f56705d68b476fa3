"""What every SQL function may answer beside its own: a refusal, and the limits of whoever asked."""

import msgspec

from shared.core.ids import AccountId, KeyId


class MinuteLimits(msgspec.Struct, frozen=True):
    """Limits per minute and at once; 0 is none."""

    requests_per_minute: int
    tokens_per_minute: int
    concurrency: int


class LimitsPolicy(msgspec.Struct, frozen=True):
    """What the limiter is to hold this key and its account to."""

    account_id: AccountId
    key_id: KeyId
    account: MinuteLimits
    key: MinuteLimits


class Refused(msgspec.Struct, frozen=True, tag_field="verdict", tag="refused"):
    """The database's no, with the numbers a customer needs; policy is None where the key is not known."""

    status: int
    code: str
    numbers: dict[str, int | str]
    policy: LimitsPolicy | None = None
