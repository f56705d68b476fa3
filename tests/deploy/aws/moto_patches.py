"""Where moto knows less than the data plane must: details that it drops, permissions that it checks loosely."""

import json
from typing import Any

from moto import settings
from moto.apigateway.models import Integration, Method, RestAPI
from moto.cloudformation import models as cloudformation_models
from moto.cloudformation import parsing
from moto.cloudformation.exceptions import ValidationError
from moto.core.authorization import ActionAuthenticatorMixin
from moto.core.common_models import CloudFormationModel
from moto.core.responses import BaseResponse
from moto.iam.access_control import IAMPolicy
from moto.ssm.responses import SimpleSystemManagerResponse

# source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html#identifiers-prefixes
ASSUMED_ROLE_KEY_PREFIX = "ASIA"


def patch_moto() -> None:
    """Change this process's moto, before its first request."""
    _keep_integration_details()
    _keep_binary_media_types()
    _refuse_unknown_types()
    _check_roles()
    _check_parameters_by_name()
    # CloudFormation does not run cfn-lint, and moto refuses even what it only warns of. A test of ours runs it.
    _replace(cloudformation_models, "validate_template_cfn_lint", lambda template: [])


def _keep_integration_details() -> None:
    """Remember an integration's time limit and whether it streams."""
    create_method = Method.create_from_cloudformation_json
    describe = Integration.to_json

    def create(resource_name: str, cloudformation_json: Any, *place: str, **more: Any) -> Method:
        method = create_method(resource_name, cloudformation_json, *place, **more)
        given = cloudformation_json["Properties"]["Integration"]
        integration = method.method_integration
        assert integration is not None
        integration.timeout_in_millis = given.get("TimeoutInMillis")
        _replace(integration, "response_transfer_mode", given.get("ResponseTransferMode"))
        return method

    def describe_all(integration: Integration) -> dict[str, Any]:
        return {**describe(integration), "responseTransferMode": getattr(integration, "response_transfer_mode", None)}

    _replace(Method, "create_from_cloudformation_json", staticmethod(create))
    _replace(Integration, "to_json", describe_all)


def _keep_binary_media_types() -> None:
    """Remember which bodies an API takes for bytes."""
    create_api = RestAPI.create_from_cloudformation_json

    def create(resource_name: str, cloudformation_json: Any, *place: str, **more: Any) -> RestAPI:
        api = create_api(resource_name, cloudformation_json, *place, **more)
        api.binaryMediaTypes = cloudformation_json["Properties"].get("BinaryMediaTypes") or []
        return api

    _replace(RestAPI, "create_from_cloudformation_json", staticmethod(create))


def _refuse_unknown_types() -> None:
    """Fail a deployment that needs a resource of which moto knows nothing; it would leave it out with a warning."""
    find_class = parsing.resource_class_from_type

    def find_known_class(resource_type: str) -> type[CloudFormationModel]:
        found = find_class(resource_type)
        if found is None and resource_type not in parsing.NULL_MODELS:
            raise ValidationError(message=f"{resource_type} is to be added to moto_types.py")
        return found

    _replace(parsing, "resource_class_from_type", find_known_class)


def _check_roles() -> None:
    """Check the signature and the permissions of every request made in an assumed role, and of no other.

    moto would check all or none, and does not know every signature that boto3 makes.
    """
    check = ActionAuthenticatorMixin._authenticate_and_authorize_action
    read_policy = IAMPolicy.__init__

    def check_roles(response: BaseResponse, iam_request_cls: type, resource: str = "*") -> None:
        if f"Credential={ASSUMED_ROLE_KEY_PREFIX}" in response.headers.get("Authorization", ""):
            check(response, iam_request_cls, resource)

    def read_any_policy(policy: IAMPolicy, document: Any) -> None:
        # A role's own policy, when CloudFormation made it, is kept as it was parsed.
        is_parsed = isinstance(document, dict) and "Statement" in document
        read_policy(policy, json.dumps(document) if is_parsed else document)

    settings.INITIAL_NO_AUTH_ACTION_COUNT = 0
    _replace(ActionAuthenticatorMixin, "_authenticate_and_authorize_action", check_roles)
    _replace(IAMPolicy, "__init__", read_any_policy)


def _check_parameters_by_name() -> None:
    """Have GetParameters refused when the caller's role does not allow one of the names, as AWS refuses it."""
    get_parameters = SimpleSystemManagerResponse.get_parameters

    def arns(response: SimpleSystemManagerResponse) -> list[str]:
        names = response._get_param("Names") or [response._get_param("Name")]
        prefix = f"arn:aws:ssm:{response.region}:{response.current_account}:parameter/"
        return [prefix + name.lstrip("/") for name in names if name] or ["*"]

    def get_permitted_parameters(response: SimpleSystemManagerResponse) -> Any:
        for arn in arns(response):
            response._authenticate_and_authorize_normal_action(arn)
        return get_parameters(response)

    _replace(SimpleSystemManagerResponse, "_determine_resource", lambda response: arns(response)[0])
    _replace(SimpleSystemManagerResponse, "get_parameters", get_permitted_parameters)


def _replace(owner: object, name: str, replacement: object) -> None:
    """Put something of ours in the place of what moto has there."""
    setattr(owner, name, replacement)
