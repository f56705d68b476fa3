"""`python -m infra.aws.secrets` against Parameter Store: what it stores, what it refuses, and no value shown."""

import os
import subprocess
import sys
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest

from infra.aws.secrets import DEFAULT_REGION, main
from infra.aws.template import ROOT, read_functions, read_template
from infra.local.ports import LOOPBACK, choose_free_ports
from infra.local.processes import Processes
from tests.deploy.aws.moto_server import moto_service
from tests.infra.aws.test_settings_check import VARIABLES

WITHIN_S = 60


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("account")
    processes = Processes(folder, folder)
    (port,) = choose_free_ports(1)
    service = moto_service(port)
    try:
        processes.start(service)
        processes.wait_ready(service.name)
        yield f"http://{LOOPBACK}:{port}"
    finally:
        processes.stop(service.name)


@dataclass(frozen=True, slots=True)
class Operator:
    """Someone at a shell, with a stage of their own, an env file, and what the last command printed."""

    environment: Mapping[str, str]
    stage: str
    env_file: Path
    printed: pytest.CaptureFixture[str]

    def put(self, variables: Mapping[str, str]) -> tuple[int, str]:
        self.env_file.write_text("".join(f"{name}='{value}'\n" for name, value in variables.items()))
        return self.run("put", "--env-file", str(self.env_file))

    def run(self, command: str, *arguments: str) -> tuple[int, str]:
        """Run one command; return its exit status and all that it printed."""
        status = main([command, "--stage", self.stage, *arguments])
        output = self.printed.readouterr()
        return status, output.out + output.err

    def stored(self) -> dict[str, dict[str, Any]]:
        """Every parameter of the stage by its variable's name, as AWS itself tells it."""
        client = boto3.client("ssm", region_name=DEFAULT_REGION)
        pages = client.get_paginator("get_parameters_by_path").paginate(
            Path=f"/ai-gateway/{self.stage}", WithDecryption=True
        )
        return {each["Name"].rpartition("/")[2]: each for page in pages for each in page["Parameters"]}

    def values(self) -> dict[str, str]:
        return {name: parameter["Value"] for name, parameter in self.stored().items()}


@pytest.fixture
def operator(
    endpoint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Operator:
    environment = {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": "operator",
        "AWS_SECRET_ACCESS_KEY": "operator",
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return Operator(environment, f"stage-{uuid.uuid4().hex[:12]}", tmp_path / "given.env", capsys)


def test_every_variable_is_stored_encrypted_under_its_stage(operator: Operator) -> None:
    status, printed = operator.put(VARIABLES)
    assert (status, operator.values()) == (0, VARIABLES)
    assert {parameter["Type"] for parameter in operator.stored().values()} == {"SecureString"}
    first, *lines = printed.splitlines()
    assert first == f"nothing is stored at /ai-gateway/{operator.stage} yet"
    assert sorted(line.split() for line in lines) == sorted(["new", name] for name in VARIABLES)


def test_only_what_changed_is_stored_again(operator: Operator) -> None:
    operator.put(VARIABLES)
    operator.put({**VARIABLES, "UPSTASH_REDIS_REST_TOKEN": "another", "CRON_SECRET": "c" * 16})
    versions = {name: parameter["Version"] for name, parameter in operator.stored().items()}
    assert versions == {**dict.fromkeys(VARIABLES, 1), "UPSTASH_REDIS_REST_TOKEN": 2, "CRON_SECRET": 1}


def test_one_variable_alone_can_be_replaced(operator: Operator) -> None:
    operator.put(VARIABLES)
    status, printed = operator.put({"SECRET_KEY": "n" * 40})
    assert (status, printed.split()) == (0, ["changed", "SECRET_KEY"])
    assert operator.values() == {**VARIABLES, "SECRET_KEY": "n" * 40}


def test_an_empty_variable_counts_as_not_given_and_is_said_to_be_still_stored(operator: Operator) -> None:
    operator.put(VARIABLES)
    status, printed = operator.put({"SECRET_KEY": "", "OPENROUTER_API_KEY": ""})
    assert (status, operator.values()) == (1, VARIABLES)
    assert "kept       SECRET_KEY" in printed
    # It was never stored, so there is nothing to say.
    assert "OPENROUTER_API_KEY" not in printed


def test_what_serverless_yml_sets_is_left_out(operator: Operator) -> None:
    status, printed = operator.put({**VARIABLES, "CLIENT_ADDRESS_SOURCE": "direct", "FUNCTION_TIME_LIMIT_S": "10"})
    assert (status, operator.values()) == (0, VARIABLES)
    assert "left out   CLIENT_ADDRESS_SOURCE" in printed


@pytest.mark.parametrize(
    ("variables", "reason"),
    [
        ({"SECRET_KEYS": "x" * 40}, "no function reads SECRET_KEYS"),
        ({"PATH": "x" * 40}, "no function reads PATH"),
        ({"SECRET_KEY": "too short"}, "chat would not start: SECRET_KEY"),
        ({"CRON_SECRET": "too short"}, "scheduled would not start: CRON_SECRET"),
        ({"PORTKEY_BASE_URL": "https://portkey.example"}, "chat would not start: PORTKEY_BASE_URL"),
        ({"SUPABASE_URL": "https://your-project.supabase.co"}, "SUPABASE_URL is still what .env.example says"),
        ({"OPENROUTER_API_KEY": "k" * 4097}, "OPENROUTER_API_KEY is longer than 4096 bytes"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_is_stored(
    operator: Operator, variables: dict[str, str], reason: str
) -> None:
    status, printed = operator.put({**VARIABLES, **variables})
    assert (status, operator.stored()) == (1, {})
    assert printed.startswith(reason)


def test_a_first_deployment_without_what_is_needed_is_refused(operator: Operator) -> None:
    status, printed = operator.put({name: value for name, value in VARIABLES.items() if name != "SECRET_KEY"})
    assert (status, printed) == (1, "chat would not start: SECRET_KEY is not set\n")


def test_a_file_that_is_not_there_or_no_env_file_is_told_without_a_trace(operator: Operator) -> None:
    assert operator.run("put", "--env-file", "/nowhere.env")[0] == 1
    operator.env_file.write_text("A=1\nsomething else\n")
    assert operator.run("put", "--env-file", str(operator.env_file))[1].startswith("line 2 ")


def test_the_list_shows_names_versions_and_times_of_one_stage(operator: Operator) -> None:
    operator.put(VARIABLES)
    operator.put({"SECRET_KEY": "n" * 40})
    status, printed = operator.run("list")
    lines = [line.split() for line in printed.splitlines()]
    assert status == 0
    assert [line[-1] for line in lines] == sorted(VARIABLES)
    assert {line[-1]: line[-2] for line in lines} == {**dict.fromkeys(VARIABLES, "1"), "SECRET_KEY": "2"}


def test_a_removed_variable_is_gone_and_its_readers_are_named(operator: Operator) -> None:
    operator.put({**VARIABLES, "CRON_SECRET": "c" * 16})
    status, printed = operator.run("remove", "CRON_SECRET")
    assert (status, operator.values()) == (0, VARIABLES)
    assert printed == "removed    CRON_SECRET, which scheduled reads\n"
    assert operator.run("remove", "CRON_SECRET") == (1, "there is no CRON_SECRET\n")


def test_no_value_is_ever_printed(operator: Operator) -> None:
    values = {name: f"printed-nowhere-{name.lower()}-{'x' * 20}" for name in VARIABLES}
    printed = [
        operator.put(values)[1],
        operator.put({**values, "UPSTASH_REDIS_REST_TOKEN": "printed-nowhere-either"})[1],
        operator.put({"SECRET_KEY": "printed-nowhere"})[1],
        operator.run("list")[1],
        operator.run("remove", "SUPABASE_URL")[1],
    ]
    assert "printed-nowhere" not in "".join(printed)
    assert all(printed)


def test_without_an_account_the_command_says_so(operator: Operator, tmp_path: Path) -> None:
    """As a process of its own: no credentials, and no machine's own to be found."""
    nobody = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_ENDPOINT_URL": operator.environment["AWS_ENDPOINT_URL"],
    }
    command = (sys.executable, "-m", "infra.aws.secrets", "list", "--stage", operator.stage)
    ended = subprocess.run(command, cwd=ROOT, env=nobody, capture_output=True, text=True, timeout=WITHIN_S, check=False)
    assert (ended.returncode, ended.stderr) == (1, "Parameter Store could not be asked to list: NoCredentialsError\n")


def test_the_region_is_the_one_that_osls_deploys_to_unless_told() -> None:
    assert read_template()["provider"]["region"] == f"${{opt:region, '{DEFAULT_REGION}'}}"


def test_the_path_is_the_one_that_the_functions_read() -> None:
    assert read_template()["provider"]["environment"] == {"PARAMETERS_PATH": "/ai-gateway/${self:provider.stage}"}
    assert all(function.parameters for function in read_functions().values())
