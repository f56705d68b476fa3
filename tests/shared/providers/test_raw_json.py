"""Editing JSON without touching the rest of it."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.providers.raw_json import Fields, MalformedAnswer, edit_object


def keep(_fields: Fields) -> None:
    return None


@given(st.dictionaries(st.text(), st.text(st.characters() | st.characters(categories=["Cs"]))))
def test_text_with_lone_surrogates_survives(fields: dict[str, str]) -> None:
    assert json.loads(edit_object(json.dumps(fields).encode(), keep)) == fields


def test_surrogate_escape_behind_a_backslash_is_left_alone() -> None:
    data = rb'{"a":"\\ud83d","b":"\\\ud83d","c":"\ud83d\ude00"}'
    assert edit_object(data, keep) == data


@pytest.mark.parametrize("data", [b"", b"1", b"[]", b"{", b'{"a":NaN}', b'{"a":1}x', b'{"a":"\\ud83d'])
def test_what_is_no_object_is_malformed(data: bytes) -> None:
    with pytest.raises(MalformedAnswer):
        edit_object(data, keep)
