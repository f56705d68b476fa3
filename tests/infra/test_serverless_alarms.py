"""The alarms: what each watches, from what on it tells, and what it takes silence for."""

import ast
from dataclasses import dataclass, replace
from typing import Any

from infra.aws.template import read_functions
from infra.local.stack import ROOT
from tests.infra.aws.serverless import has_address, resources

FUNCTIONS = read_functions()


@dataclass(frozen=True, slots=True)
class Watch:
    """What an alarm watches: it tells when the sum of five minutes is above the threshold, unless it says otherwise."""

    namespace: str
    metric: str
    dimensions: dict[str, Any]
    threshold: int = 0
    comparison: str = "GreaterThanThreshold"
    missing_data: str = "notBreaching"
    evaluation_periods: int = 1
    statistic: str = "Sum"
    period_s: int = 300


# What is watched of the whole gateway, whatever functions it has.
SHARED = {
    "Throttles": Watch("AWS/Lambda", "Throttles", {}),
    "JobsFailed": Watch("AWS/SQS", "NumberOfMessagesSent", {"QueueName": {"Fn::GetAtt": ["FailedJobs", "QueueName"]}}),
    # Silence is what it is there for: ten minutes without a call, or without any number.
    "JobsStopped": Watch(
        "AWS/Events",
        "Invocations",
        {"RuleName": {"Ref": "ScheduledEventsRuleSchedule1"}},
        threshold=1,
        comparison="LessThanThreshold",
        missing_data="breaching",
        evaluation_periods=2,
    ),
    "HouseLoss": Watch("ai-gateway-${self:provider.stage}", "HouseLossBoundPassed", {}),
    "ServerErrors": Watch("AWS/ApiGateway", "5XXError", {"ApiName": "${self:provider.apiName}"}, threshold=10),
}


def alarms() -> dict[str, dict[str, Any]]:
    return {name: each["Properties"] for name, each in resources().items() if each["Type"] == "AWS::CloudWatch::Alarm"}


def watch_of(alarm: dict[str, Any]) -> Watch:
    return Watch(
        namespace=alarm["Namespace"],
        metric=alarm["MetricName"],
        dimensions={dimension["Name"]: dimension["Value"] for dimension in alarm["Dimensions"]},
        threshold=alarm["Threshold"],
        comparison=alarm["ComparisonOperator"],
        missing_data=alarm["TreatMissingData"],
        evaluation_periods=alarm["EvaluationPeriods"],
        statistic=alarm["Statistic"],
        period_s=alarm["Period"],
    )


def expected_watches() -> dict[str, Watch]:
    watches = dict(SHARED)
    for function in FUNCTIONS.values():
        name = "".join(word.title() for word in function.group.split("_"))
        errors = Watch("AWS/Lambda", "Errors", {"FunctionName": {"Ref": f"{function.logical_name}LambdaFunction"}})
        watches[f"{name}Errors"] = errors
        if has_address(function):
            watches[f"{name}UrlErrors"] = replace(errors, metric="Url5xxCount", threshold=10)
    return watches


def test_every_alarm_watches_what_it_is_named_for_and_tells_in_time() -> None:
    assert {name: watch_of(alarm) for name, alarm in alarms().items()} == expected_watches()


def test_the_line_of_a_passed_loss_bound_is_what_its_alarm_counts() -> None:
    lines = resources()["HouseLossLines"]["Properties"]
    flow = ast.parse((ROOT / "shared" / "flows" / "watch_losses.py").read_text())
    events = [str(call.args[0].value) for call in ast.walk(flow) if isinstance(call, ast.Call) and call.args
              and isinstance(call.args[0], ast.Constant)]  # fmt: skip
    assert lines["FilterPattern"] == f'{{ $.event = "{events[0]}" }}'
    (counted,) = lines["MetricTransformations"]
    watched = watch_of(alarms()["HouseLoss"])
    assert (counted["MetricNamespace"], counted["MetricName"]) == (watched.namespace, watched.metric)
    assert lines["LogGroupName"] == {"Ref": "ScheduledLogGroup"}


def test_every_alarm_tells_the_topic_of_its_beginning_and_its_end_when_there_is_one() -> None:
    told = {"Fn::If": ["HasAlarmEmail", [{"Ref": "AlarmTopic"}], {"Ref": "AWS::NoValue"}]}
    assert [
        name for name, alarm in alarms().items() if (alarm["AlarmActions"], alarm["OKActions"]) != (told, told)
    ] == []
    topic = resources()["AlarmTopic"]
    assert topic["Condition"] == "HasAlarmEmail"
    assert topic["Properties"]["Subscription"] == [{"Protocol": "email", "Endpoint": "${param:alarmEmail, ''}"}]
