"""Put what providers do not publish into a database, from the files beside this one.

python -m infra.catalog publish [--database-url URL]
"""

import argparse
import os
import sys
from collections.abc import Sequence

import psycopg

from infra.catalog.files import FactsError
from infra.catalog.publish import publish_facts

FAILED = 1


def main(arguments: Sequence[str] | None = None) -> int:
    """Print what was written and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m infra.catalog", description=__doc__)
    parser.add_argument("command", choices=["publish"])
    parser.add_argument("--database-url", default=os.environ.get("DATABASE_URL"), help="default: DATABASE_URL")
    options = parser.parse_args(arguments)
    if not options.database_url:
        parser.error("say which database: --database-url, or the variable DATABASE_URL")
    try:
        published = publish_facts(options.database_url)
    except FactsError as error:
        print(error, file=sys.stderr)
        return FAILED
    except psycopg.Error as error:
        print(f"the facts cannot be written: {error}", file=sys.stderr)
        return FAILED
    for provider, counts in published.items():
        print(f"{provider}: {counts.written} written, {counts.removed} removed, {counts.facts} in all")
    return 0


if __name__ == "__main__":
    sys.exit(main())
