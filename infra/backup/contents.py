"""What a database holds, so that a backup can be held against it: rows and sums of every table, and who may do what."""

from typing import Any

import msgspec
import psycopg
from psycopg import sql

# All of the gateway's state, and which migrations it is at.
SCHEMAS = ("gateway", "api", "supabase_migrations")
# However a session is set up, a row is written in one way.
SESSION = b"set timezone = 'UTC'; set datestyle = 'ISO'; set extra_float_digits = 1; set statement_timeout = 0"
TABLES = """
    select format('%%I.%%I', schemaname, tablename) from pg_catalog.pg_tables where schemaname = any(%s) order by 1
"""
# A sum does not depend on the order of rows.
ROWS = """
    select count(*), coalesce(sum(('x' || left(md5(row_of::text), 15))::bit(60)::bigint), 0)::text from {} as row_of
"""
# Entry by entry: in which order they stand, and whether the owner's own are written down, says nothing.
GRANTS = """
    with object (name, acl) as (
        select format('%%I', nspname), coalesce(nspacl, acldefault('n', nspowner))
          from pg_catalog.pg_namespace where nspname = any(%(schemas)s)
        union all
        select oid::regclass::text,
               coalesce(relacl, acldefault(case relkind when 'S' then 's' else 'r' end::"char", relowner))
          from pg_catalog.pg_class
         where relnamespace::regnamespace::text = any(%(schemas)s) and relkind in ('r', 'v', 'm', 'S', 'p')
        union all
        select oid::regprocedure::text, coalesce(proacl, acldefault('f', proowner))
          from pg_catalog.pg_proc where pronamespace::regnamespace::text = any(%(schemas)s)
        union all
        select 'default ' || defaclnamespace::regnamespace::text || ' ' || defaclobjtype::text, defaclacl
          from pg_catalog.pg_default_acl
         where defaclrole = current_user::regrole
           and (defaclnamespace = 0 or defaclnamespace::regnamespace::text = any(%(schemas)s))
    )
    select name, array_to_string(array(
               select format('%%s %%s%%s', grantee::regrole, privilege_type, case when is_grantable then '*' end)
                 from aclexplode(acl) order by 1), ', ')
      from object order by name
"""


class Contents(msgspec.Struct, frozen=True):
    """tables: name -> rows and their sum; grants: object -> who may do what with it."""

    tables: dict[str, tuple[int, str]]
    grants: dict[str, str]

    def describe(self) -> str:
        """Say how much it is."""
        rows = sum(count for count, _ in self.tables.values())
        return f"{len(self.tables)} tables, {rows:,} rows, {len(self.grants)} grants"

    def differences(self, other: "Contents") -> list[str]:
        """Return what the other one lacks, has beside it, or has otherwise."""
        found: list[str] = []
        for mine, its in ((self.tables, other.tables), (self.grants, other.grants)):
            names = sorted({*mine, *its})
            found += [
                f"{name}: {mine.get(name)} became {its.get(name)}" for name in names if mine.get(name) != its.get(name)
            ]
        return found


def read_contents(session: psycopg.Connection[Any]) -> Contents:
    """Read everything, in the transaction that the session is in."""
    tables = [name for (name,) in session.execute(TABLES.encode(), (list(SCHEMAS),))]
    counted: dict[str, tuple[int, str]] = {}
    for name in tables:
        row = session.execute(sql.SQL(ROWS).format(sql.SQL(name))).fetchone()
        assert row is not None
        counted[name] = (row[0], row[1])
    grants = dict(session.execute(GRANTS.encode(), {"schemas": list(SCHEMAS)}).fetchall())
    return Contents(tables=counted, grants=grants)
