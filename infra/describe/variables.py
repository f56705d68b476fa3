"""The tables of variables: what .env.example says of each, and which function reads it, as its settings do."""

import re
from collections.abc import Iterator
from types import MappingProxyType
from typing import Any

from infra.aws.settings_check import settings_class
from infra.describe.marks import table
from infra.package.groups import ROOT, find_groups
from shared.core.variables import SettingsError

NEEDED, MAY = "needed", "may"
EXAMPLE = ROOT / ".env.example"
_LINE = re.compile(r"^([A-Z][A-Z0-9_]*)=(.*)$")
# What is to be put in by whoever copies the file.
_PLACEHOLDER = re.compile(r"^$|your-|…")
# What can be read only where it is right; whatever else a function asks for may be missing.
_SAMPLES = MappingProxyType(
    {
        "SUPABASE_URL": "https://project.example",
        "SUPABASE_SERVICE_ROLE_KEY": "sb_secret_x",
        "UPSTASH_REDIS_REST_URL": "https://redis.example",
        "UPSTASH_REDIS_REST_TOKEN": "x",
        "SECRET_KEY": "x" * 32,
    }
)
# Some variables are asked for only where others are set.
_ALL = MappingProxyType(
    {
        **_SAMPLES,
        "CLIENT_ADDRESS_SOURCE": "proxy",
        "GATEWAY_URL": "https://gateway.example",
        "STRIPE_SECRET_KEY": "sk_test_x",
        "STRIPE_WEBHOOK_SECRET": "whsec_" + "x" * 32,
        "RESEND_API_KEY": "re_x",
        "EMAIL_FROM": "Gateway <gateway@gateway.example>",
    }
)


class _Noting(dict[str, str]):
    """An environment that notes what it is asked for."""

    def __init__(self, values: dict[str, str]) -> None:
        super().__init__(values)
        self.asked: set[str] = set()

    def get(self, name: str, default: Any = None) -> Any:
        self.asked.add(name)
        return super().get(name, default)


def variable_list() -> str:
    """Return the table of what each variable is: the comment before it, in .env.example."""
    rows: dict[str, list[str]] = {}
    for name, value, said in _said():
        rows.setdefault(said, []).append(name if _PLACEHOLDER.search(value) else f"{name}={value}")
    # A page would take an angle for HTML.
    return table(
        ("variable", "what it is"), [(_named(names), said.replace("<", "\\<")) for said, names in rows.items()]
    )


def variable_table() -> str:
    """Return the table of which function needs a variable, and which may have it; those read alike share a row."""
    groups = [group.name for group in find_groups()]
    needed = {group: set(_needed_by(group)) for group in groups}
    asked = {group: _asked_by(group) for group in groups}
    rows: dict[tuple[str, ...], list[str]] = {}
    for name, _, _ in _said():
        cells = (NEEDED if name in needed[group] else MAY if name in asked[group] else "" for group in groups)
        rows.setdefault(tuple(cells), []).append(name)
    return table(("variable", *groups), [(_named(names), *cells) for cells, names in rows.items()])


def _said() -> Iterator[tuple[str, str, str]]:
    """Yield each variable of .env.example, its value and the comment before it; those below each other share theirs."""
    comment: list[str] = []
    is_open = False
    for line in EXAMPLE.read_text().splitlines():
        variable = _LINE.match(line)
        if variable is not None:
            is_open = False
            yield variable[1], variable[2], " ".join(comment)
        elif line.startswith("#"):
            comment = [*(comment if is_open else ()), line.removeprefix("#").strip()]
            is_open = True
        else:
            comment, is_open = [], False


def _asked_by(group: str) -> set[str]:
    environment = _Noting(dict(_ALL))
    settings_class(group).read(environment)
    return environment.asked


def _needed_by(group: str) -> Iterator[str]:
    for name in _SAMPLES:
        try:
            settings_class(group).read({key: value for key, value in _SAMPLES.items() if key != name})
        except SettingsError:
            yield name


def _named(names: list[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)
