import re
import uuid

from shared.core.ids import GenerationId, format_generation_id, new_generation_id, new_request_id


def test_a_generation_id_is_shown_with_its_prefix_and_32_digits() -> None:
    shown = format_generation_id(GenerationId(uuid.UUID("0123456789abcdef0123456789abcdef")))
    assert shown == "gen_0123456789abcdef0123456789abcdef"


def test_a_request_id_can_stand_in_a_header() -> None:
    assert re.fullmatch(r"req_[0-9a-f]{24}", new_request_id())


def test_no_two_ids_are_the_same() -> None:
    assert len({new_generation_id() for _ in range(1000)}) == 1000
    assert len({new_request_id() for _ in range(1000)}) == 1000
