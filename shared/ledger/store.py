"""The ledger's functions, one call each. Money moves there and nowhere else."""

from collections.abc import Mapping

import msgspec

from shared.clients.database import Database
from shared.core.caller import Caller
from shared.core.ids import GenerationId, PriceId
from shared.core.verdicts import Refused
from shared.ledger.generations import Erased, Generation
from shared.ledger.types import (
    AdmissionRequest,
    Admitted,
    Claim,
    ClaimUnknown,
    Counted,
    DeadLetter,
    DeadLetterKind,
    Extended,
    Quantities,
    Replay,
    Settlement,
    Swept,
    Unchanged,
    Usage,
    Voided,
)


class Ledger:
    """The books, reached through one database.

    policy  closed: StoreUnavailable whenever the store does not answer as it must
    source  infra/supabase/migrations
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def admit(self, request: AdmissionRequest) -> Admitted | Replay | Refused:
        """Check everything that must be true before a provider is called, and hold what the request may cost.

        A request that came before and was paid for is answered with what was kept of its answer, and holds nothing.

        raises  StoreUnavailable; a retry with the same generation id is safe and moves nothing twice
        """
        return await self._database.call(
            "admit",
            {
                "p_generation_id": str(request.generation_id),
                "p_caller": request.caller.to_json(),
                "p_models": list(request.models),
                "p_providers": None if request.providers is None else list(request.providers),
                "p_request": {
                    "input_tokens": request.bounds.input_tokens,
                    "images": request.bounds.images,
                    "choices": request.bounds.choices,
                    "output_tokens": request.bounds.output_tokens,
                    "reasoning_output_tokens": request.bounds.reasoning_output_tokens,
                    "is_cheapest_only": request.bounds.is_cheapest_only,
                    "output": request.bounds.output,
                    "image_size": request.bounds.image_size,
                    "image_quality": request.bounds.image_quality,
                },
                "p_lifetime_s": request.lifetime_s,
                "p_claim": None if request.claim is None else request.claim.to_json(),
            },
            Admitted | Replay | Refused,  # type: ignore[arg-type]  # a union is a type to msgspec, not yet to mypy
        )

    async def find_answer(self, caller: Caller, claim: Claim) -> Replay | ClaimUnknown | Refused:
        """Tell what a request that came before was answered; nothing is held, and nothing admitted.

        raises  StoreUnavailable; a retry is safe
        """
        return await self._database.call(
            "find_answer",
            {"p_caller": caller.to_json(), "p_claim": claim.to_json()},
            Replay | ClaimUnknown | Refused,  # type: ignore[arg-type]
        )

    async def extend_hold(
        self, generation_id: GenerationId, price_id: PriceId, quantities: Quantities
    ) -> Extended | Refused:
        """Raise a hold to what these total quantities cost; the total is absolute, so asking twice takes once.

        raises  StoreUnavailable; a retry is safe
        """
        return await self._database.call(
            "extend_hold",
            {"p_generation_id": str(generation_id), "p_price_id": price_id, "p_quantities": quantities.to_json()},
            Extended | Refused,  # type: ignore[arg-type]
        )

    async def settle(self, generation_id: GenerationId, usage: Usage) -> Settlement | Refused:
        """Charge what a request used and free the rest of its hold.

        raises  StoreUnavailable; a retry is safe, a hold settles once
        """
        return await self._database.call(
            "settle",
            {
                "p_generation_id": str(generation_id),
                "p_price_id": usage.price_id,
                "p_quantities": usage.quantities.to_json(),
                "p_usage_source": usage.source.value,
                "p_facts": {
                    "outcome": usage.outcome.value,
                    "is_stream": usage.is_stream,
                    "attempts": msgspec.to_builtins(usage.attempts),
                    "first_byte_ms": usage.first_byte_ms,
                    "duration_ms": usage.duration_ms,
                    "reasoning_tokens": usage.reasoning_tokens,
                    "request": msgspec.to_builtins(usage.request),
                    "upstream_id": usage.upstream_id,
                },
                "p_reported_cost_nanos": usage.reported_cost_nanos,
                "p_waived_reason": usage.waived_reason,
                "p_answer": usage.answer,
            },
            Settlement | Refused,  # type: ignore[arg-type]
        )

    async def void_hold(self, generation_id: GenerationId) -> Voided | Unchanged | Refused:
        """End a hold at no charge; only for a request that reached no provider.

        raises  StoreUnavailable; a retry is safe
        """
        return await self._database.call(
            "void_hold",
            {"p_generation_id": str(generation_id)},
            Voided | Unchanged | Refused,  # type: ignore[arg-type]
        )

    async def read_generation(self, generation_id: GenerationId, caller: Caller) -> Generation | Refused:
        """Tell what one request of the key's account was and cost.

        raises  StoreUnavailable; a retry is safe
        """
        return await self._database.call(
            "read_generation",
            {"p_generation_id": str(generation_id), "p_caller": caller.to_json()},
            Generation | Refused,  # type: ignore[arg-type]
        )

    async def erase_answer(self, generation_id: GenerationId, caller: Caller) -> Erased | Refused:
        """Erase what is kept of an answer for a retry; the bill stays.

        raises  StoreUnavailable; a retry is safe
        """
        return await self._database.call(
            "erase_answer",
            {"p_generation_id": str(generation_id), "p_caller": caller.to_json()},
            Erased | Refused,  # type: ignore[arg-type]
        )

    async def expire_holds(self) -> Swept:
        """Let go of holds whose time is over and close lots that have expired, some hundreds of wallets at a call.

        raises  StoreUnavailable; a retry is safe, and so are two at once
        """
        return await self._database.call("expire_holds", {}, Swept)

    async def erase_answers(self) -> Counted:
        """Erase the answers and receipts whose time is over, and old secrets of rotated keys, some at a call.

        raises  StoreUnavailable; a retry is safe, and so are two at once
        """
        return await self._database.call("erase_answers", {}, Counted)

    async def add_dead_letter(
        self, kind: DeadLetterKind, subject: str, *, payload: Mapping[str, object], reason: str, tries: int
    ) -> DeadLetter:
        """Keep for an admin what could not be done; once more for the same subject keeps one.

        raises  StoreUnavailable; a retry is safe
        """
        return await self._database.call(
            "add_dead_letter",
            {"p_kind": kind, "p_subject": subject, "p_payload": payload, "p_reason": reason, "p_tries": tries},
            DeadLetter,
        )
