"""What stands in the account after a deployment, read from the services themselves."""

import base64
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any
from urllib.parse import unquote, urlsplit

from tests.deploy.aws.account import ACCOUNT_ID, REGION, Account

# source: https://docs.aws.amazon.com/apigateway/latest/developerguide/limits.html
DEFAULT_INTEGRATION_LIMIT_MS = 29_000
BUFFERED_URI = re.compile(r":lambda:path/2015-03-31/functions/([^/]+)/invocations$")
# source: https://docs.aws.amazon.com/apigateway/latest/developerguide/response-transfer-mode-lambda.html
STREAMED_URI = re.compile(r":lambda:path/2021-11-15/functions/([^/]+)/response-streaming-invocations$")
# What the Lambda Web Adapter puts into an instance, and the layers that hold it.
# source: https://github.com/aws/aws-lambda-web-adapter#lambda-functions-packaged-as-zip-package-for-aws-managed-runtimes
WEB_ADAPTER = "/opt/bootstrap"
WEB_ADAPTER_LAYERS = {"x86_64": "LambdaAdapterLayerX86", "arm64": "LambdaAdapterLayerArm64"}
LAYER = re.compile(r":layer:(\w+):")


class DeploymentError(Exception):
    """What was deployed would not work on AWS; the message says what."""


@dataclass(frozen=True, slots=True)
class DeployedFunction:
    """One function; failures_queue_url is where the event of a call goes that failed on every attempt."""

    name: str
    arn: str
    handler: str
    role_arn: str
    timeout_s: int
    memory_mb: int
    architecture: str
    layers: tuple[str, ...]
    code_location: str
    code_sha256: str
    variables: Mapping[str, str] = field(repr=False)
    policy: tuple[Mapping[str, Any], ...] = field(repr=False)
    retries: int
    failures_queue_arn: str | None
    url_invoke_mode: str | None

    def read_code(self, account: Account) -> bytes:
        """Return the very zip that was uploaded.

        raises  DeploymentError when it is not what the function was made from
        """
        key = unquote(urlsplit(self.code_location).path).removeprefix("/")
        for bucket in account.client("s3").list_buckets()["Buckets"]:
            found = account.client("s3").list_objects_v2(Bucket=bucket["Name"], Prefix=key)
            if found["KeyCount"] == 1:
                code: bytes = account.client("s3").get_object(Bucket=bucket["Name"], Key=key)["Body"].read()
                if base64.b64encode(hashlib.sha256(code).digest()).decode() == self.code_sha256:
                    return code
        raise DeploymentError(f"the code of {self.name} is in no bucket: {key}")

    @property
    def has_web_adapter(self) -> bool:
        """Whether the Web Adapter is its runtime."""
        return self.variables.get("AWS_LAMBDA_EXEC_WRAPPER") == WEB_ADAPTER

    def check(self) -> None:
        """Find what AWS would only say when the function is called.

        raises  DeploymentError
        """
        layer = WEB_ADAPTER_LAYERS[self.architecture]
        if self.has_web_adapter and layer not in self.layers:
            raise DeploymentError(f"{self.name} starts with {WEB_ADAPTER} and has not the layer {layer}")
        if self.url_invoke_mode and not self._lets_in_everybody:
            raise DeploymentError(f"{self.name} has a URL that nobody may call")

    def lets_in(self, service: str, source_arn: str) -> bool:
        """Tell whether its policy lets a service call it on behalf of a resource."""
        return any(
            statement["Principal"] == {"Service": service}
            and statement["Action"] == "lambda:InvokeFunction"
            and _matches_any(statement.get("Condition", {}).get("ArnLike", {}).get("AWS:SourceArn", "*"), source_arn)
            for statement in self.policy
        )

    @property
    def _lets_in_everybody(self) -> bool:
        """Tell whether its policy lets anybody call its own URL.

        source  https://docs.aws.amazon.com/lambda/latest/dg/urls-auth.html (both permissions since October 2025)
        """
        public = {statement["Action"] for statement in self.policy if statement["Principal"] == "*"}
        return {"lambda:InvokeFunctionUrl", "lambda:InvokeFunction"} <= public


@dataclass(frozen=True, slots=True)
class Route:
    """One method of one resource of the REST API, and the function behind it."""

    resource: str
    method: str
    function: str
    is_streamed: bool
    limit_s: float


@dataclass(frozen=True, slots=True)
class GatewayResponse:
    """How an answer of API Gateway itself was changed; status None keeps its own."""

    status: int | None
    headers: Mapping[str, str]
    templates: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class RestApi:
    """The REST API as its stage serves it."""

    id: str
    stage: str
    routes: tuple[Route, ...]
    gateway_responses: Mapping[str, GatewayResponse]
    binary_media_types: frozenset[str]


@dataclass(frozen=True, slots=True)
class Deployed:
    """Everything that answers a call."""

    functions: Mapping[str, DeployedFunction]
    api: RestApi


def read_deployed(account: Account) -> Deployed:
    """Read the account, which holds one REST API.

    raises  DeploymentError when a function may not be called by what calls it
    """
    functions = {function.name: function for function in _read_functions(account)}
    return Deployed(functions, _read_api(account, functions))


def _read_functions(account: Account) -> list[DeployedFunction]:
    client = account.client("lambda")
    pages = client.get_paginator("list_functions").paginate()
    layers = _read_layers(account)
    return [
        _read_function(account, listed, layers[listed["FunctionName"]])
        for page in pages
        for listed in page["Functions"]
    ]


def _read_function(account: Account, listed: Mapping[str, Any], layers: tuple[str, ...]) -> DeployedFunction:
    client, name = account.client("lambda"), listed["FunctionName"]
    url = _read_optional(client, "get_function_url_config", name)
    on_event = _read_optional(client, "get_function_event_invoke_config", name)
    policy = _read_optional(client, "get_policy", name)
    function = DeployedFunction(
        name=name,
        arn=listed["FunctionArn"],
        handler=listed["Handler"],
        role_arn=listed["Role"],
        timeout_s=listed["Timeout"],
        memory_mb=listed["MemorySize"],
        architecture=listed["Architectures"][0],
        layers=layers,
        code_location=client.get_function(FunctionName=name)["Code"]["Location"],
        code_sha256=listed["CodeSha256"],
        variables=listed.get("Environment", {}).get("Variables", {}),
        policy=tuple(json.loads(policy["Policy"])["Statement"]) if policy else (),
        # source: https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html
        retries=on_event.get("MaximumRetryAttempts", 2),
        failures_queue_arn=on_event.get("DestinationConfig", {}).get("OnFailure", {}).get("Destination"),
        url_invoke_mode=url.get("InvokeMode") if url else None,
    )
    function.check()
    return function


def _read_optional(client: Any, operation: str, function: str) -> dict[str, Any]:
    try:
        answer: dict[str, Any] = getattr(client, operation)(FunctionName=function)
    except client.exceptions.ResourceNotFoundException:
        return {}
    return answer


def _read_layers(account: Account) -> dict[str, tuple[str, ...]]:
    """Return the names of each function's layers from the template: moto forgets layers of other accounts."""
    client = account.client("cloudformation")
    (stack,) = client.describe_stacks()["Stacks"]
    template = client.get_template(StackName=stack["StackName"])["TemplateBody"]["Resources"]
    resources = client.list_stack_resources(StackName=stack["StackName"])["StackResourceSummaries"]
    return {
        resource["PhysicalResourceId"]: tuple(
            LAYER.findall(json.dumps(template[resource["LogicalResourceId"]]["Properties"].get("Layers", [])))
        )
        for resource in resources
        if resource["ResourceType"] == "AWS::Lambda::Function"
    }


def _read_api(account: Account, functions: Mapping[str, DeployedFunction]) -> RestApi:
    client = account.client("apigateway")
    (api,) = client.get_rest_apis()["items"]
    (stage,) = client.get_stages(restApiId=api["id"])["item"]
    resources = client.get_resources(restApiId=api["id"], limit=500, embed=["methods"])["items"]
    routes = tuple(
        _read_route(api["id"], resource["path"], method, found["methodIntegration"], functions)
        for resource in resources
        for method, found in resource.get("resourceMethods", {}).items()
    )
    responses = client.get_gateway_responses(restApiId=api["id"])["items"]
    return RestApi(
        id=api["id"],
        stage=stage["stageName"],
        routes=routes,
        gateway_responses={response["responseType"]: _read_gateway_response(response) for response in responses},
        binary_media_types=frozenset(api.get("binaryMediaTypes", ())),
    )


def _read_route(
    api_id: str,
    resource: str,
    method: str,
    integration: Mapping[str, Any],
    functions: Mapping[str, DeployedFunction],
) -> Route:
    is_streamed = integration.get("responseTransferMode") == "STREAM"
    found = (STREAMED_URI if is_streamed else BUFFERED_URI).search(integration["uri"])
    if integration["type"] != "AWS_PROXY" or found is None:
        raise DeploymentError(f"{method} {resource} is no proxy of a function: {integration}")
    function = functions[found[1].rpartition(":")[2]]
    source_arn = f"arn:aws:execute-api:{REGION}:{ACCOUNT_ID}:{api_id}/stage/{method}{resource}"
    if not function.lets_in("apigateway.amazonaws.com", source_arn):
        raise DeploymentError(f"API Gateway may not call {function.name}, which stands behind {method} {resource}")
    limit_ms = int(integration.get("timeoutInMillis") or DEFAULT_INTEGRATION_LIMIT_MS)
    return Route(resource, method, function.name, is_streamed, limit_ms / 1000)


def _read_gateway_response(response: Mapping[str, Any]) -> GatewayResponse:
    prefix = "gatewayresponse.header."
    parameters = response.get("responseParameters", {})
    return GatewayResponse(
        status=int(response["statusCode"]) if response.get("statusCode") else None,
        headers={name.removeprefix(prefix): value for name, value in parameters.items() if name.startswith(prefix)},
        templates=response.get("responseTemplates", {}),
    )


def _matches_any(patterns: str | list[str], arn: str) -> bool:
    return any(fnmatchcase(arn, pattern) for pattern in ([patterns] if isinstance(patterns, str) else patterns))
