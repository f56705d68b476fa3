"""Gateway processes for the tests: each its own uvicorn, on a free port, against the session's stack."""

import itertools
import os
import signal
from dataclasses import dataclass

from infra.local.environment import gateway_environment
from infra.local.gateway_service import gateway_service
from infra.local.ports import LOOPBACK, choose_free_ports
from infra.local.stack import LocalStack
from tests.harness.recorded_streams import with_recorder


@dataclass(frozen=True, slots=True)
class RunningGateway:
    """One gateway process."""

    name: str
    port: int
    stack: LocalStack

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://{LOOPBACK}:{self.port}"

    @property
    def pid(self) -> int:
        """Its process number."""
        return self.stack.processes.pid(self.name)

    def stop(self) -> None:
        """Stop it in order; a second call does nothing."""
        self.stack.processes.stop(self.name)

    def kill(self) -> None:
        """End it as a crash does: nothing is finished, nothing given back."""
        os.kill(self.pid, signal.SIGKILL)
        self.stop()

    def log_text(self) -> str:
        """Return everything it has printed."""
        return self.stack.processes.log_path(self.name).read_text(errors="replace")


class Gateways:
    """Starts gateways and stops those that a test left running."""

    def __init__(self, stack: LocalStack) -> None:
        self._stack = stack
        self._started: list[RunningGateway] = []

    def __call__(self, **overrides: str | None) -> RunningGateway:
        """Start a gateway; overrides are variables of its environment, None takes one away.

        raises  StackError with the end of its log when it does not start
        """
        name = f"gateway-{next(_numbers)}"
        (port,) = choose_free_ports(1)
        gateway = RunningGateway(name, port, self._stack)
        variables = {**gateway_environment(self._stack, {}, gateway_url=gateway.url), **overrides}
        environment = {name: value for name, value in variables.items() if value is not None}
        self._started.append(gateway)
        service = gateway_service(port, environment, name=name)
        self._stack.start_service(with_recorder(service, self._stack.processes))
        return gateway

    def stop_all(self) -> None:
        """Stop every gateway started here."""
        self._stack.processes.stop(*(gateway.name for gateway in self._started))


_numbers = itertools.count(1)
