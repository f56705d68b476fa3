"""The way of the files' facts into the store; the next sync of a list reads them there."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec
import psycopg

from infra.catalog.files import FOLDER, read_files


@dataclass(frozen=True, slots=True)
class Published:
    """How many facts a provider has, how many were new or changed, and how many of before are gone."""

    facts: int
    written: int
    removed: int


def publish_facts(database_url: str, folder: Path = FOLDER) -> Mapping[str, Published]:
    """Make the store's facts those of the files; the same again writes nothing.

    raises  FactsError, before anything is written; psycopg.Error, and then nothing is
    """
    providers = read_files(folder)
    published: dict[str, Published] = {}
    with psycopg.connect(database_url) as session:
        for provider, facts in providers.items():
            text = msgspec.json.encode(facts).decode()
            row = session.execute("select api.put_catalog_facts(%s, %s::jsonb)", (provider, text)).fetchone()
            assert row is not None
            published[provider] = Published(facts=len(facts), **row[0])
    return published
