"""What a request that comes again must be answered, told a second time, on top of the wallet's model.

A claim is never deleted here: whether it stands is read from what became of its request.
"""

from dataclasses import dataclass, field
from uuid import UUID

from tests.sql.books import PROVIDER
from tests.sql.wallet_model import Answer, WalletModel


@dataclass(slots=True, eq=False)
class ClaimModel:
    """One request's claim."""

    hold_id: UUID
    key: str | None
    body: str
    made_at: int
    expires_at: int
    answer: str | None = None
    is_erased: bool = False
    replays: int = 0


@dataclass(slots=True, eq=False)
class ClaimsModel:
    """All claims of one API key."""

    wallet: WalletModel
    claims: list[ClaimModel] = field(default_factory=list)
    keeps_answers: bool = True

    def standing(self) -> list[ClaimModel]:
        """Return the claims by which a request is known now."""
        return [claim for claim in self.claims if self._is_of_a_request(claim) and claim.expires_at > self.wallet.now]

    def admit(
        self, hold_id: UUID, amount: int, lifetime: int, *, key: str | None, body: str, is_retry: bool, known_for: int
    ) -> Answer:
        """Answer again, refuse, or run; a request that runs takes the place of one that died."""
        earlier = self._earlier(key, body, is_retry=is_retry)
        if earlier is not None and (answer := self._again(earlier, body)) is not None:
            return answer
        verdict = self.wallet.admit(hold_id, amount, lifetime)
        if verdict["verdict"] == "admitted":
            if earlier is not None:
                self.wallet.holds[earlier.hold_id].is_superseded = True
            now = self.wallet.now
            self.claims.append(ClaimModel(hold_id, key, body, now, now + known_for))
        return verdict

    def settle(self, hold_id: UUID, cost: int, *, answer: str | None, is_waived: bool) -> Answer:
        """Charge, and keep the first answer."""
        verdict = self.wallet.settle(hold_id, cost, is_waived=is_waived)
        for claim in self.standing():
            if claim.hold_id == hold_id and self.keeps_answers and claim.answer is None and not claim.is_erased:
                claim.answer = answer
        return verdict

    def erase(self, hold_id: UUID) -> None:
        """Erase an answer that is kept or still to come."""
        for claim in self.claims:
            if claim.hold_id == hold_id:
                claim.answer, claim.is_erased = None, True

    def _is_of_a_request(self, claim: ClaimModel) -> bool:
        hold = self.wallet.holds[claim.hold_id]
        return hold.state != "voided" and not hold.is_superseded and not hold.is_waived

    def _earlier(self, key: str | None, body: str, *, is_retry: bool) -> ClaimModel | None:
        if key is not None:
            return next((claim for claim in self.standing() if claim.key == key), None)
        like = [claim for claim in self.standing() if claim.key is None and claim.body == body]
        return min(like, key=lambda claim: (claim.replays, -claim.made_at)) if like and is_retry else None

    def _again(self, claim: ClaimModel, body: str) -> Answer | None:
        named = {"generation_id": claim.hold_id}
        if claim.body != body:
            return {"verdict": "refused", "code": "idempotency_key_reused", "numbers": named}
        state = self.wallet.holds[claim.hold_id].state
        if state == "expired":
            return None
        if state == "held":
            return {"verdict": "refused", "code": "idempotency_in_progress", "numbers": named}
        if claim.answer is None:
            return {"verdict": "refused", "code": "answer_not_stored", "numbers": named}
        claim.replays += 1
        cost = self.wallet.settlements[claim.hold_id]["cost_nanos"]
        return {"verdict": "replay", "provider": PROVIDER, "cost_nanos": cost, "answer": claim.answer, **named}
