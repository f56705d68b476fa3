"""What every table and function of ours has, now and later."""

import tomllib

import psycopg

from infra.local.migrate import SUPABASE_FOLDER
from tests.infra.supabase.catalog import read_functions, read_relations


def test_every_table_stands_in_the_schema_that_is_not_exposed(owner: psycopg.Connection) -> None:
    schemas = {relation.schema for relation in read_relations(owner) if relation.kind in "rpvm"}
    assert schemas == {"gateway", "supabase_migrations"}


def test_every_table_has_row_security_a_primary_key_its_age_and_a_comment(owner: psycopg.Connection) -> None:
    tables = [relation for relation in read_relations(owner) if relation.schema == "gateway" and relation.kind in "rp"]
    assert len(tables) > 10
    for table in tables:
        has_all = (table.has_row_security, table.has_primary_key, table.has_created_at, bool(table.comment))
        assert has_all == (True, True, True, True), table.full_name


def test_every_function_of_api_acts_as_its_owner_and_trusts_no_search_path(owner: psycopg.Connection) -> None:
    for function in read_functions(owner, "api"):
        assert function.is_security_definer, function.signature
        assert 'search_path=""' in function.settings, function.signature
        assert function.comment, function.signature
        assert all(name.startswith("p_") for name in function.argument_names), function.signature


def test_no_inner_function_acts_as_its_owner(owner: psycopg.Connection) -> None:
    assert [function.signature for function in read_functions(owner, "gateway") if function.is_security_definer] == []


# Parts of a nano-dollar, whole by a check and larger than a bigint, which leave the database only rounded to one.
WHOLE_PARTS = ("allowances", "share", "numeric")
# Of tokens, and money is in none of them.
OF_TOKENS = {("rankings", "share", "numeric"), ("rankings", "trend_percent", "numeric")}


def test_all_money_is_counted_in_whole_nano_dollars(owner: psycopg.Connection) -> None:
    columns = owner.execute(
        "select table_name, column_name, data_type from information_schema.columns"
        " where table_schema = 'gateway' and (data_type in ('numeric', 'real', 'double precision', 'money')"
        " or column_name ~ '_nanos$' and data_type <> 'bigint')"
    )
    assert set(columns.fetchall()) - {WHOLE_PARTS} - OF_TOKENS == set()


def test_the_project_exposes_what_the_local_stack_exposes() -> None:
    config = tomllib.loads((SUPABASE_FOLDER / "config.toml").read_text())
    assert config["api"]["schemas"] == ["api"]
    assert config["db"]["seed"]["sql_paths"] == ["./seed.sql"]
