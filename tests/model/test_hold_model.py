"""Every state of the model of a hold's life, and proof that the search would find a fault in it."""

from dataclasses import replace
from functools import partial

import pytest

from tests.model.explorer import UNENDING, Counterexample, Explored, TooManyStates, explore
from tests.model.hold_model import HoldModel
from tests.model.hold_state import Rules, Scenario
from tests.model.promises import broken_promise

MOST_STATES = 400_000

# One request and two sweeps, in every order of all steps.
ALONE = Scenario("strangers", requests=1, sweeps=2, is_every_order=True)
# Two requests of one customer that have nothing to do with each other, with credit for one or for both at once.
POOR = Scenario("strangers", credits=3)
RICH = Scenario("strangers", credits=4)
# A request and its retry, with credit for both; and with less, of which the customer spends some elsewhere.
SAME_KEY = Scenario("same key", credits=4)
SDK_RETRY = Scenario("sdk retry", credits=4)
POOR_RETRY = Scenario("sdk retry", credits=2, is_spent_elsewhere=True)

# How many states each has: a model in which nothing happens would break nothing.
STATES = {
    ALONE: 2_689,
    POOR: 43_108,
    RICH: 51_577,
    SAME_KEY: 161_854,
    SDK_RETRY: 105_700,
    POOR_RETRY: 133_802,
}
NAMES = ("alone", "poor", "rich", "same key", "sdk retry", "poor retry")

PAYS_TWICE = "a retry never pays twice"

WITHOUT = {
    "settlement_is_idempotent": (ALONE, "a request is charged at most once"),
    "expiry_empties_the_hold": (ALONE, "what is held and what is free add up to the wallet"),
    "charge_is_bounded_by_what_is_available": (POOR, "no wallet is below zero"),
    "retry_waits_while_the_first_is_held": (SDK_RETRY, PAYS_TWICE),
    "settled_first_is_recognised": (SDK_RETRY, PAYS_TWICE),
    "superseded_is_waived": (SDK_RETRY, PAYS_TWICE),
    "supersession_outlives_the_claim": (SDK_RETRY, PAYS_TWICE),
    "supersedes_only_when_admitted": (POOR_RETRY, "a request is superseded only by one that was admitted"),
    "void_only_before_a_provider": (ALONE, "what the provider billed is recorded"),
    "crash_note_is_waived": (ALONE, "a crash is not charged to the customer"),
    "note_is_due_after_the_hold": (ALONE, "an answer is charged while its hold lives"),
    "note_is_removed_after_the_settlement": (ALONE, "what was written down for later is settled"),
    "sweep_asks_the_provider_first": (ALONE, "only an answer that the provider gave is charged"),
    "sweep_removes_after_it_settled": (ALONE, "what was written down for later is settled"),
    "overdue_holds_expire": (ALONE, UNENDING),
}


def search(scenario: Scenario, rules: Rules | None = None, most_states: int = MOST_STATES) -> Explored:
    model = HoldModel(scenario, rules or Rules())
    return explore(model, partial(broken_promise, scenario), most_states=most_states)


@pytest.mark.parametrize("scenario", STATES, ids=NAMES)
def test_no_order_of_steps_breaks_a_promise_and_every_state_can_come_to_rest(scenario: Scenario) -> None:
    explored = search(scenario)
    assert explored.states == STATES[scenario]


def test_every_rule_of_the_protocol_is_left_out_once() -> None:
    assert set(WITHOUT) == set(Rules.__slots__)


@pytest.mark.parametrize("rule", WITHOUT)
def test_a_protocol_without_the_rule_is_found_out(rule: str) -> None:
    scenario, broken = WITHOUT[rule]
    with pytest.raises(Counterexample) as found:
        search(scenario, replace(Rules(), **{rule: False}))
    assert found.value.rule == broken
    assert found.value.trace[0] == "A: client sends, limiter reserves"


def test_a_supersession_that_lapses_with_its_claim_lets_a_late_settlement_charge_beside_the_retry() -> None:
    with pytest.raises(Counterexample) as found:
        search(SDK_RETRY, Rules(supersession_outlives_the_claim=False))
    told = [step for step in found.value.trace if step.endswith(("time is over", ": admitted", ": settles"))]
    assert told == [
        "A: admitted",
        "A: hold's time is over",
        "B: admitted",
        "A: claim's time is over",
        "A: settles",
        "B: settles",
    ]


def test_a_retry_without_a_key_that_overtakes_its_first_is_not_recognised() -> None:
    # With a key any of the two may come first: SAME_KEY above. Without one nothing tells a first that comes late from
    # another request that asks the same: a limit of the SDKs' sign.
    with pytest.raises(Counterexample, match=PAYS_TWICE) as found:
        search(replace(SDK_RETRY, retry_may_overtake=True))
    assert found.value.trace.index("B: admitted") < found.value.trace.index("A: admitted")


def test_leaving_out_orders_that_cannot_matter_leaves_out_no_end() -> None:
    shortened = search(replace(ALONE, is_every_order=False))
    complete = search(ALONE)
    assert shortened.states < complete.states
    assert shortened.states_at_rest == complete.states_at_rest


def test_a_search_that_would_not_end_is_given_up() -> None:
    with pytest.raises(TooManyStates):
        search(ALONE, most_states=100)
