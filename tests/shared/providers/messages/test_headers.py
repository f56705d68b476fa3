"""The two headers of Anthropic's clients."""

import pytest

from shared.core.errors import InvalidRequest
from shared.providers.messages.headers import check_version, read_betas


@pytest.mark.parametrize("version", [None, "2023-06-01", " 2023-06-01 ", "2026-10-21"])
def test_version_that_is_spoken_passes(version: str | None) -> None:
    check_version(version)


@pytest.mark.parametrize("version", ["", "2023-01-01", "2099-01-01", "latest"])
def test_version_that_is_not_spoken_is_refused(version: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        check_version(version)
    assert refused.value.param == "anthropic-version"


def test_betas_are_read_once_each() -> None:
    assert read_betas(None) == read_betas("") == ()
    assert read_betas("claude-code-20250219, interleaved-thinking-2025-05-14,claude-code-20250219") == (
        "claude-code-20250219",
        "interleaved-thinking-2025-05-14",
    )


@pytest.mark.parametrize("header", ["a,,b", "a b", ",", "x" * 101, ",".join(["x"] * 65), "é"])
def test_what_is_no_list_of_betas_is_refused(header: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        read_betas(header)
    assert refused.value.param == "anthropic-beta"
