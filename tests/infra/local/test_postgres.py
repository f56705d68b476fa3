import os
import subprocess
from pathlib import Path

import psycopg
import pytest

from infra.local.postgres import as_ordinary_user
from infra.local.stack import LocalStack


def test_the_roles_are_as_supabase_has_them(stack: LocalStack) -> None:
    with psycopg.connect(stack.superuser_url) as session:
        rows = session.execute("""
            select rolname, rolsuper, rolcanlogin, rolinherit, rolbypassrls from pg_catalog.pg_roles
             where rolname in ('anon', 'authenticated', 'service_role', 'authenticator', 'postgres') order by rolname
        """).fetchall()
    assert rows == [
        ("anon", False, False, False, False),
        ("authenticated", False, False, False, False),
        ("authenticator", False, True, False, False),
        ("postgres", False, True, True, True),
        ("service_role", False, False, False, True),
    ]


def test_a_function_made_in_public_is_open_to_everyone_as_on_supabase(stack: LocalStack) -> None:
    with psycopg.connect(stack.database_url) as session:
        session.execute("create function public.open_by_default() returns int language sql as 'select 1'")
        row = session.execute("select has_function_privilege('anon', 'public.open_by_default()', 'execute')").fetchone()
        session.rollback()
    assert row == (True,)


def test_the_database_answers_on_loopback_alone(stack: LocalStack) -> None:
    with psycopg.connect(stack.superuser_url) as session:
        rows = session.execute(
            "select setting from pg_catalog.pg_settings"
            " where name in ('listen_addresses', 'unix_socket_directories') order by name"
        ).fetchall()
    assert rows == [("127.0.0.1",), ("",)]


def test_a_wrong_password_is_refused_on_loopback_too(stack: LocalStack) -> None:
    wrong = stack.database_url.replace(stack.credentials.postgres_password, "wrong")
    try:
        psycopg.connect(wrong).close()
    except psycopg.OperationalError as error:
        assert "password authentication failed" in str(error)
    else:
        raise AssertionError("a wrong password was accepted")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has to become someone else")
def test_a_checkout_under_a_closed_home_can_be_run_by_root(tmp_path: Path) -> None:
    closed = tmp_path / "home"
    program = closed / "checkout" / "program"
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\nexit 0\n")
    program.chmod(0o755)
    closed.chmod(0o700)
    prefix = as_ordinary_user()
    # initdb asks access() for its own program before it does anything.
    assert subprocess.run([*prefix, "test", "-x", str(program)], check=False).returncode == 0
    assert subprocess.run([*prefix, "id", "-u"], capture_output=True, text=True, check=True).stdout.strip() != "0"
