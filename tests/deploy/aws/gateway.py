"""The gateway as AWS runs it: its zips deployed by osls into moto, behind a REST API and function URLs."""

import contextlib
import itertools
import json
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infra.local.environment import gateway_environment
from infra.local.ports import LOOPBACK, accepts_connections, choose_free_ports
from infra.local.processes import Service
from infra.local.stack import ROOT, LocalStack
from infra.package.dependencies import this_architecture
from tests.deploy.aws.account import Account
from tests.deploy.aws.deployed import Deployed, read_deployed
from tests.deploy.aws.deployment import SERVICE, deploy, put_parameters
from tests.deploy.aws.event_bridge import run_schedule
from tests.deploy.aws.invocation import FunctionError
from tests.deploy.aws.moto_server import moto_service
from tests.deploy.same_answers import CRON_SECRET


@dataclass(frozen=True, slots=True)
class LambdaGateway:
    """The running gateway; groups are the folders in functions/."""

    url: str
    function_urls: Mapping[str, str]
    account: Account
    deployed: Deployed
    lambda_url: str
    logs: Path

    @property
    def function_url(self) -> str:
        """The URL of the only function that has one of its own."""
        (url,) = self.function_urls.values()
        return url

    def invoke(self, group: str, event: object) -> Any:
        """Call a function and wait for what it returns.

        raises  FunctionError
        """
        client = self.account.client("lambda", self.lambda_url)
        answer = client.invoke(FunctionName=function_name(group), Payload=json.dumps(event).encode())
        payload: bytes = answer["Payload"].read()
        if "FunctionError" in answer:
            raise FunctionError(payload)
        return json.loads(payload)

    def run_schedule(self, job: str) -> None:
        """Fire the deployed rule of a job, as EventBridge does: nobody waits for the function.

        raises  DeploymentError when there is no such rule or it may not call its target
        """
        run_schedule(self.account, self.deployed, self.lambda_url, job)

    def failures(self) -> list[dict[str, Any]]:
        """Return what stands in the queues of failed events; it stays there."""
        queues = {function.failures_queue_arn for function in self.deployed.functions.values()} - {None}
        return [json.loads(body) for arn in queues for body in self._bodies(str(arn).rpartition(":")[2])]

    def log_text(self, group: str | None = None) -> str:
        """Return everything that one function, or all of them, have printed."""
        names = [function_name(group)] if group else sorted(self.deployed.functions)
        return "".join((self.logs / f"{name}.log").read_text(errors="replace") for name in names)

    def _bodies(self, queue: str) -> list[str]:
        client = self.account.client("sqs")
        url = client.get_queue_url(QueueName=queue)["QueueUrl"]
        received = client.receive_message(QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=0)
        return [message["Body"] for message in received.get("Messages", [])]


@contextlib.contextmanager
def lambda_gateway(stack: LocalStack) -> Iterator[LambdaGateway]:
    """Deploy the gateway into a fresh account, with the stack's stores as its own, and run it.

    raises  DeploymentError, StackError
    """
    with deployed_account(stack) as account, running_functions(stack, account) as gateway:
        yield gateway


@contextlib.contextmanager
def deployed_account(stack: LocalStack) -> Iterator[Account]:
    """Start a fresh account and deploy into it, parameters first."""
    (port,) = choose_free_ports(1)
    service, account = moto_service(port), Account(port)
    try:
        stack.start_service(service)
        with tempfile.TemporaryDirectory() as folder:
            put_parameters(account, gateway_environment(stack, {}) | {"CRON_SECRET": CRON_SECRET}, Path(folder))
            deploy(account, Path(folder), this_architecture())
        yield account
    finally:
        stack.processes.stop(service.name)


@contextlib.contextmanager
def running_functions(stack: LocalStack, account: Account) -> Iterator[LambdaGateway]:
    """Run what is deployed in an account; every instance of a function is new."""
    deployed = read_deployed(account)
    named = [function.name for function in deployed.functions.values() if function.url_invoke_mode]
    rest_port, lambda_port, *url_ports = choose_free_ports(2 + len(named))
    logs = stack.processes.log_path("lambda").parent
    with tempfile.TemporaryDirectory() as folder:
        urls = dict(zip(named, url_ports, strict=True))
        service = _service(account, Path(folder), logs, (rest_port, lambda_port), urls)
        try:
            stack.start_service(service)
            yield LambdaGateway(
                url=f"http://{LOOPBACK}:{rest_port}",
                function_urls={name.removeprefix(SERVICE): f"http://{LOOPBACK}:{port}" for name, port in urls.items()},
                account=account,
                deployed=deployed,
                lambda_url=f"http://{LOOPBACK}:{lambda_port}",
                logs=logs,
            )
        finally:
            stack.processes.stop(service.name)


def function_name(group: str) -> str:
    """Return the name that a group's function has in the account."""
    return f"{SERVICE}{group}"


def _service(account: Account, folder: Path, logs: Path, ports: tuple[int, int], urls: Mapping[str, int]) -> Service:
    rest_port, lambda_port = ports
    return Service(
        name=f"lambda-{next(_numbers)}",
        command=(
            *(sys.executable, "-m", "tests.deploy.aws"),
            *("--moto-port", str(account.port), "--folder", str(folder), "--logs", str(logs)),
            *("--rest-port", str(rest_port), "--lambda-port", str(lambda_port)),
            *(f"--url={name}={port}" for name, port in urls.items()),
        ),
        environment={"PYTHONPATH": str(ROOT)},
        is_ready=lambda: accepts_connections(rest_port),
    )


_numbers = itertools.count(1)
