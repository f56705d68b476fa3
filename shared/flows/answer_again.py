"""A request that was paid for and comes again when what it went on with is gone: its answer is still its own."""

from shared.core.caller import Caller
from shared.core.verdicts import Refused
from shared.flows.ask import Desk, ask_within_limits
from shared.flows.call import open_replay
from shared.flows.inference import Inference
from shared.flows.open_meter import note_replayed
from shared.ledger.types import Claim, ClaimUnknown, Replay


async def find_answer(
    inference: Inference, desk: Desk, caller: Caller, claim: Claim | None, answer_headers: dict[str, str]
) -> bytes | None:
    """Return what a request was answered when it came before; None where it is not known to have come.

    The caller was counted when he asked for what is gone. answer_headers gets what the first answer's had.

    raises  IdempotencyKeyReused, IdempotencyInProgress, AnswerNotStored; what ask_within_limits raises
    """
    if claim is None or (claim.key_hmacs is None and not claim.is_retry):
        return None
    known = claim

    async def ask() -> Replay | ClaimUnknown | Refused:
        return await inference.ledger.find_answer(caller, known)

    found: Replay | ClaimUnknown = await ask_within_limits(desk, caller.counted(), ask, answer_headers)
    if isinstance(found, ClaimUnknown):
        return None
    note_replayed(found, answer_headers)
    return open_replay(inference, found)
