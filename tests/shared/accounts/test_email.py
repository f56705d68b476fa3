import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.accounts.email import normalise_email


@pytest.mark.parametrize(
    ("address", "mailbox"),
    [
        ("Ada@Example.COM", "ada@example.com"),
        ("ada+shop@example.com", "ada@example.com"),
        ("ada.l@example.com", "ada.l@example.com"),
        ("a.d.a+x+y@gmail.com", "ada@gmail.com"),
        ("Ada@GoogleMail.com", "ada@gmail.com"),
        ("+ada@example.com", "+ada@example.com"),
        ("...@gmail.com", "...@gmail.com"),
        ("ada@example.com.", "ada@example.com"),
        ("STRASSE@example.com", "strasse@example.com"),
        ("straße@example.com", "strasse@example.com"),
        ("ada@example.com", "ada@example.com"),
        ("Ada.L-x_y+shop@protonmail.com", "adalxy@proton.me"),
        ("adalxy@pm.me", "adalxy@proton.me"),
        ("ada.l@me.com", "ada.l@icloud.com"),
        ("ada.l+shop@mac.com", "ada.l@icloud.com"),
        ("shop@ada.fastmail.com", "ada@fastmail.com"),
        ("ada+shop@fastmail.com", "ada@fastmail.com"),
        ("shop@ada.example.com", "shop@ada.example.com"),
    ],
)
def test_addresses_of_one_mailbox_are_one(address: str, mailbox: str) -> None:
    assert normalise_email(address) == mailbox


PROVIDERS = ["gmail.com", "pm.me", "proton.me", "mac.com", "fastmail.com", "ada.fastmail.com", "a.b.fastmail.fm"]


@given(st.emails(domains=st.sampled_from(PROVIDERS)) | st.emails())
def test_a_mailbox_is_its_own(address: str) -> None:
    mailbox = normalise_email(address)
    assert normalise_email(mailbox) == mailbox
    assert all(mailbox.rpartition("@"))
