"""The whole local stack: its stores, started in parallel on free ports, with data in one folder."""

import contextlib
import fcntl
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

from infra.local.credentials import Credentials, load_or_create_credentials
from infra.local.mail_catcher.service import mail_service
from infra.local.migrate import MIGRATIONS_FOLDER, apply_migrations, apply_seed
from infra.local.ports import LOOPBACK, answers_http, choose_free_ports
from infra.local.postgres import SUPERUSER, bootstrap_cluster, database_url, postgres_service, prepare_cluster
from infra.local.postgrest import postgrest_service
from infra.local.privy_issuer import HEALTH_PATH as PRIVY_HEALTH_PATH
from infra.local.privy_issuer import JWKS_PATH
from infra.local.privy_tokens import SigningKey
from infra.local.process_records import end_leftovers
from infra.local.processes import Processes, Service, StackError
from infra.local.redis import redis_rest_service, redis_service
from infra.local.stripe_double.service import stripe_service
from infra.local.supabase_front import HEALTH_PATH

ROOT = Path(__file__).parents[2]
# Tells the user what is being done while it is being done.
Step = Callable[[str], AbstractContextManager[None]]


@dataclass(frozen=True, slots=True)
class Ports:
    """Where the parts listen, all on loopback."""

    postgres: int
    postgrest: int
    postgrest_admin: int
    front: int
    redis: int
    redis_rest: int
    simulator: int
    privy: int
    stripe: int
    mail: int


def silent_step(_: str) -> AbstractContextManager[None]:
    """Report nothing."""
    return nullcontext()


class LocalStack:
    """PostgreSQL, PostgREST and its front, Redis and its REST emulator; who plays providers, Privy, Stripe, Resend.

    keeps_data: a later start finds what this one left; else the folder is wiped and nothing waits for the disk.
    """

    def __init__(
        self, folder: Path, *, keeps_data: bool, step: Step = silent_step, migrations: Path = MIGRATIONS_FOLDER
    ) -> None:
        self._folder = folder.resolve()
        self._keeps_data = keeps_data
        self._step = step
        self._migrations = migrations
        self._lock: IO[str] | None = None
        for name in ("run", "logs"):
            (self._folder / name).mkdir(parents=True, exist_ok=True)
        self.processes = Processes(self._folder / "run", self._folder / "logs")
        self.ports = Ports(*choose_free_ports(10))
        self.credentials: Credentials = load_or_create_credentials(self._folder / "credentials.json")

    @property
    def supabase_url(self) -> str:
        """The address that a Supabase project has."""
        return f"http://{LOOPBACK}:{self.ports.front}"

    @property
    def redis_rest_url(self) -> str:
        """The address that an Upstash database has."""
        return f"http://{LOOPBACK}:{self.ports.redis_rest}"

    @property
    def simulator_url(self) -> str:
        """Where the simulated providers answer."""
        return f"http://{LOOPBACK}:{self.ports.simulator}"

    @property
    def privy_url(self) -> str:
        """Where tokens are issued as Privy issues them."""
        return f"http://{LOOPBACK}:{self.ports.privy}"

    @property
    def stripe_url(self) -> str:
        """Where payments are made as at Stripe."""
        return f"http://{LOOPBACK}:{self.ports.stripe}"

    @property
    def _stripe_path(self) -> Path:
        return self._folder / "stripe.pickle"

    @property
    def mail_url(self) -> str:
        """Where e-mails are caught, and shown on a page."""
        return f"http://{LOOPBACK}:{self.ports.mail}"

    @property
    def jwks_url(self) -> str:
        """Where the key is published that those tokens are signed with."""
        return self.privy_url + JWKS_PATH

    @property
    def privy_key_path(self) -> Path:
        """Where that key is kept."""
        return self._folder / "privy_key.pem"

    @property
    def privy_key(self) -> SigningKey:
        """The key itself; a test signs with it what Privy never would."""
        return SigningKey.load_or_create(self.privy_key_path)

    @property
    def database_url(self) -> str:
        """The database for the owner of migrations, who is no superuser."""
        return database_url("postgres", self.credentials.postgres_password, self.ports.postgres)

    @property
    def superuser_url(self) -> str:
        """The database for the superuser, who on Supabase is not ours to use."""
        return database_url(SUPERUSER, self.credentials.superuser_password, self.ports.postgres)

    def start(self) -> None:
        """Start everything, apply migrations and seed; what has to wait for nothing starts first.

        raises  StackError; call stop() then as well
        """
        self.take_folder()
        self._wipe()
        others = (self._simulator(), self._privy(), self._stripe(), self._mail())
        for service in (self._redis(), self._redis_rest(), self._front(), *others):
            self.processes.start(service)
        with self._step("PostgreSQL"):
            folder = self._folder / "postgres"
            prepare_cluster(folder, self.credentials, keeps_data=self._keeps_data)
            self.start_service(self._postgres())
            bootstrap_cluster(folder, self.ports.postgres, self.credentials)
        with self._step("migrations and seed"):
            apply_migrations(self.database_url, self._migrations)
            apply_seed(self.database_url)
        with self._step(
            "PostgREST, Redis, the provider simulator, the Privy issuer, the Stripe double, the mail catcher"
        ):
            self.processes.start(self._postgrest())
            for name in self.processes.names():
                self.processes.wait_ready(name)

    def start_service(self, service: Service) -> None:
        """Start one more program with the stack and wait until it is ready.

        raises  StackError
        """
        self.processes.start(service)
        self.processes.wait_ready(service.name)

    @property
    def has_folder(self) -> bool:
        """Whether the folder is ours at the moment."""
        return self._lock is not None

    def take_folder(self) -> None:
        """Keep the folder to ourselves until stop(), and end what a killed start left there.

        raises  StackError while another process has it
        """
        if self._lock is not None:
            return
        lock = (self._folder / "lock").open("a+")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            owner = lock.read().strip()
            lock.close()
            raise StackError(f"already running in this checkout (process {owner}); stop it first") from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        self._lock = lock
        if leftovers := end_leftovers(self._folder / "run"):
            with self._step(f"ended what a killed start had left: {', '.join(leftovers)}"):
                pass

    @contextlib.contextmanager
    def without(self, name: str) -> Iterator[None]:
        """Stop one store for a while and bring it back at the same address.

        raises  StackError, KeyError for a name that is no store
        """
        service = self._store(name)
        self.processes.stop(name)
        try:
            yield
        finally:
            self.start_service(service)
            for other in self.processes.names():
                self.processes.wait_ready(other)

    def stop(self) -> None:
        """Stop everything: first what uses the stores, so that it can finish its work, then the stores."""
        doubles = ("simulator", "privy-issuer", "stripe", "mail-catcher")
        stores = ("supabase-front", "redis-rest", "postgrest", "redis", *doubles)
        self.processes.stop(*(name for name in self.processes.names() if name not in (*stores, "postgres")))
        self.processes.stop(*stores)
        self.processes.stop("postgres")
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def _wipe(self) -> None:
        """Delete the last start's logs, and its data unless that is kept."""
        for log in (self._folder / "logs").iterdir():
            log.unlink()
        if not self._keeps_data:
            (self._folder / "postgres.complete").unlink(missing_ok=True)
            for name in ("postgres", "redis"):
                shutil.rmtree(self._folder / name, ignore_errors=True)

    def _store(self, name: str) -> Service:
        return {
            "postgres": self._postgres,
            "postgrest": self._postgrest,
            "redis": self._redis,
            "redis-rest": self._redis_rest,
            "supabase-front": self._front,
            "simulator": self._simulator,
            "privy-issuer": self._privy,
            "stripe": self._stripe,
            "mail-catcher": self._mail,
        }[name]()

    def _postgres(self) -> Service:
        folder = self._folder / "postgres"
        return postgres_service(folder, self.ports.postgres, self.credentials, keeps_data=self._keeps_data)

    def _postgrest(self) -> Service:
        ports = self.ports
        return postgrest_service(ports.postgrest, ports.postgrest_admin, ports.postgres, self.credentials)

    def _redis(self) -> Service:
        folder, ports = self._folder / "redis", self.ports
        return redis_service(folder, ports.redis, ports.redis_rest, self.credentials, keeps_data=self._keeps_data)

    def _redis_rest(self) -> Service:
        return redis_rest_service(self.ports.redis_rest, self.ports.redis, self.credentials)

    def _front(self) -> Service:
        module = ("-m", "infra.local.supabase_front", "--port", str(self.ports.front))
        return Service(
            name="supabase-front",
            command=(sys.executable, *module, "--postgrest-port", str(self.ports.postgrest)),
            environment={"PYTHONPATH": str(ROOT), "STACK_CREDENTIALS": json.dumps(asdict(self.credentials))},
            is_ready=lambda: answers_http(self.ports.front, HEALTH_PATH),
        )

    def _simulator(self) -> Service:
        return Service(
            name="simulator",
            command=(sys.executable, "-m", "infra.local.simulator", "--port", str(self.ports.simulator)),
            environment={"PYTHONPATH": str(ROOT)},
            is_ready=lambda: answers_http(self.ports.simulator, "/_sim/health"),
        )

    def _privy(self) -> Service:
        # Made here, so that a test has it as soon as the stack stands.
        SigningKey.load_or_create(self.privy_key_path)
        module = ("-m", "infra.local.privy_issuer", "--port", str(self.ports.privy))
        return Service(
            name="privy-issuer",
            command=(sys.executable, *module, "--key", str(self.privy_key_path)),
            environment={"PYTHONPATH": str(ROOT)},
            is_ready=lambda: answers_http(self.ports.privy, PRIVY_HEALTH_PATH),
        )

    def _stripe(self) -> Service:
        return stripe_service(self.ports.stripe, self._stripe_path if self._keeps_data else None)

    def _mail(self) -> Service:
        return mail_service(self.ports.mail)
