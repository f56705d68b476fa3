"""The resource types of our template that moto's CloudFormation lacks, each made through its own service's API."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import boto3
from moto.cloudformation import parsing
from moto.core.common_models import CloudFormationModel

from tests.deploy.aws.account import REGION

Properties = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Created:
    """A resource that now exists: its physical id, and what Fn::GetAtt may ask for."""

    physical_id: str
    attributes: Mapping[str, str] = field(default_factory=dict)


# Makes one resource from its properties and the name that CloudFormation gave it.
Create = Callable[[Properties, str], Created]


def add_types(endpoint: str) -> None:
    """Make the types known to this process's moto; it finds them as subclasses of its own class."""
    services = Services(endpoint)
    for type_name, create, attributes in (
        ("AWS::ApiGateway::GatewayResponse", services.create_gateway_response, ()),
        ("AWS::ApiGateway::Stage", services.create_stage, ()),
        ("AWS::CloudWatch::Alarm", services.create_alarm, ("Arn",)),
        ("AWS::Lambda::EventInvokeConfig", services.create_event_invoke_config, ()),
        ("AWS::Lambda::Url", services.create_function_url, ("FunctionUrl", "FunctionArn")),
        ("AWS::Logs::MetricFilter", services.create_metric_filter, ()),
        ("AWS::S3::BucketPolicy", services.create_bucket_policy, ()),
        ("AWS::SQS::QueuePolicy", services.create_queue_policy, ()),
    ):
        _add_type(type_name, create, frozenset(attributes))
    # moto lists the types once and keeps the list; nothing else would keep ours.
    parsing.get_model_list()


@dataclass(frozen=True, slots=True)
class Services:
    """The services of the same server that make the resources."""

    endpoint: str

    def create_gateway_response(self, properties: Properties, name: str) -> Created:
        """Put the answer that API Gateway gives by itself."""
        self._client("apigateway").put_gateway_response(**_lower_camel_case(properties))
        return Created(name)

    def create_stage(self, properties: Properties, _: str) -> Created:
        """Publish a deployment; what concerns metrics and logs has no effect here."""
        known = ("RestApiId", "StageName", "DeploymentId", "Variables", "TracingEnabled")
        given = {name: properties[name] for name in known if name in properties}
        self._client("apigateway").create_stage(**_lower_camel_case(given))
        return Created(properties["StageName"])

    def create_alarm(self, properties: Properties, name: str) -> Created:
        """Put an alarm on a metric."""
        given = {"AlarmName": name, **properties}
        self._client("cloudwatch").put_metric_alarm(**given)
        (alarm,) = self._client("cloudwatch").describe_alarms(AlarmNames=[given["AlarmName"]])["MetricAlarms"]
        return Created(alarm["AlarmName"], {"Arn": alarm["AlarmArn"]})

    def create_event_invoke_config(self, properties: Properties, name: str) -> Created:
        """Say how often an event is repeated and where it goes when all attempts failed."""
        given = {key: value for key, value in properties.items() if key != "Qualifier"}
        self._client("lambda").put_function_event_invoke_config(**given)
        return Created(name)

    def create_function_url(self, properties: Properties, _: str) -> Created:
        """Give a function its own address."""
        given = {key: value for key, value in properties.items() if key != "TargetFunctionArn"}
        url = self._client("lambda").create_function_url_config(FunctionName=properties["TargetFunctionArn"], **given)
        return Created(url["FunctionArn"], {"FunctionUrl": url["FunctionUrl"], "FunctionArn": url["FunctionArn"]})

    def create_metric_filter(self, properties: Properties, name: str) -> Created:
        """Count the lines of a log that a pattern finds."""
        given = _lower_camel_case(properties)
        given["metricTransformations"] = [_lower_camel_case(each) for each in properties["MetricTransformations"]]
        self._client("logs").put_metric_filter(filterName=name, **given)
        return Created(name)

    def create_bucket_policy(self, properties: Properties, _: str) -> Created:
        """Do nothing: moto would obey a Deny without looking at its Condition."""
        return Created(properties["Bucket"])

    def create_queue_policy(self, properties: Properties, name: str) -> Created:
        """Say who may send to a queue."""
        policy = json.dumps(properties["PolicyDocument"])
        for url in properties["Queues"]:
            self._client("sqs").set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
        return Created(name)

    def _client(self, service: str) -> Any:
        return boto3.client(
            service,
            endpoint_url=self.endpoint,
            region_name=REGION,
            aws_access_key_id="cloudformation",
            aws_secret_access_key="cloudformation",
        )


def _add_type(type_name: str, create: Create, attribute_names: frozenset[str]) -> None:
    class Added(CloudFormationModel):
        def __init__(self, created: Created) -> None:
            self.physical_resource_id = created.physical_id
            self._attributes = created.attributes

        @staticmethod
        def cloudformation_name_type() -> str:
            return ""

        @staticmethod
        def cloudformation_type() -> str:
            return type_name

        @classmethod
        def has_cfn_attr(cls, attr: str) -> bool:
            return attr in attribute_names

        def get_cfn_attribute(self, attribute_name: str) -> str:
            return self._attributes[attribute_name]

        @classmethod
        def create_from_cloudformation_json(
            cls,
            resource_name: str,
            cloudformation_json: dict[str, Any],
            account_id: str,
            region_name: str,
            **_: Any,
        ) -> "Added":
            return cls(create(dict(cloudformation_json["Properties"]), resource_name))

        @classmethod
        def update_from_cloudformation_json(
            cls,
            original_resource: "Added",
            new_resource_name: str,
            cloudformation_json: dict[str, Any],
            account_id: str,
            region_name: str,
        ) -> "Added":
            return original_resource

        @classmethod
        def delete_from_cloudformation_json(
            cls, resource_name: str, cloudformation_json: dict[str, Any], account_id: str, region_name: str
        ) -> None:
            return

        def is_created(self) -> bool:
            return True


def _lower_camel_case(properties: Properties) -> Properties:
    """Write the names as the APIs of API Gateway and CloudWatch Logs do."""
    return {name[0].lower() + name[1:]: value for name, value in properties.items()}
