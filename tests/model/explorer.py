"""Breadth-first search through every state of a model: what is never broken, and what can always be reached."""

from collections import deque
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, field
from typing import Protocol

UNENDING = "from here no state of rest can be reached"


class Model[S: Hashable](Protocol):
    """What can be searched."""

    def initial(self) -> S:
        """Return the state in which everything begins."""
        ...

    def steps(self, state: S) -> Iterable[tuple[str, S]]:
        """Return what can happen next, each with its name."""
        ...

    def is_at_rest(self, state: S) -> bool:
        """Say whether nothing more needs to happen."""
        ...


@dataclass(frozen=True, slots=True)
class Explored:
    """How much there was to see."""

    states: int
    steps: int
    states_at_rest: int


class Counterexample(Exception):
    """A state that breaks a rule, and the shortest way there."""

    def __init__(self, rule: str, trace: tuple[str, ...], state: Hashable) -> None:
        super().__init__("\n".join((f"{rule}, after:", *(f"  {name}" for name in trace), f"in {state}")))
        self.rule = rule
        self.trace = trace


class TooManyStates(Exception):
    """The model is larger than its search may be."""


@dataclass(slots=True)
class _Seen[S: Hashable]:
    """The states found so far, each by its number, with the step that found it and those that lead to it."""

    states: list[S]
    numbers: dict[S, int]
    found_by: list[tuple[int, str]]
    leading_to: list[list[int]]
    at_rest: list[int] = field(default_factory=list)
    steps: int = 0

    def trace(self, number: int) -> tuple[str, ...]:
        names: list[str] = []
        while number != 0:
            number, name = self.found_by[number]
            names.append(name)
        return tuple(reversed(names))


def explore[S: Hashable](model: Model[S], broken_rule: Callable[[S], str | None], *, most_states: int) -> Explored:
    """Visit every state that can be reached.

    broken_rule: names a rule that a state breaks

    raises  Counterexample for a state that breaks a rule or from which no rest can be reached; TooManyStates
    """
    initial = model.initial()
    seen = _Seen([initial], {initial: 0}, [(0, "")], [[]])
    _check(model, broken_rule, seen, 0)
    waiting = deque([0])
    while waiting:
        number = waiting.popleft()
        for name, following in model.steps(seen.states[number]):
            seen.steps += 1
            if following not in seen.numbers:
                _add(seen, following, (number, name), most_states)
                _check(model, broken_rule, seen, len(seen.states) - 1)
                waiting.append(len(seen.states) - 1)
            seen.leading_to[seen.numbers[following]].append(number)
    _check_rest_can_be_reached(seen)
    return Explored(len(seen.states), seen.steps, len(seen.at_rest))


def _add[S: Hashable](seen: _Seen[S], state: S, found_by: tuple[int, str], most_states: int) -> None:
    if len(seen.states) == most_states:
        raise TooManyStates(f"more than {most_states}")
    seen.numbers[state] = len(seen.states)
    seen.states.append(state)
    seen.found_by.append(found_by)
    seen.leading_to.append([])


def _check[S: Hashable](model: Model[S], broken_rule: Callable[[S], str | None], seen: _Seen[S], number: int) -> None:
    state = seen.states[number]
    if rule := broken_rule(state):
        raise Counterexample(rule, seen.trace(number), state)
    if model.is_at_rest(state):
        seen.at_rest.append(number)


def _check_rest_can_be_reached[S: Hashable](seen: _Seen[S]) -> None:
    """Walk backwards from every state of rest; whatever is not met leads nowhere."""
    leads_to_rest = bytearray(len(seen.states))
    waiting: list[int] = []
    for number in seen.at_rest:
        leads_to_rest[number] = 1
        waiting.append(number)
    while waiting:
        for before in seen.leading_to[waiting.pop()]:
            if not leads_to_rest[before]:
                leads_to_rest[before] = 1
                waiting.append(before)
    first_lost = leads_to_rest.find(0)
    if first_lost >= 0:
        raise Counterexample(UNENDING, seen.trace(first_lost), seen.states[first_lost])
