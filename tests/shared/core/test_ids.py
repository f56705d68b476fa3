import re
import uuid

import pytest

from shared.core.ids import (
    GenerationId,
    format_generation_id,
    new_generation_id,
    new_request_id,
    parse_generation_id,
)


def test_a_generation_id_is_shown_with_its_prefix_and_32_digits() -> None:
    shown = format_generation_id(GenerationId(uuid.UUID("0123456789abcdef0123456789abcdef")))
    assert shown == "gen_0123456789abcdef0123456789abcdef"


def test_a_shown_generation_id_is_read_back() -> None:
    made = new_generation_id()
    assert parse_generation_id(format_generation_id(made)) == made


@pytest.mark.parametrize(
    "text",
    [
        "",
        "gen_",
        "0123456789abcdef0123456789abcdef",
        "gen_0123456789abcdef0123456789abcde",
        "gen_0123456789abcdef0123456789abcdef0",
        "gen_0123456789ABCDEF0123456789ABCDEF",
        "gen_01234567-89ab-cdef-0123-456789abcdef",
        "gen_{0123456789abcdef0123456789abcde}",
        "gen_0123456789abcdef0123456789abcdef\n",
        "gen_" + "\u0661" * 32,
    ],
)
def test_what_is_not_written_as_we_write_it_is_no_generation_id(text: str) -> None:
    assert parse_generation_id(text) is None


def test_a_request_id_can_stand_in_a_header() -> None:
    assert re.fullmatch(r"req_[0-9a-f]{24}", new_request_id())


def test_no_two_ids_are_the_same() -> None:
    assert len({new_generation_id() for _ in range(1000)}) == 1000
    assert len({new_request_id() for _ in range(1000)}) == 1000
