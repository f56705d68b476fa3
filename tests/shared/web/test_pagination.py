"""A list a page at a time, whatever its client writes."""

import base64
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request

from shared.core.errors import InvalidRequest
from shared.web.pagination import Page, list_answer, read_page, write_cursor
from tests.shared.web.asgi import http_scope


def page_of(query: dict[str, str]) -> Page:
    return read_page(Request({**http_scope("/", "GET"), "query_string": urlencode(query).encode()}))


@pytest.mark.parametrize(("query", "limit"), [({}, 20), ({"limit": "1"}, 1), ({"limit": "100"}, 100)])
def test_a_page_has_twenty_items_or_as_many_as_are_asked_for(query: dict[str, str], limit: int) -> None:
    assert page_of(query) == Page(limit=limit, after=None)


@pytest.mark.parametrize("limit", ["0", "101", "-1", "1.5", "", "many", "1e1", "٣", "9" * 5_000, "1\n"])
def test_what_is_no_limit_is_refused(limit: str) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        page_of({"limit": limit})
    assert refusal.value.param == "limit"


@given(st.integers(min_value=0, max_value=2**63 - 1))
def test_an_id_comes_back_from_its_cursor(place: int) -> None:
    assert page_of({"after": write_cursor(place)}).after_id == place


@given(st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), min_size=1, max_size=200))
def test_a_place_comes_back_from_its_cursor(place: str) -> None:
    cursor = write_cursor(place)
    assert cursor.isascii() and "=" not in cursor
    assert page_of({"after": cursor}).after == place


@given(st.text(max_size=200))
def test_no_text_at_all_breaks_a_list(text: str) -> None:
    try:
        page = page_of({"after": text})
    except InvalidRequest as refusal:
        assert refusal.param == "after"
    else:
        assert page.after is not None and page.after.isascii() and page.after.isprintable()


@pytest.mark.parametrize("place", ["abc", "-1", "1.0", "1 or 1=1", "9223372036854775808", "9" * 50, "1,2"])
def test_a_cursor_of_another_list_is_refused_where_ids_are_meant(place: str) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        _ = page_of({"after": write_cursor(place)}).after_id
    assert refusal.value.param == "after"


@pytest.mark.parametrize("raw", [b"", b"\x00", b"\xff\xfe", "é".encode(), b"x" * 201])
def test_a_cursor_that_we_did_not_write_is_refused(raw: bytes) -> None:
    with pytest.raises(InvalidRequest):
        page_of({"after": base64.urlsafe_b64encode(raw).rstrip(b"=").decode()})


@pytest.mark.parametrize("place", ["", "é", "x" * 201, "a\nb"])
def test_a_place_that_could_not_be_read_again_is_not_written(place: str) -> None:
    with pytest.raises(ValueError, match="printable"):
        write_cursor(place)


def test_a_list_says_whether_there_is_more() -> None:
    assert list_answer([1, 2], "MQ") == {"object": "list", "data": [1, 2], "has_more": True, "next": "MQ"}
    assert list_answer([], None) == {"object": "list", "data": [], "has_more": False, "next": None}
