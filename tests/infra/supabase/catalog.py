"""What the migrations left in the database, read from its own catalog, so that whatever comes later is covered too."""

from dataclasses import dataclass

import psycopg

OURS = ("api", "gateway")

READ_FUNCTIONS = """
    select schema.nspname, function.proname, function.oid::regprocedure::text,
           coalesce(function.proargnames[1:function.pronargs], '{}'),
           array(select format_type(type, null) from unnest(function.proargtypes) as type),
           function.prosecdef, coalesce(function.proconfig, '{}'), obj_description(function.oid, 'pg_proc')
      from pg_proc as function join pg_namespace as schema on schema.oid = function.pronamespace
     where schema.nspname = any (%s) order by 1, 2
"""
READ_RELATIONS = """
    select schema.nspname, relation.relname, relation.relkind::text, relation.relrowsecurity,
           exists (select from pg_constraint where conrelid = relation.oid and contype = 'p'),
           exists (select from pg_attribute where attrelid = relation.oid and attname = 'created_at' and attnotnull),
           obj_description(relation.oid, 'pg_class')
      from pg_class as relation join pg_namespace as schema on schema.oid = relation.relnamespace
     where schema.nspname !~ '^(pg_|information_schema$)' and relation.relkind in ('r', 'p', 'v', 'm', 'S', 'f')
     order by 1, 2
"""


@dataclass(frozen=True, slots=True)
class Function:
    """A function of ours; signature is its name with its types."""

    schema: str
    name: str
    signature: str
    argument_names: list[str]
    argument_types: list[str]
    is_security_definer: bool
    settings: list[str]
    comment: str | None

    @property
    def call(self) -> str:
        """A call with nothing but nulls."""
        arguments = ", ".join(f"null::{name}" for name in self.argument_types)
        return f"select {self.schema}.{self.name}({arguments})"


@dataclass(frozen=True, slots=True)
class Relation:
    """A table, view or sequence of anyone's but PostgreSQL's."""

    schema: str
    name: str
    kind: str
    has_row_security: bool
    has_primary_key: bool
    has_created_at: bool
    comment: str | None

    @property
    def full_name(self) -> str:
        """Its name with its schema."""
        return f"{self.schema}.{self.name}"


def read_functions(session: psycopg.Connection, schema: str | None = None) -> list[Function]:
    """Return the functions of one of our schemas, or of both."""
    schemas = [schema] if schema else list(OURS)
    return [Function(*row) for row in session.execute(READ_FUNCTIONS.encode(), (schemas,)).fetchall()]


def read_relations(session: psycopg.Connection) -> list[Relation]:
    """Return every table, view and sequence that is not PostgreSQL's own."""
    return [Relation(*row) for row in session.execute(READ_RELATIONS.encode()).fetchall()]
