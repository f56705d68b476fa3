"""docs/deployment.md and environment.md agree with what they describe: tools, variables, addresses, the manifest."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from functions.scheduled.jobs import JOBS
from infra.aws.settings_check import settings_class
from infra.local.stack import ROOT
from infra.package.groups import find_groups
from shared.core.platform import PLATFORM_SIGNS, PLATFORMS
from shared.core.variables import SettingsError
from shared.web.under_way import STOP_LIMIT_S as SETTLING_LIMIT_S
from tests.deploy.dockerfile import read_dockerfile
from tests.infra.aws.serverless import resources

PAGE = (ROOT / "docs" / "deployment.md").read_text()
ENVIRONMENT_PAGE = (ROOT / "docs" / "environment.md").read_text()
TOOL = re.compile(r"npx (\w+)(?:@(\S+))?")
LISTED_VARIABLE = re.compile(r"^([A-Z_]+)=", re.MULTILINE)
YAML_BLOCK = re.compile(r"^```yaml\n(.*?)^```", re.MULTILINE | re.DOTALL)
ALARMS = re.compile(r"there are (\w+) alarms")
NUMBERS = (
    *("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"),
    *("thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen", "twenty"),
)
GROUPS = [group.name for group in find_groups()]
# Enough for every setting to be read; each settings class takes what it knows.
FULL = {
    "SUPABASE_URL": "https://project.example",
    "SUPABASE_SERVICE_ROLE_KEY": "sb_secret_x",
    "UPSTASH_REDIS_REST_URL": "https://redis.example",
    "UPSTASH_REDIS_REST_TOKEN": "token",
    "SECRET_KEY": "x" * 32,
    "CLIENT_ADDRESS_SOURCE": "proxy",
}
# Some variables are asked for only where others are set.
SELLING = {
    "GATEWAY_URL": "https://gateway.example",
    "STRIPE_SECRET_KEY": "sk_test_x",
    "STRIPE_WEBHOOK_SECRET": "whsec_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
    "RESEND_API_KEY": "re_x",
    "EMAIL_FROM": "Gateway <gateway@gateway.example>",
}


class Noting(dict[str, str]):
    """An environment that notes what it is asked for."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.asked: set[str] = set()

    def get(self, name: str, default: Any = None) -> Any:
        self.asked.add(name)
        return super().get(name, default)


def _table(heading: str, page: str = PAGE) -> list[list[str]]:
    section = page.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]
    rows = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows if not row.startswith("|---")]


def _column(group: str) -> dict[str, str]:
    """What the table of variables says for one function, by variable."""
    header, *rows = _table("Which function reads it", ENVIRONMENT_PAGE)
    at = header.index(group)
    return {name: row[at] for row in rows for name in re.findall(r"`([A-Z_]+)`", row[0])}


def _read_settings(group: str, environment: dict[str, str]) -> None:
    settings_class(group).read(environment)


def test_every_tool_is_named_with_one_version_and_the_tests_own_where_they_have_it() -> None:
    named: dict[str, set[str]] = {}
    for name, version in TOOL.findall(PAGE):
        named.setdefault(name, set()).add(version)
    own = json.loads((ROOT / "infra" / "deploy" / "package.json").read_text())
    assert set(named) == {"supabase", "vercel"}
    assert all(len(versions) == 1 and "" not in versions for versions in named.values()), named
    assert named["vercel"] == {own["dependencies"]["vercel"]}
    assert named["supabase"] == {own["optionalDependencies"]["@supabase/cli-linux-x64"]}


def test_the_table_names_every_variable() -> None:
    listed = set(LISTED_VARIABLE.findall((ROOT / ".env.example").read_text()))
    assert set(_column("chat")) == listed


@pytest.mark.parametrize("group", GROUPS)
def test_a_function_reads_what_the_table_says_and_needs_what_it_calls_needed(group: str) -> None:
    column = _column(group)
    environment = Noting({**FULL, **SELLING})
    _read_settings(group, environment)
    assert {name for name, cell in column.items() if cell} == environment.asked - set(PLATFORM_SIGNS)
    assert {name for name, cell in column.items() if cell == "needed"} == set(_needed_by(group))


def _needed_by(group: str) -> Iterator[str]:
    for name in FULL:
        try:
            _read_settings(group, {key: value for key, value in FULL.items() if key != name})
        except SettingsError:
            yield name


def test_the_table_has_a_column_for_every_function_and_no_other() -> None:
    header, *_ = _table("Which function reads it", ENVIRONMENT_PAGE)
    assert sorted(header) == sorted(["variable", *GROUPS])


def test_the_page_counts_the_alarms_that_are_there() -> None:
    there = [name for name, each in resources().items() if each["Type"] == "AWS::CloudWatch::Alarm"]
    assert ALARMS.findall(PAGE) == [NUMBERS[len(there)]]


def test_every_source_of_an_address_is_explained_and_no_other() -> None:
    explained = {
        source for row in _table("Whose address a client has")[1:] for source in re.findall(r"`([a-z]+)`", row[1])
    }
    assert explained == set(PLATFORMS)


def test_the_manifest_runs_the_image_as_it_is_and_gives_it_time_to_stop() -> None:
    manifest = next(block for block in YAML_BLOCK.findall(PAGE) if "kind: Deployment" in block)
    deployment, service, job = yaml.safe_load_all(manifest)
    pod = deployment["spec"]["template"]
    (container,) = pod["spec"]["containers"]
    environment = {variable["name"]: variable["value"] for variable in container["env"]}
    image = dict(line.partition("=")[::2] for line in _image_environment())
    assert str(container["ports"][0]["containerPort"]) == image["PORT"]
    assert {environment["CLIENT_ADDRESS_SOURCE"], environment["TRUSTED_PROXY_COUNT"]} == {"proxy", "1"}
    pause_s = float(container["lifecycle"]["preStop"]["exec"]["command"][1])
    assert pod["spec"]["terminationGracePeriodSeconds"] >= pause_s + int(environment["STOP_LIMIT_S"]) + SETTLING_LIMIT_S
    assert service["spec"]["selector"] == pod["metadata"]["labels"] == deployment["spec"]["selector"]["matchLabels"]
    (run,) = job["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    assert run["image"] == container["image"]
    assert run["command"][:3] == ["python", "-m", "functions.scheduled"]


def test_every_job_is_named_with_how_often_it_is_to_run_and_scheduled_by_the_sql() -> None:
    assert {row[0].strip("`") for row in _table("Schedules")[1:] if row[0].startswith("`")} == set(JOBS)
    (values,) = re.findall(r"from \(values (.*?) as jobs", PAGE, re.DOTALL)
    assert set(re.findall(r"\('(\w+)',", values)) == set(JOBS)


def test_the_image_stops_within_the_thirty_seconds_that_platforms_wait() -> None:
    image = dict(line.partition("=")[::2] for line in _image_environment())
    assert int(image["STOP_LIMIT_S"]) + SETTLING_LIMIT_S < 30


def _image_environment() -> Iterator[str]:
    for instruction in read_dockerfile(ROOT / "Dockerfile"):
        if instruction.name == "ENV":
            yield from instruction.rest.split()
