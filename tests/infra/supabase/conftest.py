from collections.abc import Iterator

import psycopg
import pytest

from infra.local.stack import LocalStack


@pytest.fixture
def owner(stack: LocalStack) -> Iterator[psycopg.Connection]:
    """A session of the tables' owner; nothing it does stays."""
    with psycopg.connect(stack.database_url) as session:
        yield session
        session.rollback()
