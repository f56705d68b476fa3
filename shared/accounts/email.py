"""The mailbox behind an e-mail address: many addresses reach one, and what is given once is given once to each."""

import unicodedata

# One mailbox under several domains.
# source: https://proton.me/support/addresses-and-aliases, https://support.apple.com/118230
DOMAINS = {
    "googlemail.com": "gmail.com",
    "protonmail.com": "proton.me",
    "protonmail.ch": "proton.me",
    "pm.me": "proton.me",
    "me.com": "icloud.com",
    "mac.com": "icloud.com",
}
# What makes no difference in a name. Who writes to ada+shop@ reaches ada@, at every large provider.
# source: https://support.google.com/mail/answer/7436150,
#         https://www.sindastra.de/p/1775/protonmail-dots-hyphens-and-underscores
IGNORED = {"gmail.com": ".", "proton.me": ".-_"}
# shop@ada.fastmail.com reaches ada@fastmail.com.
# source: https://www.fastmail.help/hc/en-us/articles/360060591053
SUBDOMAIN_ADDRESSING = ("fastmail.com", "fastmail.fm")


def normalise_email(address: str) -> str:
    """Return the address that stands for its mailbox, as far as it is known; nobody is found or let in by it.

    shape   address: one `@`, with something on both sides
    """
    name, _, domain = unicodedata.normalize("NFKC", address).strip().casefold().rpartition("@")
    owner, _, provider = domain.rstrip(".").partition(".")
    if owner and provider in SUBDOMAIN_ADDRESSING:
        name, domain = owner, provider
    name, domain = name.split("+", 1)[0] or name, domain.rstrip(".")
    domain = DOMAINS.get(domain, domain)
    name = name.translate(dict.fromkeys(map(ord, IGNORED.get(domain, "")))) or name
    return f"{name}@{domain}"
