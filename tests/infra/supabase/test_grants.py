"""Who may do what: our servers call the functions of api, and nobody else anything at all."""

import psycopg
import pytest
from psycopg import sql

from infra.local.stack import LocalStack
from tests.infra.supabase.catalog import OURS, read_functions, read_relations

OUTSIDERS = ("anon", "authenticated")
TABLE_RIGHTS = "select, insert, update, delete, truncate, references, trigger"

LATER_OBJECTS = """
    create function api.added_later() returns int language sql as $$ select 1 $$;
    create function gateway.added_later() returns int language sql as $$ select 1 $$;
    create table gateway.added_later (id int);
"""


def _take_role(session: psycopg.Connection, role: str) -> None:
    session.execute(sql.SQL("set role {}").format(sql.Identifier(role)))


def _is_denied(session: psycopg.Connection, statement: str) -> bool:
    try:
        with session.transaction(force_rollback=True):
            session.execute(statement.encode())
    except psycopg.errors.InsufficientPrivilege:
        return True
    except psycopg.Error:
        return False
    return False


@pytest.mark.parametrize("role", OUTSIDERS)
def test_an_outsider_may_call_no_function(owner: psycopg.Connection, role: str) -> None:
    functions = read_functions(owner)
    assert {function.schema for function in functions} == set(OURS)
    for function in functions:
        allowed = owner.execute("select has_function_privilege(%s, %s, 'execute')", (role, function.signature))
        assert allowed.fetchone() == (False,), function.signature
    _take_role(owner, role)
    assert [function.signature for function in functions if not _is_denied(owner, function.call)] == []


@pytest.mark.parametrize("role", OUTSIDERS)
def test_an_outsider_may_read_and_write_no_table(owner: psycopg.Connection, role: str) -> None:
    relations = read_relations(owner)
    assert len(relations) > 10
    for relation in relations:
        check = "has_sequence_privilege" if relation.kind == "S" else "has_table_privilege"
        rights = "usage, select, update" if relation.kind == "S" else TABLE_RIGHTS
        allowed = owner.execute(f"select {check}(%s, %s, %s)".encode(), (role, relation.full_name, rights))
        assert allowed.fetchone() == (False,), relation.full_name
    _take_role(owner, role)
    readable = [r.full_name for r in relations if not _is_denied(owner, f"select * from {r.full_name}")]
    assert readable == []


@pytest.mark.parametrize("role", OUTSIDERS)
def test_an_outsider_sees_into_no_schema_of_ours(owner: psycopg.Connection, role: str) -> None:
    for schema in OURS:
        for right in ("usage", "create"):
            allowed = owner.execute("select has_schema_privilege(%s, %s, %s)", (role, schema, right)).fetchone()
            assert allowed == (False,), (schema, right)


def test_our_servers_may_call_every_function_of_api_and_none_of_gateway(owner: psycopg.Connection) -> None:
    functions = read_functions(owner)
    allowed = [
        function
        for function in functions
        if owner.execute(
            "select has_function_privilege('service_role', %s, 'execute')", (function.signature,)
        ).fetchone()
        == (True,)
    ]
    assert allowed == read_functions(owner, "api")
    _take_role(owner, "service_role")
    callable_ones = [function for function in functions if not _is_denied(owner, function.call)]
    assert callable_ones == allowed


def test_our_servers_may_touch_no_table_directly(owner: psycopg.Connection) -> None:
    relations = [relation for relation in read_relations(owner) if relation.schema in OURS]
    _take_role(owner, "service_role")
    assert [r.full_name for r in relations if not _is_denied(owner, f"select * from {r.full_name}")] == []


def test_what_a_later_migration_adds_is_closed_to_outsiders_from_the_start(owner: psycopg.Connection) -> None:
    owner.execute(LATER_OBJECTS)
    for role, is_server in (("anon", False), ("authenticated", False), ("service_role", True)):
        rights = owner.execute(
            "select has_function_privilege(%s, 'api.added_later()', 'execute'),"
            " has_function_privilege(%s, 'gateway.added_later()', 'execute'),"
            " has_table_privilege(%s, 'gateway.added_later', %s)",
            (role, role, role, TABLE_RIGHTS),
        ).fetchone()
        assert rights == (is_server, False, False), role
    for role in OUTSIDERS:
        _take_role(owner, role)
        assert _is_denied(owner, "select api.added_later()")
        owner.execute("reset role")


def test_the_role_that_postgrest_connects_as_may_do_nothing_itself(stack: LocalStack) -> None:
    password, port = stack.credentials.authenticator_password, stack.ports.postgres
    with psycopg.connect(
        f"postgresql://authenticator:{password}@127.0.0.1:{port}/postgres", autocommit=True
    ) as session:
        assert all(_is_denied(session, function.call) for function in read_functions(session))
        for role in ("postgres", "supabase_admin"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                _take_role(session, role)
