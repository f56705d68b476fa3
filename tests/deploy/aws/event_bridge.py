"""EventBridge: the deployed rules, and what happens when the time of one has come."""

import json
from typing import Any

from tests.deploy.aws.account import Account
from tests.deploy.aws.deployed import Deployed, DeploymentError


def run_schedule(account: Account, deployed: Deployed, lambda_url: str, job: str) -> None:
    """Send the input of a job's rule to the function that the rule names, as an event.

    raises  DeploymentError when there is no such rule, it does not run, or the function does not let it in
    """
    rule, target = _find(account, job)
    function = deployed.functions[target["Arn"].rpartition(":")[2]]
    if rule["State"] != "ENABLED" or not rule.get("ScheduleExpression"):
        raise DeploymentError(f"the rule of {job} never runs: {rule}")
    if not function.lets_in("events.amazonaws.com", rule["Arn"]):
        raise DeploymentError(f"{function.name} does not let {rule['Name']} in")
    client = account.client("lambda", lambda_url)
    client.invoke(FunctionName=function.name, InvocationType="Event", Payload=target["Input"].encode())


def _find(account: Account, job: str) -> tuple[dict[str, Any], dict[str, Any]]:
    client = account.client("events")
    for rule in client.list_rules()["Rules"]:
        for target in client.list_targets_by_rule(Rule=rule["Name"])["Targets"]:
            if json.loads(target.get("Input", "{}")).get("job") == job:
                return rule, target
    raise DeploymentError(f"no rule runs {job}")
