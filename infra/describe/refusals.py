"""The table of refusals: one row for each code that a customer may read, as its class has it."""

import importlib
import json
import pkgutil
from collections.abc import Iterator
from types import MappingProxyType
from typing import NamedTuple

import functions
import shared
from infra.aws.template import ROOT, read_template
from infra.describe.marks import table
from shared.core.errors import GatewayError

HEAD = ("code", "status", "retry", "what happened, and what to do")
# Of a sweep that nobody waits for.
OF_JOBS = frozenset({"hint_unreadable"})
# What a platform answers before a function of ours runs: infra/aws/refusals.yml has the statuses.
OF_PLATFORMS = MappingProxyType(
    {"gateway_overloaded": "The platform has no instance of the gateway left; wait for `Retry-After`."}
)


class AmbiguousRefusal(Exception):
    """Several classes have one code and say different things of it; the message names them."""


class Row(NamedTuple):
    """One code."""

    code: str
    status: int
    is_retryable: bool
    text: str


def refusal_table() -> str:
    """Return the table, in the order of statuses.

    raises  AmbiguousRefusal
    """
    rows = sorted((*_rows_of_classes(), *_rows_of_platforms()), key=lambda row: (row.status, row.code))
    cells = [(f"`{row.code}`", str(row.status), "yes" if row.is_retryable else "no", row.text) for row in rows]
    return table(HEAD, cells)


def refusal_classes() -> list[type[GatewayError]]:
    """Return every refusal of the product that has a code of its own."""
    for package in (shared, functions):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            importlib.import_module(module.name)
    found = {one for one in _subclasses(GatewayError) if one.__module__.startswith(("shared.", "functions."))}
    with_code = [one for one in found if "code" in vars(one)]
    return sorted(with_code, key=lambda one: (one.code, one.__module__, one.__name__))


def _rows_of_classes() -> Iterator[Row]:
    by_code: dict[str, list[type[GatewayError]]] = {}
    for one in refusal_classes():
        by_code.setdefault(one.code, []).append(one)
    for code, classes in by_code.items():
        if code not in OF_JOBS:
            yield row_of(code, classes)


def row_of(code: str, classes: list[type[GatewayError]]) -> Row:
    """Return what the classes of one code say of it: their `advice`, or else the first of their docstring.

    raises  AmbiguousRefusal
    """
    facts = {(one.status, one.is_retryable) for one in classes}
    advised = {one.advice for one in classes if vars(one).get("advice")}
    texts = advised or {_first_paragraph(one) for one in classes}
    if len(facts) != 1 or len(texts) != 1:
        names = ", ".join(f"{one.__module__}.{one.__name__}" for one in classes)
        raise AmbiguousRefusal(f"{code} is said differently by {names}: give it one status and one `advice`")
    ((status, is_retryable),), (text,) = facts, texts
    return Row(code, status, is_retryable, str(text))


def _rows_of_platforms() -> Iterator[Row]:
    fragment = read_template(ROOT / "infra" / "aws" / "refusals.yml")
    for resource in fragment["Resources"].values():
        properties = resource["Properties"]
        error = json.loads(properties["ResponseTemplates"]["application/json"])["error"]
        if (text := OF_PLATFORMS.get(error["code"])) is not None:
            yield Row(error["code"], int(properties["StatusCode"]), error["retryable"], text)


def _first_paragraph(one: type[GatewayError]) -> str:
    return " ".join((one.__doc__ or "").split("\n\n")[0].split())


def _subclasses(of: type[GatewayError]) -> Iterator[type[GatewayError]]:
    for subclass in of.__subclasses__():
        yield subclass
        yield from _subclasses(subclass)
