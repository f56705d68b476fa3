"""The mailbox behind an e-mail address: many addresses reach one, and what is given once is given once to each."""

import unicodedata

# Who writes to ada+shop@ reaches ada@, at every large provider; here dots in the name make no difference either.
# source: https://support.google.com/mail/answer/7436150
DOTLESS_DOMAINS = {"gmail.com": "gmail.com", "googlemail.com": "gmail.com"}


def normalise_email(address: str) -> str:
    """Return the address that stands for its mailbox; nobody is found or let in by it.

    shape   address: one `@`, with something on both sides
    """
    name, _, domain = unicodedata.normalize("NFKC", address).strip().casefold().rpartition("@")
    name, domain = name.split("+", 1)[0] or name, domain.rstrip(".")
    if domain in DOTLESS_DOMAINS:
        name, domain = name.replace(".", "") or name, DOTLESS_DOMAINS[domain]
    return f"{name}@{domain}"
