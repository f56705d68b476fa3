"""What osls makes of serverless.yml, without an account: CloudFormation's own linter finds nothing, and nor do we."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from infra.aws.template import ROOT, read_functions
from infra.local.processes import inherited_environment
from infra.package.dependencies import ARCHITECTURES
from tests.infra.aws.serverless import has_address, is_scheduled, streams

OSLS = ROOT / "infra" / "deploy" / "node_modules" / ".bin" / "osls"
CFN_LINT = Path(sys.executable).with_name("cfn-lint")
WITHIN_S = 120
CERTIFICATE = "arn:aws:acm:eu-central-1:123456789012:certificate/0f0e0d0c-0b0a-0908-0706-050403020100"
BOUNDARY = "arn:aws:iam::123456789012:policy/functions-of-ai-gateway"
FUNCTIONS = read_functions()
# Each function's resource, and the group that it is.
GROUPS = {f"{function.logical_name}LambdaFunction": group for group, function in FUNCTIONS.items()}
STREAMING = {group for group, function in FUNCTIONS.items() if streams(function)}
ADDRESSED = {group for group, function in FUNCTIONS.items() if has_address(function)}


@dataclass(frozen=True, slots=True)
class Template:
    """A packaged template and the file that holds it."""

    path: Path
    resources: dict[str, dict[str, Any]]
    outputs: dict[str, Any]

    def of_type(self, name: str) -> dict[str, dict[str, Any]]:
        return {key: each for key, each in self.resources.items() if each["Type"] == name}

    def property(self, resource: str, name: str) -> Any:
        return self.resources[resource]["Properties"][name]


def package(folder: Path, *arguments: str) -> Template:
    """Run `osls package` where there is no account, with zips that hold nothing: it does not look into them."""
    shutil.copy(ROOT / "serverless.yml", folder)
    (folder / "infra").symlink_to(ROOT / "infra")
    for architecture in ARCHITECTURES:
        zips = folder / ".build" / "lambda" / architecture
        zips.mkdir(parents=True)
        for group in FUNCTIONS:
            (zips / f"{group}.zip").write_bytes(b"")
    command = [str(OSLS), "package", *arguments]
    environment = {**inherited_environment(), "HOME": str(folder), "CI": "1"}
    ended = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=WITHIN_S, check=False
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    path = folder / ".serverless" / "cloudformation-template-update-stack.json"
    content = json.loads(path.read_text())
    return Template(path, content["Resources"], content["Outputs"])


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Template:
    """Nothing asked for."""
    return package(tmp_path_factory.mktemp("plain"))


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Template:
    """Everything asked for that can be."""
    return package(
        tmp_path_factory.mktemp("full"),
        *("--stage", "prod", "--region", "eu-central-1"),
        *("--param", "arch=x86_64"),
        *("--param", "alarmEmail=ops@example.com"),
        *("--param", "domain=api.example.com"),
        *("--param", f"certificateArn={CERTIFICATE}"),
        *("--param", f"permissionsBoundary={BOUNDARY}"),
    )


@pytest.fixture(params=["plain", "full"])
def template(request: pytest.FixtureRequest) -> Template:
    made: Template = request.getfixturevalue(request.param)
    return made


def test_cloudformations_linter_finds_nothing(template: Template) -> None:
    command = [str(CFN_LINT), str(template.path)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=WITHIN_S, check=False)
    assert (ended.returncode, ended.stdout + ended.stderr) == (0, "")


def test_every_function_has_its_own_zip_log_and_role_and_osls_adds_none(template: Template) -> None:
    found = template.of_type("AWS::Lambda::Function")
    zips = [each["Properties"]["Code"]["S3Key"].rpartition("/")[2] for each in found.values()]
    roles = [each["Properties"]["Role"]["Fn::Sub"].strip("${}").removesuffix(".Arn") for each in found.values()]
    assert sorted(zips) == sorted(f"{group}.zip" for group in FUNCTIONS)
    assert sorted(roles) == sorted(template.of_type("AWS::IAM::Role"))
    retentions = [each["Properties"]["RetentionInDays"] for each in template.of_type("AWS::Logs::LogGroup").values()]
    assert retentions == [30] * len(FUNCTIONS)


def test_a_functions_variables_are_names_and_settings_and_no_value_from_outside(template: Template) -> None:
    for function in FUNCTIONS.values():
        variables = template.property(f"{function.logical_name}LambdaFunction", "Environment")["Variables"]
        assert set(variables) == {"PARAMETERS_PATH", "PARAMETERS", *function.environment}
        of_the_stack = {name: value for name, value in variables.items() if not isinstance(value, str)}
        assert of_the_stack == ({"ARCHIVE_BUCKET": {"Ref": "ArchiveBucket"}} if function.group == "scheduled" else {})
        assert variables["PARAMETERS_PATH"].startswith("/ai-gateway/")


def test_what_streams_does_so_through_the_api_and_every_other_function_answers_at_once(template: Template) -> None:
    for group, integration in integrations(template):
        address = "".join(part for part in integration["Uri"]["Fn::Join"][1] if isinstance(part, str))
        if streams(FUNCTIONS[group]):
            assert integration["ResponseTransferMode"] == "STREAM"
            assert address.endswith(":lambda:path/2021-11-15/functions//response-streaming-invocations")
            assert integration["TimeoutInMillis"] == FUNCTIONS[group].block["timeout"] * 1000
        else:
            assert "ResponseTransferMode" not in integration
            assert address.endswith(":lambda:path/2015-03-31/functions//invocations")
            assert integration.get("TimeoutInMillis", 29000) <= 29000


def integrations(template: Template) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every method's integration with the group that it calls."""
    for method in template.of_type("AWS::ApiGateway::Method").values():
        integration = method["Properties"]["Integration"]
        (called,) = (part["Fn::GetAtt"][0] for part in integration["Uri"]["Fn::Join"][1] if "Fn::GetAtt" in part)
        yield GROUPS[called], integration


def test_only_api_gateway_its_schedules_and_its_own_address_call_a_function(template: Template) -> None:
    callers: dict[str, set[str]] = {group: set() for group in FUNCTIONS}
    for permission in template.of_type("AWS::Lambda::Permission").values():
        properties = permission["Properties"]
        by_address = properties.get("FunctionUrlAuthType") == "NONE" or properties.get("InvokedViaFunctionUrl") is True
        assert by_address or "SourceArn" in properties
        callers[GROUPS[properties["FunctionName"]["Fn::GetAtt"][0]]].add(properties["Principal"])
    for group, principals in callers.items():
        expected = {"apigateway.amazonaws.com"}
        expected |= {"*"} if has_address(FUNCTIONS[group]) else set()
        expected |= {"events.amazonaws.com"} if is_scheduled(FUNCTIONS[group]) else set()
        assert principals == expected


def test_chat_alone_has_an_address_of_its_own_and_it_streams(template: Template) -> None:
    urls = [each["Properties"] for each in template.of_type("AWS::Lambda::Url").values()]
    assert [GROUPS[url["TargetFunctionArn"]["Fn::GetAtt"][0]] for url in urls] == ["chat"]
    assert {url["InvokeMode"] for url in urls} == {"RESPONSE_STREAM"}


def test_the_api_is_regional_and_speaks_no_tls_before_1_2(template: Template) -> None:
    assert template.property("ApiGatewayRestApi", "EndpointConfiguration") == {"Types": ["REGIONAL"]}
    assert template.property("ApiGatewayRestApi", "SecurityPolicy").startswith("SecurityPolicy_TLS13_1_2_PFS_")


def test_the_api_is_deployed_when_its_methods_and_refusals_are_there(template: Template) -> None:
    (deployment,) = template.of_type("AWS::ApiGateway::Deployment").values()
    assert sorted(deployment["DependsOn"]) == sorted(template.of_type("AWS::ApiGateway::Method"))
    waited_for = {name for method in deployment["DependsOn"] for name in template.resources[method]["DependsOn"]}
    assert set(template.of_type("AWS::ApiGateway::GatewayResponse")) <= waited_for


def test_a_schedules_event_is_the_job_and_the_first_is_the_one_whose_silence_is_told(template: Template) -> None:
    rules = {name: each["Properties"] for name, each in template.of_type("AWS::Events::Rule").items()}
    assert {
        name: (rule["ScheduleExpression"], [target["Input"] for target in rule["Targets"]])
        for name, rule in rules.items()
    } == {
        "ScheduledEventsRuleSchedule1": ("rate(1 minute)", ['{"job":"settlement_sweep"}']),
        "ScheduledEventsRuleSchedule2": ("rate(1 minute)", ['{"job":"outbox"}']),
        "ScheduledEventsRuleSchedule3": ("rate(15 minutes)", ['{"job":"trial_expiry"}']),
        "ScheduledEventsRuleSchedule4": ("rate(15 minutes)", ['{"job":"billing_sweep"}']),
        "ScheduledEventsRuleSchedule5": ("rate(1 hour)", ['{"job":"usage_roll_up"}']),
        "ScheduledEventsRuleSchedule6": ("rate(1 day)", ['{"job":"key_rotation"}']),
        "ScheduledEventsRuleSchedule7": ("rate(1 day)", ['{"job":"reconcile"}']),
        "ScheduledEventsRuleSchedule8": ("rate(1 day)", ['{"job":"monthly_reports"}']),
        "ScheduledEventsRuleSchedule9": ("rate(1 day)", ['{"job":"purge"}']),
        "ScheduledEventsRuleSchedule10": ("rate(1 hour)", ['{"job":"catalog_sync"}']),
        "ScheduledEventsRuleSchedule11": ("rate(1 hour)", ['{"job":"ranking_sync"}']),
        "ScheduledEventsRuleSchedule12": ("rate(1 day)", ['{"job":"archive"}']),
    }
    (stopped,) = template.property("JobsStopped", "Dimensions")
    assert stopped["Value"] == {"Ref": "ScheduledEventsRuleSchedule1"}


def test_a_job_that_fails_twice_goes_to_the_queue(template: Template) -> None:
    (configuration,) = template.of_type("AWS::Lambda::EventInvokeConfig").values()
    assert configuration["Properties"]["FunctionName"] == {"Ref": "ScheduledLambdaFunction"}
    assert configuration["Properties"]["MaximumRetryAttempts"] == 1
    destination = configuration["Properties"]["DestinationConfig"]["OnFailure"]["Destination"]
    assert destination == {"Fn::GetAtt": ["FailedJobs", "Arn"]}


def test_no_function_reserves_instances_or_keeps_versions(template: Template) -> None:
    reserved = [each for each in template.of_type("AWS::Lambda::Function").values() if "Reserved" in str(each)]
    assert (reserved, template.of_type("AWS::Lambda::Version")) == ([], {})


def test_the_addresses_the_archive_and_the_queue_are_told(template: Template) -> None:
    urls = {f"{FUNCTIONS[group].logical_name}LambdaFunctionUrl" for group in ADDRESSED}
    assert {"ServiceEndpoint", "ArchiveBucketName", "FailedJobsQueueUrl"} | urls <= set(template.outputs)


def test_an_architecture_chooses_the_adapter_made_for_it(plain: Template, full: Template) -> None:
    for template, architecture, layer in ((plain, "arm64", "Arm64"), (full, "x86_64", "X86")):
        found = template.of_type("AWS::Lambda::Function")
        assert {str(function["Properties"]["Architectures"]) for function in found.values()} == {f"['{architecture}']"}
        layers = {GROUPS[name]: function["Properties"].get("Layers", []) for name, function in found.items()}
        assert {group for group, used in layers.items() if used} == STREAMING
        for group in STREAMING:
            (arn,) = layers[group]
            assert f":753240598075:layer:LambdaAdapterLayer{layer}:" in arn["Fn::Sub"]


def test_a_domain_leads_to_the_deployment_of_the_same_template(full: Template) -> None:
    mapping = full.resources["ApiDomainMapping"]
    assert mapping["DependsOn"] == list(full.of_type("AWS::ApiGateway::Deployment"))
    assert mapping["Properties"]["Stage"] == "prod"
    assert full.property("ApiDomain", "DomainName") == "api.example.com"
    assert full.property("ApiDomain", "RegionalCertificateArn") == CERTIFICATE


def test_a_boundary_holds_for_every_role_when_it_is_asked_for(plain: Template, full: Template) -> None:
    for template, boundary in ((plain, {"Ref": "AWS::NoValue"}), (full, BOUNDARY)):
        roles = template.of_type("AWS::IAM::Role").values()
        assert [role["Properties"]["PermissionsBoundary"] for role in roles] == [boundary] * len(FUNCTIONS)


def test_what_is_not_asked_for_is_not_made(plain: Template, full: Template) -> None:
    for template, is_there in ((plain, False), (full, True)):
        conditions = json.loads(template.path.read_text())["Conditions"]
        sides = {name: condition["Fn::Not"][0]["Fn::Equals"] for name, condition in conditions.items()}
        assert {name: left != right for name, (left, right) in sides.items()} == {
            "HasAlarmEmail": is_there,
            "HasDomain": is_there,
        }
        conditional = {name for name, each in template.resources.items() if "Condition" in each}
        assert conditional == {"AlarmTopic", "ApiDomain", "ApiDomainMapping"}
