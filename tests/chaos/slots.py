"""Gateway processes at fixed places: killed, and started again beside whatever else is going on."""

import asyncio
import itertools
import os
import random
import signal
import time
from collections.abc import Mapping, Sequence

from infra.local.environment import gateway_environment
from infra.local.gateway_service import gateway_service
from infra.local.ports import LOOPBACK, accepts_connections, choose_free_ports
from infra.local.processes import StackError
from infra.local.stack import LocalStack
from tests.chaos.asked import Life
from tests.harness.recorded_streams import with_recorder

START_WITHIN_S = 30.0
POLL_S = 0.05

_numbers = itertools.count(1)


class Slot:
    """A place that holds one gateway process at a time."""

    def __init__(self, stack: LocalStack, overrides: Mapping[str, str]) -> None:
        self._stack = stack
        self._environment = {**gateway_environment(stack, {}), **overrides}
        self._name = f"chaos-{next(_numbers)}"
        self.life: Life | None = None

    async def start(self) -> None:
        """Start a process and wait until it listens, without keeping anybody else waiting.

        raises  StackError when it does not start
        """
        (port,) = choose_free_ports(1)
        service = gateway_service(port, self._environment, name=self._name)
        self._stack.processes.start(with_recorder(service, self._stack.processes))
        deadline_s = time.monotonic() + START_WITHIN_S
        while not await asyncio.to_thread(accepts_connections, port):
            if time.monotonic() > deadline_s:
                raise StackError(f"{self._name} did not start; see {self._stack.processes.log_path(self._name)}")
            await asyncio.sleep(POLL_S)
        self.life = Life(f"http://{LOOPBACK}:{port}")

    def kill(self) -> None:
        """End the process as a crash does: nothing is finished, nothing given back."""
        assert self.life is not None
        os.kill(self._stack.processes.pid(self._name), signal.SIGKILL)
        self.life.killed_at = time.time()
        self.life = None
        self._stack.processes.stop(self._name)

    def stop(self) -> None:
        """Stop the process in order; what is not there is left alone."""
        self.life = None
        self._stack.processes.stop(self._name)

    def count_logged(self, event: str) -> int:
        """Return how often the processes of this place have logged an event."""
        return self._stack.processes.log_path(self._name).read_text(errors="replace").count(f'"event": "{event}"')


async def start_slots(stack: LocalStack, count: int, overrides: Mapping[str, str]) -> list[Slot]:
    """Start so many gateways at once.

    raises  StackError
    """
    slots = [Slot(stack, overrides) for _ in range(count)]
    await asyncio.gather(*(slot.start() for slot in slots))
    return slots


async def a_life(slots: Sequence[Slot], chance: random.Random) -> Life:
    """Return one of the processes that run now, waiting while none does.

    raises  TimeoutError
    """
    deadline_s = time.monotonic() + START_WITHIN_S
    while not (living := [slot.life for slot in slots if slot.life is not None]):
        if time.monotonic() > deadline_s:
            raise TimeoutError("no gateway is running")
        await asyncio.sleep(POLL_S)
    return chance.choice(living)
