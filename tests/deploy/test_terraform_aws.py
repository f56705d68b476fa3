"""The deploy role: who may take it, what it may do, and that what it deploys stays within its boundary."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from infra.local.stack import ROOT
from tests.deploy.terraform_files import TERRAFORM_FOLDER, TerraformFolder

FOLDER = TerraformFolder(TERRAFORM_FOLDER / "aws")
DOCUMENTS = {
    name.removeprefix("aws_iam_policy_document."): body["statement"]
    for name, body in FOLDER.typed("data").items()
    if name.startswith("aws_iam_policy_document.")
}
PERMISSIONS = ("deploy", "functions", "roles")
AWS_FILES = [ROOT / "serverless.yml", *sorted((ROOT / "infra" / "aws").glob("*.yml"))]
# What osls makes of functions, their events and their address, beside the resources that are written down.
MADE_BY_OSLS = {"ApiGateway", "CloudFormation", "Events", "IAM", "Lambda", "Logs", "S3"}


def statements(*documents: str) -> list[dict[str, Any]]:
    return [statement for document in documents for statement in DOCUMENTS[document]]


def rendered(document: str) -> dict[str, Any]:
    """The policy as JSON, each expression replaced by something of its kind."""
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": statement["sid"],
                "Effect": statement.get("effect", "Allow"),
                "Action": statement["actions"],
                "Resource": [
                    re.sub(r"\$\{[^}]*region\}", "eu-central-1", one)
                    .replace("${local.arn}", "arn:aws")
                    .replace("${local.account}", "123456789012")
                    .replace("${local.service}", "ai-gateway")
                    for one in statement["resources"]
                ],
            }
            for statement in DOCUMENTS[document]
        ],
    }


@pytest.mark.parametrize("document", PERMISSIONS)
def test_every_action_of_a_policy_exists_and_every_resource_is_written_as_one(document: str, tmp_path: Path) -> None:
    policy = {"Type": "AWS::IAM::ManagedPolicy", "Properties": {"PolicyDocument": rendered(document)}}
    template = tmp_path / "template.json"
    template.write_text(json.dumps({"Resources": {"Policy": policy}}))
    command = [str(Path(sys.executable).with_name("cfn-lint")), "--", str(template)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


def test_the_role_is_given_to_one_place_of_one_repository() -> None:
    (trust,) = DOCUMENTS["github_may_assume"]
    tests = {condition["variable"]: condition["test"] for condition in trust["condition"]}
    subjects = [condition["values"] for condition in trust["condition"] if condition["variable"].endswith(":sub")]
    assert tests == {"${local.issuer}:aud": "StringEquals", "${local.issuer}:sub": "StringEquals"}
    assert subjects == [["repo:${var.github_repository}:${var.github_subject}"]]


@pytest.mark.parametrize(
    ("variable", "good", "bad"),
    [
        ("github_repository", "acme/gateway", "acme/*"),
        ("github_repository", "acme@12/gateway@34", "acme"),
        ("github_subject", "environment:production", "*"),
        ("github_subject", "ref:refs/heads/main", "ref:refs/heads/*"),
    ],
)
def test_no_wildcard_stands_in_for_a_repository_or_a_place(variable: str, good: str, bad: str) -> None:
    ((condition,),) = (re.findall(r'regex\("(.*?)",', one["condition"]) for one in _validations(variable))
    assert re.search(condition.replace("\\\\", "\\"), good)
    assert not re.search(condition.replace("\\\\", "\\"), bad)


def test_nothing_is_allowed_on_everything_but_what_has_no_name_yet() -> None:
    everywhere = [one["actions"] for one in statements(*PERMISSIONS) if "*" in one["resources"]]
    assert everywhere == [["cloudformation:ValidateTemplate"], ["logs:DescribeLogGroups"]]


def test_the_deploy_role_cannot_change_itself() -> None:
    name = FOLDER.typed("resource")["aws_iam_role.deploy"]["name"]
    assert name.startswith("github-deploys-")
    for statement in statements("roles"):
        assert [
            one
            for one in statement["resources"]
            if not re.search(r"role/(\$\{local\.service\}-|aws-service-role/)", one)
        ] == []


def test_a_role_is_made_only_inside_the_boundary_and_passed_only_to_lambda() -> None:
    conditions = {
        action: statement.get("condition", [{}])[0].get("values")
        for statement in statements("roles")
        for action in statement["actions"]
    }
    for action in ("iam:CreateRole", "iam:PutRolePolicy", "iam:PutRolePermissionsBoundary"):
        assert conditions[action] == ["${aws_iam_policy.functions.arn}"]
    assert conditions["iam:PassRole"] == ["lambda.amazonaws.com"]
    assert not {"iam:AttachRolePolicy", "iam:CreateUser", "iam:DeleteRolePermissionsBoundary"} & set(conditions)


def test_the_boundary_lets_the_functions_do_what_their_roles_say() -> None:
    roles = (ROOT / "infra" / "aws" / "roles.yml").read_text()
    wanted = {
        action
        for actions in re.findall(r"^\s+Action: \[?(.*?)\]?$", roles, re.MULTILINE)
        for action in actions.split(", ")
    }
    assert len(wanted) > 2
    assert wanted <= {action for statement in statements("functions") for action in statement["actions"]}


def test_every_kind_of_thing_that_is_deployed_may_be_made_by_the_deploy_role() -> None:
    kinds = {kind for path in AWS_FILES for kind in re.findall(r"Type: AWS::(\w+)::", path.read_text())} | MADE_BY_OSLS
    allowed = {action.split(":")[0] for one in statements("deploy", "roles") for action in one["actions"]}
    assert {kind.lower() for kind in kinds} <= allowed


def _validations(variable: str) -> list[dict[str, str]]:
    return list(FOLDER.named("variable")[variable]["validation"])
