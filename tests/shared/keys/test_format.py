"""How keys are written."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.core.ids import KeyEnvironment
from shared.keys.format import (
    PREFIXES,
    InvalidApiKey,
    MissingApiKey,
    PresentedKey,
    generate_secret,
    mask,
    parse_secret,
)

BASE62 = string.digits + string.ascii_letters
# Written down once: a change of the format would make every issued key invalid.
KNOWN = "gw_live_0000000000000000000000000000000000000"


@pytest.mark.parametrize("environment", PREFIXES)
def test_generated_key_reads_back(environment: KeyEnvironment) -> None:
    secret = generate_secret(environment)
    assert parse_secret(secret) == PresentedKey(secret=secret, environment=environment)
    assert len(secret) == len(PREFIXES[environment]) + 43


def test_development_is_written_dev() -> None:
    assert generate_secret("development").startswith("gw_dev_")


def test_two_keys_are_never_the_same() -> None:
    assert len({generate_secret("live") for _ in range(1000)}) == 1000


@given(st.integers(0, 42), st.sampled_from(BASE62))
def test_one_wrong_character_is_noticed(place: int, other: str) -> None:
    secret = generate_secret("live")
    at = len("gw_live_") + place
    mistyped = secret[:at] + other + secret[at + 1 :]
    if mistyped == secret:
        return
    with pytest.raises(InvalidApiKey):
        parse_secret(mistyped)


@given(st.integers(8, 49))
def test_two_characters_in_the_wrong_order_are_noticed(at: int) -> None:
    secret = generate_secret("live")
    swapped = secret[:at] + secret[at + 1] + secret[at] + secret[at + 2 :]
    if swapped == secret:
        return
    with pytest.raises(InvalidApiKey):
        parse_secret(swapped)


def test_prefix_is_in_the_sum() -> None:
    with pytest.raises(InvalidApiKey):
        parse_secret(generate_secret("test").replace("gw_test_", "gw_live_"))


@pytest.mark.parametrize(
    "change",
    [
        lambda secret: "",
        lambda secret: secret[:-1],
        lambda secret: secret + "0",
        lambda secret: secret + "\n",
        lambda secret: " " + secret,
        lambda secret: secret.upper(),
        lambda secret: secret.replace("gw_live_", "sk-"),
        lambda secret: secret.replace("gw_live_", "gw_prod_"),
        lambda secret: secret.replace("gw_live_", "gw_development_"),
        lambda secret: secret[:-1] + "é",
        lambda secret: secret[:-1] + "٣",
        lambda secret: "Bearer " + secret,
        lambda secret: "gw_live_" + "0" * 1_000_000,
    ],
)
def test_anything_else_is_refused(change: "object") -> None:
    with pytest.raises(InvalidApiKey) as refused:
        parse_secret(change(generate_secret("live")))  # type: ignore[operator]
    assert (refused.value.status, refused.value.code, refused.value.type) == (
        401,
        "invalid_api_key",
        "authentication_error",
    )


@given(st.text())
def test_no_text_breaks_the_parser(text: str) -> None:
    with pytest.raises(InvalidApiKey):
        parse_secret(text)


def test_known_key_stays_valid() -> None:
    secret = KNOWN + "bTet3R"
    assert parse_secret(secret).environment == "live"


def test_secret_is_in_no_representation_and_no_refusal() -> None:
    secret = generate_secret("live")
    assert secret[8:] not in repr(parse_secret(secret))
    with pytest.raises(InvalidApiKey) as refused:
        parse_secret(secret[:-1])
    assert secret[8:20] not in refused.value.message


def test_mask_shows_four_characters_of_each_end() -> None:
    secret = generate_secret("staging")
    assert mask(secret) == f"gw_staging_{secret[11:15]}…{secret[-4:]}"


@pytest.mark.parametrize("text", ["", "gw_live_short", "sk-1234567890abcdef", "password"])
def test_what_is_no_key_is_not_masked_but_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not an API key"):
        mask(text)


def test_missing_key_says_how_to_send_one() -> None:
    missing = MissingApiKey()
    assert missing.status == 401
    assert "Authorization: Bearer" in missing.message
