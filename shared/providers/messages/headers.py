"""Anthropic's two headers, checked; neither goes to a provider."""

import re

from shared.providers.messages.checks import invalid

# The version before them streams other events. The newer of them, which Anthropic's SDKs name since their second major,
# answers alike and refuses temperature, top_p, top_k, documents in what the assistant said and citations in what the
# user said. Most models here have the first three, so they pass under both; documents are refused under both.
# source  https://platform.claude.com/docs/en/api/versioning
VERSIONS = ("2023-06-01", "2026-10-21")
MAX_BETAS = 64

_BETA = re.compile(r"[A-Za-z0-9._:-]{1,100}")


def check_version(header: str | None) -> None:
    """Refuse a version that is not spoken here; a request need not name one.

    raises  InvalidRequest
    """
    if header is not None and header.strip() not in VERSIONS:
        raise invalid("anthropic-version", f"only {' and '.join(VERSIONS)} are spoken here")


def read_betas(header: str | None) -> tuple[str, ...]:
    """Return the names in `anthropic-beta`.

    policy  any name passes: a beta only opens fields and blocks, each of which is judged by itself, and what betas do
            by their name alone (longer context, other streaming of tools) is the provider's to do
    raises  InvalidRequest for what is no list of names
    """
    if header is None or not header.strip():
        return ()
    names = [name.strip() for name in header.split(",")]
    if len(names) > MAX_BETAS or not all(_BETA.fullmatch(name) for name in names):
        raise invalid("anthropic-beta", f"must be up to {MAX_BETAS} names with commas between")
    return tuple(dict.fromkeys(names))
