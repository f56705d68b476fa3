"""`python -m infra.secrets` tells which secrets of SECRET_KEY's list are still needed."""

import subprocess
import sys
from secrets import token_hex

import psycopg
import pytest

from infra.local.environment import gateway_environment
from infra.local.stack import ROOT, LocalStack
from infra.secrets import describe
from shared.keys.fingerprint import fingerprint, secret_id
from shared.keys.types import SecretUse

ADD_SECRET = """
    insert into gateway.key_secrets (key_hmac, key_id, expires_at) values (decode(%s, 'hex'), %s, %s::timestamptz)
"""
MAKE_KEY = (
    "insert into gateway.api_keys (account_id, name, environment, masked) values (%s, %s, 'live', '…') returning id"
)


def use(name: str, *, keys: int = 0, sessions: int = 0, pending: int = 0, people: int = 0) -> SecretUse:
    return SecretUse(name, keys=keys, sessions=sessions, pending=pending, people=people)


@pytest.mark.parametrize(
    ("uses", "verdict"),
    [
        ([], "nothing stands under it: if it is old, it may go; if it is new and every instance has it, put it first"),
        ([use("old", keys=3, people=1)], "stays: keys: 3, marks of what people were given once: 1; a key moves"),
        ([use("old", pending=1)], "stays: secrets to be collected: 1"),
        ([use("old", sessions=2)], "may go; then whoever is signed in signs in anew (2)"),
        (
            [use("old", sessions=2, people=1)],
            "may go; then whoever is signed in signs in anew (2), and whoever was given something once may",
        ),
    ],
)
def test_an_older_secret_stays_as_long_as_keys_stand_under_it(uses: list[SecretUse], verdict: str) -> None:
    lines, missing = describe(["new", "old"], uses)
    assert lines[0] == "1. new  newest: nothing yet"
    assert lines[1].startswith(f"2. old  {verdict}")
    assert "24 hours" in lines[2]
    assert missing == []


def test_keys_under_a_secret_that_the_list_lacks_are_told_of() -> None:
    lines, missing = describe(["new"], [use("new", keys=1), use("gone", keys=2), use("left", sessions=3)])
    assert lines == ["1. new  newest: keys: 1"]
    assert missing == ["-  gone  NOT IN THE LIST, put it back: keys: 2"]


def run(stack: LocalStack, **changes: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        (sys.executable, "-m", "infra.secrets"),
        cwd=ROOT, env={**gateway_environment(stack, {}), **changes}, capture_output=True, text=True, timeout=60,
        check=False,
    )  # fmt: skip


def test_the_command_counts_live_keys_by_the_secret_that_they_stand_under(stack: LocalStack) -> None:
    newest, middle, oldest = (token_hex(20) for _ in range(3))
    listed = {"SECRET_KEY": f"{newest},{middle},{oldest}"}
    with psycopg.connect(stack.database_url, autocommit=True) as session:
        account = session.execute("select (api.create_account('secrets', 'free') ->> 'account_id')::bigint").fetchone()
        assert account is not None

        def add(name: str, secret: str, expires_at: str | None, change: str = "") -> int:
            made = session.execute(MAKE_KEY.encode(), (account[0], name)).fetchone()
            assert made is not None
            session.execute(ADD_SECRET.encode(), (fingerprint(name, secret), made[0], expires_at))
            if change:
                session.execute(f"update gateway.api_keys set {change} where id = {made[0]}".encode())
            return int(made[0])

        moved = add("moved later", middle, None, "expires_at = now()")
        for number, (expires_at, change) in enumerate([("2020-01-01", ""), (None, "revoked_at = now()")]):
            add(f"over {number}", oldest, expires_at, change)
        first = run(stack, **listed)
        session.execute(
            "update gateway.key_secrets set key_hmac = decode(%s, 'hex') where key_id = %s",
            (fingerprint("moved later", newest), moved),
        )
        second = run(stack, **listed)
        third = run(stack, SECRET_KEY=middle)
        session.execute("delete from gateway.key_secrets where key_id = %s", (moved,))
    # The stack's own keys stand under its own secret, which these lists lack.
    assert f"2. {secret_id(middle)}  stays: keys: 1;" in first.stdout
    assert f"3. {secret_id(oldest)}  nothing stands" in first.stdout
    assert f"1. {secret_id(newest)}  newest: keys: 1\n" in second.stdout
    assert f"2. {secret_id(middle)}  nothing stands" in second.stdout
    assert third.returncode == 1
    assert f"-  {secret_id(newest)}  NOT IN THE LIST, put it back: keys: 1\n" in third.stdout
    for result in (first, second, third):
        assert not any(secret in result.stdout + result.stderr for secret in (newest, middle, oldest))


def test_the_command_says_what_it_lacks(stack: LocalStack) -> None:
    result = run(stack, SECRET_KEY="")
    assert (result.returncode, result.stdout) == (2, "")
    assert "SECRET_KEY is not set" in result.stderr
    with stack.without("postgrest"):
        assert run(stack).returncode == 2
