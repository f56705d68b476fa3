"""serverless.yml and its fragments: every group is a function that holds and may do what it needs, and nothing more."""

import importlib
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from infra.aws.settings_check import settings_class
from infra.aws.template import ROOT, TEMPLATE, DeployedFunction, read_functions, read_template
from shared.core.platform import PLATFORM_SIGNS
from tests.infra.aws.serverless import FRAGMENTS, resources, streams

FUNCTIONS = read_functions()
GROUPS = sorted(path.parent.name for path in (ROOT / "functions").glob("*/app.py"))
# The stack's own bucket is reached by the function's role.
OF_OTHER_ARCHIVES = {"ARCHIVE_REGION", "ARCHIVE_ACCESS_KEY_ID", "ARCHIVE_SECRET_ACCESS_KEY", "ARCHIVE_URL"}
# Counts proxies of our own, of which there are none before Lambda.
NOT_OF_AWS = {"HOLD_GRACE_S", "TRUSTED_PROXY_COUNT", *PLATFORM_SIGNS, *OF_OTHER_ARCHIVES}
# One of the two says which key of Privy's counts.
EITHER_OR = ("PRIVY_VERIFICATION_KEY", "PRIVY_JWKS_URL")
# What has a shape of its own; every other variable is any text.
SHAPED = {
    "GATEWAY_URL": "https://gateway.test",
    "APP_URL": "https://app.gateway.test",
    "STRIPE_URL": "https://stripe.test",
    "STRIPE_WEBHOOK_SECRET": "whsec_" + "x" * 16,
    "STRIPE_AUTOMATIC_TAX": "true",
    "RANKING_IMPORT": "openrouter",
    "RESEND_URL": "https://resend.test",
    "EMAIL_FROM": "Gateway <gateway@gateway.test>",
    "OTEL_EXPORTER_OTLP_ENDPOINT": "https://collector.test",
    "OTEL_EXPORTER_OTLP_HEADERS": "x-key=value",
    "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=test",
}
PARAMETER = re.compile(r"arn:\S+:ssm:\S+:parameter/ai-gateway/\$\{self:provider\.stage\}/(\w+)")
SECRET = re.compile(r"sk[-_]|rk_|whsec_|sb_(secret|publishable)_|gw_(live|test|staging|dev)_|AKIA|ASIA|eyJ|BEGIN ")

each_function = pytest.mark.parametrize("function", FUNCTIONS.values(), ids=FUNCTIONS.keys())


def role_of(function: DeployedFunction) -> dict[str, Any]:
    name = re.fullmatch(r"\$\{(\w+)\.Arn\}", function.block["role"]["Fn::Sub"])
    assert name is not None
    role = resources()[name[1]]
    assert role["Type"] == "AWS::IAM::Role"
    return role


def statements_of(function: DeployedFunction) -> Iterator[tuple[str, Any]]:
    """Every action that the function's role allows, with every resource that it allows it on."""
    properties = role_of(function)["Properties"]
    assert "ManagedPolicyArns" not in properties
    for policy in properties["Policies"]:
        for statement in policy["PolicyDocument"]["Statement"]:
            assert statement["Effect"] == "Allow"
            for action in as_list(statement["Action"]):
                for resource in as_list(statement["Resource"]):
                    yield action, resource


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def test_every_group_is_a_function_and_every_function_a_group() -> None:
    assert sorted(FUNCTIONS) == GROUPS


def test_every_fragment_is_included() -> None:
    included = re.findall(r"^  - \$\{file\((\S+)\)\}$", TEMPLATE.read_text(), re.MULTILINE)
    assert sorted(included) == [path.relative_to(ROOT).as_posix() for path in FRAGMENTS]


@each_function
def test_a_function_has_its_own_zip(function: DeployedFunction) -> None:
    assert function.block["package"] == {
        "artifact": f".build/lambda/${{self:provider.architecture}}/{function.group}.zip"
    }


def test_no_two_functions_share_a_role() -> None:
    roles = [str(function.block["role"]) for function in FUNCTIONS.values()]
    assert len(set(roles)) == len(roles)


@each_function
def test_only_lambda_takes_on_a_functions_role(function: DeployedFunction) -> None:
    (statement,) = role_of(function)["Properties"]["AssumeRolePolicyDocument"]["Statement"]
    assert statement["Principal"] == {"Service": "lambda.amazonaws.com"}


@each_function
def test_a_role_reads_exactly_the_functions_parameters(function: DeployedFunction) -> None:
    readable = [resource["Fn::Sub"] for action, resource in statements_of(function) if action == "ssm:GetParameters"]
    names = [match[1] for text in readable if (match := PARAMETER.fullmatch(text))]
    assert len(names) == len(readable)
    assert sorted(names) == sorted(function.parameters)


@each_function
def test_a_role_allows_only_its_own_log_the_queue_of_its_failures_and_its_archive_besides(
    function: DeployedFunction,
) -> None:
    log_group = {"Fn::GetAtt": [f"{function.logical_name}LogGroup", "Arn"]}
    expected: list[tuple[str, Any]] = [("logs:CreateLogStream", log_group), ("logs:PutLogEvents", log_group)]
    if destinations := function.block.get("destinations"):
        expected.append(("sqs:SendMessage", destinations["onFailure"]["arn"]))
    if "ARCHIVE_BUCKET" in function.environment:
        objects = {"Fn::Sub": "${ArchiveBucket.Arn}/*"}
        expected += [("s3:GetObject", objects), ("s3:PutObject", objects)]
    assert [each for each in statements_of(function) if each[0] != "ssm:GetParameters"] == expected


class Recorded(Mapping[str, str]):
    """An environment that remembers which names it was asked for."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        self._variables = variables
        self.asked: set[str] = set()

    def __getitem__(self, name: str) -> str:
        self.asked.add(name)
        return self._variables[name]

    def __iter__(self) -> Iterator[str]:
        raise AssertionError("settings are read by name")

    def __len__(self) -> int:
        return len(self._variables)


@each_function
def test_a_function_is_given_exactly_what_its_settings_read(function: DeployedFunction) -> None:
    parameters = {name: SHAPED.get(name, "x" * 40) for name in function.parameters}
    given = {**parameters, **dict.fromkeys(EITHER_OR, ""), **function.environment}
    environment = Recorded(given)
    settings_class(function.group).read(environment)
    set_here = environment.asked & set(function.environment)
    assert set(function.parameters) == environment.asked - set_here - NOT_OF_AWS


def test_chat_holds_no_payment_mail_admin_or_schedule_secret() -> None:
    chat = FUNCTIONS["chat"]
    held = [*chat.parameters, *chat.environment]
    assert [name for name in held if re.search("STRIPE|RESEND|ADMIN|CRON", name)] == []


def test_no_variable_that_is_set_in_the_template_is_named_like_a_secret() -> None:
    provider = read_template()["provider"]["environment"]
    named = [name for function in FUNCTIONS.values() for name in (*function.environment, *provider)]
    assert [name for name in named if re.search("KEY|SECRET|TOKEN|PASSWORD|CREDENTIAL", name)] == []


@pytest.mark.parametrize("path", [TEMPLATE, *FRAGMENTS], ids=lambda path: path.name)
def test_no_text_looks_like_a_secret(path: Path) -> None:
    assert [line for line in path.read_text().splitlines() if SECRET.search(line)] == []


@each_function
def test_a_handler_is_there(function: DeployedFunction) -> None:
    app = importlib.import_module(f"functions.{function.group}.app")
    if streams(function):
        script = ROOT / function.block["handler"]
        assert os.access(script, os.X_OK)
        assert function.environment["GROUP"] == function.group
        assert app.app
    else:
        assert function.block["handler"] == f"functions.{function.group}.app.handler"
        assert callable(app.handler)


def test_the_api_takes_no_old_tls_under_its_own_host_name_either() -> None:
    policy = read_template()["provider"]["apiGateway"]["endpoint"]["securityPolicy"]
    assert policy.startswith("SecurityPolicy_TLS13_1_2_PFS_")
    assert resources()["ApiDomain"]["Properties"]["SecurityPolicy"] == policy
