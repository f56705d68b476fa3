"""Facts as words."""

from datetime import datetime

import pytest

from shared.core.money import Nanos
from shared.notifications import words


@pytest.mark.parametrize(
    ("amount", "said"),
    [
        (0, "$0.00"),
        (1, "$0.000000001"),
        (10_000_000, "$0.01"),
        (12_345_000_000, "$12.345"),
        (1_234_567_890_000_000, "$1,234,567.89"),
        (-2_500_000_000, "-$2.50"),
    ],
)
def test_an_amount_is_said_exactly(amount: int, said: str) -> None:
    assert words.dollars(Nanos(amount)) == said


@pytest.mark.parametrize(("amount", "said"), [(0, "$0.00"), (5, "$0.05"), (123_456, "$1,234.56"), (-1, "-$0.01")])
def test_cents_are_said_exactly(amount: int, said: str) -> None:
    assert words.cents(amount) == said


def test_a_time_is_said_in_utc_wherever_it_was_written() -> None:
    assert words.moment(datetime.fromisoformat("2027-01-01T01:30:00+02:00")) == "31 December 2026, 23:30 UTC"


def test_a_text_stays_on_its_line_and_in_its_direction() -> None:
    assert words.one_line("a\r\nb\x00c\u2028d\u202ee\ud800f") == "a  b c d e f"
    assert words.one_line("👩\u200d💻 Zoë") == "👩\u200d💻 Zoë"
