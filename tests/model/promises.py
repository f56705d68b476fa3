"""What must be true of a wallet and its requests: at every moment, and once nothing more happens."""

from tests.model.hold_state import COSTS, Request, Scenario, State


def broken_promise(scenario: Scenario, state: State) -> str | None:
    """Name a promise that the state breaks."""
    broken = _broken_by_wallet(scenario, state)
    if scenario.relation != "strangers":
        broken = broken or _broken_by_retry(state)
    is_at_rest = state.is_at_rest
    for index, request in enumerate(state.requests):
        broken = broken or _broken_by_request(request, COSTS[index])
        broken = broken or (_broken_at_rest(request) if is_at_rest else None)
    return broken


def _broken_by_wallet(scenario: Scenario, state: State) -> str | None:
    charges = sum(request.charged for request in state.requests) + state.spent_elsewhere
    if state.posted != scenario.credits - charges:
        return "the wallet is what was credited less what was charged"
    if state.free < 0:
        return "no wallet is below zero"
    if state.free + sum(request.part for request in state.requests) != state.posted:
        return "what is held and what is free add up to the wallet"
    if state.is_settlement_refused:
        return "no settlement is refused"
    return None


def _broken_by_retry(state: State) -> str | None:
    charged = sum(request.line == "charged" for request in state.requests)
    if charged > 1 and state.is_promised:
        return "a retry never pays twice"
    admitted = sum(request.hold != "none" for request in state.requests)
    superseded = sum(request.is_superseded for request in state.requests)
    if superseded and superseded >= admitted:
        return "a request is superseded only by one that was admitted"
    return None


def _broken_by_request(request: Request, cost: int) -> str | None:
    if request.charged > cost:
        return "a request is charged at most once"
    if request.charged and request.provider != "billed":
        return "only an answer that the provider gave is charged"
    if request.charged and request.step == "crashed":
        return "a crash is not charged to the customer"
    is_given_away = request.line == "waived" and request.provider == "billed" and not request.is_superseded
    if is_given_away and request.hold == "settled":
        return "an answer is charged while its hold lives"
    if request.part and request.hold != "held":
        return "only a live hold has money"
    return None


def _broken_at_rest(request: Request) -> str | None:
    if request.provider == "billed" and request.line == "none" and request.hold != "expired":
        return "what the provider billed is recorded"
    if request.is_kept and request.line == "none":
        return "what was written down for later is settled"
    return None
