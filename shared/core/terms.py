"""What plans and trials allow, in the words of more than one domain."""

import msgspec

from shared.core.money import Nanos


class Quota(msgspec.Struct, frozen=True):
    """What the plan allows in a day or month (UTC), None without a limit, and what is used of it."""

    resets_at: str
    requests_limit: int | None
    requests_used: int
    tokens_limit: int | None
    tokens_used: int


class Quotas(msgspec.Struct, frozen=True):
    """Both periods."""

    day: Quota
    month: Quota


class TrialTerms(msgspec.Struct, frozen=True):
    """What a trial is."""

    days: int
    amount_nanos: Nanos
