"""When a client that left ends its answer: the rule alone, for times that no test can wait."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from shared.flows import departure
from shared.flows.chat_request import Chat
from shared.flows.departure import Departure
from shared.ledger.types import Claim, Offer

SDK = Claim(key_hmacs=None, body_hmacs=("b",), is_retry=False, lifetime_s=900)
KEYED = Claim(key_hmacs=("k",), body_hmacs=("b",), is_retry=False, lifetime_s=86_400)
CACHED = {"messages": [{"role": "user", "content": [{"type": "text", "cache_control": {"type": "ephemeral"}}]}]}
SPOKEN = {"messages": [{"role": "user", "content": 'Say "cache_control": twice'}]}


class Clock:
    """A monotonic clock that a test moves."""

    def __init__(self) -> None:
        self.now_s = 1_000.0

    def monotonic(self) -> float:
        return self.now_s

    def pass_time(self, seconds: float) -> None:
        self.now_s += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(departure, "time", clock)
    return clock


def departure_of(
    *,
    claim: Claim | None = None,
    body: dict[str, Any] | None = None,
    generation_path: str | None = "/generation",
    look_up: object | None = "the provider's name for it",
    sees_hang_ups: bool = True,
) -> Departure:
    """Begin a stream; by default one that is stopped as soon as its client leaves."""
    provider = SimpleNamespace(record=SimpleNamespace(generation_path=generation_path))
    chat = SimpleNamespace(
        request=SimpleNamespace(claim=claim, body=body or {}),
        call=SimpleNamespace(
            trail=SimpleNamespace(look_up=look_up),
            inference=SimpleNamespace(sees_hang_ups=sees_hang_ups),
            provider_of=lambda _: provider,
        ),
    )
    return Departure(cast(Chat, chat), cast(Offer, SimpleNamespace()))


READ_ON: dict[str, dict[str, Any]] = {
    "key": {"claim": KEYED},
    "sdk": {"claim": SDK},
    "no record": {"generation_path": None},
    "nothing to ask by": {"look_up": None},
    "cache": {"body": CACHED},
    "may freeze": {"sees_hang_ups": False},
}


@pytest.mark.usefixtures("clock")
@pytest.mark.parametrize("body", [None, SPOKEN])
def test_a_provider_with_a_record_is_stopped_at_once(body: dict[str, Any] | None) -> None:
    assert departure_of(body=body).ends_answer()


@pytest.mark.parametrize("stream", READ_ON.values(), ids=READ_ON.keys())
def test_an_answer_that_is_read_on_is_read_for_two_minutes_and_no_longer(clock: Clock, stream: dict[str, Any]) -> None:
    leaving = departure_of(**stream)
    assert not leaving.ends_answer()
    clock.pass_time(119.9)
    assert not leaving.ends_answer()
    clock.pass_time(0.1)
    assert leaving.ends_answer()


def test_the_two_minutes_count_from_the_leaving_and_not_from_the_first_byte(clock: Clock) -> None:
    leaving = departure_of(generation_path=None)
    leaving.note_written()
    clock.pass_time(500)
    assert not leaving.ends_answer()
    clock.pass_time(119.9)
    assert not leaving.ends_answer()


@pytest.mark.parametrize(("after_s", "is_ended"), [(0.0, False), (1.9, False), (2.0, True), (60.0, True)])
def test_an_sdk_is_in_doubt_for_two_seconds_after_the_first_byte(clock: Clock, after_s: float, is_ended: bool) -> None:
    leaving = departure_of(claim=SDK)
    leaving.note_written()
    clock.pass_time(after_s)
    leaving.note_written()
    assert leaving.ends_answer() is is_ended


def test_an_sdk_that_left_in_doubt_stays_in_doubt_while_its_answer_is_read_on(clock: Clock) -> None:
    leaving = departure_of(claim=SDK)
    leaving.note_written()
    clock.pass_time(1.0)
    assert not leaving.ends_answer()
    clock.pass_time(60.0)
    assert not leaving.ends_answer()


def test_a_client_with_a_key_may_come_again_however_much_it_has_seen(clock: Clock) -> None:
    leaving = departure_of(claim=KEYED)
    leaving.note_written()
    clock.pass_time(60.0)
    assert not leaving.ends_answer()
