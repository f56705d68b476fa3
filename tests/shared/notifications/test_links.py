"""Signed links: what they end, and that nobody else can make one."""

from urllib.parse import parse_qs, urlsplit

import pytest

from shared.core.ids import AccountId
from shared.notifications.links import Subscription, read_unsubscribe_token, unsubscribe_url
from shared.notifications.types import CATEGORIES, Category
from tests.shared.notifications.facts import GATEWAY_URL, SECRET

OTHER = "another secret of the tests, as long as it"


def token_of(category: Category = "trial", account_id: int = 1000, secret: str = SECRET) -> str:
    url = unsubscribe_url(GATEWAY_URL, Subscription(AccountId(account_id), category), secret)
    return parse_qs(urlsplit(url).query)["token"][0]


@pytest.mark.parametrize("category", CATEGORIES)
def test_a_link_names_its_account_and_its_kind(category: Category) -> None:
    assert read_unsubscribe_token(token_of(category), (SECRET,)) == Subscription(AccountId(1000), category)


def test_a_link_of_an_older_secret_is_still_ours() -> None:
    assert read_unsubscribe_token(token_of(secret=OTHER), (SECRET, OTHER)) is not None
    assert read_unsubscribe_token(token_of(secret=OTHER), (SECRET,)) is None


@pytest.mark.parametrize(
    "token",
    [
        "",
        "1000.trial.",
        "1000.trial." + "0" * 64,
        token_of()[:-1],
        token_of() + "0",
        token_of().replace("1000", "1001"),
        token_of().replace("trial", "payments"),
        token_of().replace(".", ":"),
        token_of().upper(),
        "\u0661" + token_of()[1:],
        "9" * 40 + ".trial." + "0" * 64,
        "x" * 100_000,
    ],
)
def test_nobody_else_makes_one(token: str) -> None:
    assert read_unsubscribe_token(token, (SECRET,)) is None


def test_there_is_no_link_for_what_cannot_be_switched_off() -> None:
    forged = token_of("account")  # type: ignore[arg-type]
    assert read_unsubscribe_token(forged, (SECRET,)) is None


def test_nothing_is_signed_without_a_secret() -> None:
    with pytest.raises(ValueError, match="empty"):
        token_of(secret="")
