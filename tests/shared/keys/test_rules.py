"""What may stand in a key's settings, and in which one form."""

from collections.abc import Callable

import pytest

from shared.keys.rules import (
    MAX_GLOB_LENGTH,
    MAX_NAME_LENGTH,
    MAX_SPEND_DOLLARS,
    read_domain,
    read_model_glob,
    read_name,
    read_network,
    read_spend_amount,
)


@pytest.mark.parametrize(
    ("text", "network"),
    [
        ("192.0.2.7", "192.0.2.7/32"),
        (" 192.0.2.0/24 ", "192.0.2.0/24"),
        ("192.0.2.0/255.255.255.0", "192.0.2.0/24"),
        ("0.0.0.0/0", "0.0.0.0/0"),
        ("2001:DB8::1", "2001:db8::1/128"),
        ("2001:db8::/32", "2001:db8::/32"),
        ("::/0", "::/0"),
        ("::ffff:192.0.2.7", "192.0.2.7/32"),
        ("::ffff:192.0.2.0/120", "192.0.2.0/24"),
        ("::ffff:c000:207", "192.0.2.7/32"),
        ("::ffff:0:0/96", "0.0.0.0/0"),
        ("::/64", "::/64"),
    ],
)
def test_an_address_or_a_network_has_one_form(text: str, network: str) -> None:
    assert read_network(text) == network


@pytest.mark.parametrize(
    "text",
    ["", "localhost", "192.0.2", "192.0.2.256", "192.0.2.0/33", "192.0.2.7/24", "2001:db8::1/32",
     "::ffff:192.0.2.7/120", "fe80::1%eth0",
     "192.0.2.1,192.0.2.2", "192.0.2.0-192.0.2.9", "0x7f.1", "010.0.0.1", "*", "1" * 4000],
)  # fmt: skip
def test_what_is_no_network_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"^(must|has)"):
        read_network(text)


def test_a_network_with_too_many_bits_is_told_the_one_that_was_meant() -> None:
    with pytest.raises(ValueError, match=r"write 192\.0\.2\.0/24"):
        read_network("192.0.2.7/24")


@pytest.mark.parametrize(
    ("text", "domain"),
    [
        ("example.com", "example.com"),
        (" App.Example.COM ", "app.example.com"),
        ("*.Example.com", "*.example.com"),
        ("localhost", "localhost"),
        ("127.0.0.1", "127.0.0.1"),
        ("xn--mnchen-3ya.de", "xn--mnchen-3ya.de"),
        ("my_host.example", "my_host.example"),
        ("a" * 63 + ".example", "a" * 63 + ".example"),
    ],
)
def test_a_domain_has_one_form(text: str, domain: str) -> None:
    assert read_domain(text) == domain


@pytest.mark.parametrize(
    "text",
    ["", "*", "*.", "*.com", "*.localhost", "**.example.com", "*example.com", "a.*.example.com", "https://example.com",
     "example.com/", "example.com:443", "example.com.", ".example.com", "exa mple.com", "exa..mple.com", "-a.example",
     "a-.example", "münchen.de", "exam%le.com", "a" * 64 + ".example", ".".join(["a" * 60] * 5), "exa\nmple.com"],
)  # fmt: skip
def test_what_is_no_domain_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"^(must|would)"):
        read_domain(text)


@pytest.mark.parametrize("text", ["openai/gpt-5-mini", "openai/*", "*", "a/b:free", "x" * MAX_GLOB_LENGTH, "100%_\\"])
def test_a_model_pattern_stays_as_it_is(text: str) -> None:
    assert read_model_glob(text) == text


@pytest.mark.parametrize("text", ["", " ", "open ai/*", "openai/\n", "modèle", "x" * (MAX_GLOB_LENGTH + 1)])
def test_what_is_no_model_pattern_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must be a model's id"):
        read_model_glob(text)


@pytest.mark.parametrize(
    ("text", "name"), [("ci", "ci"), ("  my key ", "my key"), ("Schlüssel 🔑", "Schlüssel 🔑"), ("x" * 100, "x" * 100)]
)
def test_a_name_is_kept_without_the_spaces_around_it(text: str, name: str) -> None:
    assert read_name(text) == name


@pytest.mark.parametrize("text", ["", "   ", "a\nb", "a\x00b", "\ud800", "a\u202eb", "x" * (MAX_NAME_LENGTH + 1)])
def test_what_is_no_name_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must be 1 to"):
        read_name(text)


@pytest.mark.parametrize(
    ("amount", "nanos"),
    [("25.50", 25_500_000_000), ("0.000000001", 1), (10, 10_000_000_000), ("007", 7_000_000_000),
     (str(MAX_SPEND_DOLLARS), MAX_SPEND_DOLLARS * 10**9)],
)  # fmt: skip
def test_a_spend_limit_is_exact(amount: str | int, nanos: int) -> None:
    assert read_spend_amount(amount) == nanos


@pytest.mark.parametrize(
    "amount",
    ["", "0", 0, "-1", -1, "1e3", "1,5", "0.0000000001", "NaN", "Infinity", "٣", " 1", "1 USD", MAX_SPEND_DOLLARS + 1,
     "9" * 4000],
)  # fmt: skip
def test_what_is_no_spend_limit_is_refused(amount: str | int) -> None:
    with pytest.raises(ValueError, match="must be US dollars"):
        read_spend_amount(amount)


@pytest.mark.parametrize(
    ("rule", "text"),
    [(read_network, "192.0.2.0/24"), (read_domain, "*.example.com"), (read_name, "a b"), (read_model_glob, "a/*")],
)
def test_what_a_rule_returns_it_takes_again(rule: Callable[[str], str], text: str) -> None:
    assert rule(rule(text)) == rule(text)
