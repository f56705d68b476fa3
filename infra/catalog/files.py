"""The files of facts, one for each provider, as the store takes them."""

from collections.abc import Iterator, Mapping
from datetime import date
from decimal import Decimal, InvalidOperation
from pathlib import Path

import msgspec

from shared.catalog.facts import Facts, ModelFact
from shared.core.money import UNITS_PER_RATE, rate_from_dollars

FOLDER = Path(__file__).parent


class FactsError(Exception):
    """A file of facts cannot be published; the message says which, and why."""


class Price(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """US dollars per million tokens, as text: a number in YAML would be rounded."""

    input: str
    output: str
    cached_input: str | None = None
    cache_write: str | None = None


class ModelSaid(ModelFact, frozen=True, forbid_unknown_fields=True):
    """What a file says of a model."""


class Group(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Facts that are from one place."""

    source: str
    read_on: date
    prices: Mapping[str, Price] = {}
    aliases: Mapping[str, str] = {}
    models: Mapping[str, ModelSaid] = {}
    policy: Mapping[str, str] = {}


class Fact(msgspec.Struct, frozen=True):
    """One fact; source infra/supabase/migrations/…_catalog_facts.sql."""

    kind: str
    key: str
    fact: object
    source: str
    read_on: date


def read_files(folder: Path = FOLDER) -> Mapping[str, tuple[Fact, ...]]:
    """Return the facts of every provider that has a file.

    raises  FactsError
    """
    return {path.stem: read_file(path) for path in sorted(folder.glob("*.yaml"))}


def read_file(path: Path) -> tuple[Fact, ...]:
    """Return a provider's facts, each of which the job can read.

    raises  FactsError
    """
    try:
        groups = msgspec.yaml.decode(path.read_bytes(), type=list[Group])
        facts = tuple(fact for group in groups for fact in _facts(group))
        by_kind: dict[str, dict[str, object]] = {}
        for fact in facts:
            if fact.key in by_kind.setdefault(fact.kind, {}):
                raise FactsError(f"{path.name} says {fact.kind} {fact.key} twice")
            by_kind[fact.kind][fact.key] = fact.fact
        msgspec.convert(by_kind, Facts)
    except (msgspec.DecodeError, InvalidOperation, ValueError) as error:
        raise FactsError(f"{path.name}: {error}") from error
    return facts


def _facts(group: Group) -> Iterator[Fact]:
    kinds: Mapping[str, Mapping[str, object]] = {
        "price": {name: _rates(price) for name, price in group.prices.items()},
        "alias": group.aliases,
        "model": {name: _without_none(msgspec.to_builtins(model)) for name, model in group.models.items()},
        "policy": group.policy,
    }
    for kind, facts in kinds.items():
        for key, fact in facts.items():
            yield Fact(kind, key, fact, group.source, group.read_on)


def _rates(price: Price) -> dict[str, object]:
    said = {f"{name}_tokens": dollars for name, dollars in msgspec.structs.asdict(price).items() if dollars is not None}
    return {unit: rate_from_dollars(Decimal(dollars), units=UNITS_PER_RATE) for unit, dollars in said.items()}


def _without_none(fields: Mapping[str, object]) -> dict[str, object]:
    return {name: value for name, value in fields.items() if value is not None}
