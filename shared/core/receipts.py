"""How a POST outside inference is known again: by its Idempotency-Key, in the transaction of its own effect."""

from collections.abc import MutableMapping
from typing import Any

import msgspec


class Receipt(msgspec.Struct, frozen=True, kw_only=True):
    """Fingerprints of the Idempotency-Key and of the request that came with it, one for each secret, newest first.

    route: the endpoint and what its path names, for whoever reads the table
    """

    key_hmacs: tuple[str, ...]
    body_hmacs: tuple[str, ...]
    route: str

    def to_json(self, *, sealed: str | None = None) -> dict[str, Any]:
        """Say it as the SQL functions take it, as p_receipt.

        sealed: the part of the answer that is a secret, as Sealer.seal wrote it; given back within ten minutes only
        source  gateway.find_receipt in infra/supabase/migrations
        """
        return {
            "key_hmacs": list(self.key_hmacs),
            "body_hmacs": list(self.body_hmacs),
            "sealed": sealed,
            "route": self.route,
        }


def receipt_json(receipt: Receipt | None, *, sealed: str | None = None) -> dict[str, Any] | None:
    """Say it as the SQL functions take it; null where the request has no Idempotency-Key."""
    return None if receipt is None else receipt.to_json(sealed=sealed)


def note_replay(answer_headers: MutableMapping[str, str]) -> None:
    """Have the answer say that it was given before."""
    answer_headers["Idempotent-Replayed"] = "true"
