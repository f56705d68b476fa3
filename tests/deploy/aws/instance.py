"""One instance of a function: its process, started as Lambda starts it and frozen between two events."""

import asyncio
import contextlib
import os
import signal
import sys
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from infra.local.ports import choose_free_ports
from infra.local.processes import LAUNCHER
from tests.deploy.aws.account import REGION, Account
from tests.deploy.aws.deployed import DeployedFunction
from tests.deploy.aws.image import RUNTIME_CLIENT, Image
from tests.deploy.aws.invocation import FunctionError, Invocation
from tests.deploy.aws.runtime_api import RuntimeApi
from tests.deploy.aws.web_adapter import WebAdapter

# Lambda gives it ten seconds; here many processes share two processors.
START_WITHIN_S = 60.0


@dataclass(frozen=True, slots=True)
class Unpacked:
    """A function with its code in a folder, and the account as its role sees it."""

    function: DeployedFunction
    folder: Path
    account: Account


class Instance:
    """A running process and its Runtime API."""

    def __init__(self, process: asyncio.subprocess.Process, runtime_api: RuntimeApi, ending: AsyncExitStack) -> None:
        self._process = process
        self._runtime_api = runtime_api
        self._ending = ending
        self._end: asyncio.Future[None] | None = None

    async def wait_ready(self) -> None:
        """Wait until it asks for its first event.

        raises  FunctionError when it cannot start
        """
        if not await self._asks_again(START_WITHIN_S):
            raise self._runtime_api.init_error or self._why_not(f"Not started within {START_WITHIN_S:.0f} s")

    async def run(self, invocation: Invocation) -> bool:
        """Have it handle one event; tell whether it can take another."""
        _send_all(self._process, signal.SIGCONT)
        invocation.begin()
        self._runtime_api.hand_out(invocation)
        if await self._asks_again(invocation.timeout_s):
            _send_all(self._process, signal.SIGSTOP)
            invocation.fail(FunctionError.of("Runtime.NoAnswer", "The runtime asked for the next event instead"))
            return True
        invocation.fail(self._why_not(f"Task timed out after {invocation.timeout_s:.2f} seconds"))
        return False

    async def end(self) -> None:
        """End it and all that it started; whoever asks again waits for the same end."""
        if self._end is None:
            self._end = asyncio.ensure_future(self._ending.aclose())
        await asyncio.shield(self._end)

    async def _asks_again(self, within_s: float) -> bool:
        """Wait until it asks for an event, is over or the time is up; tell whether it asked."""
        asks = asyncio.ensure_future(self._runtime_api.is_waiting.wait())
        ends = asyncio.ensure_future(self._process.wait())
        await asyncio.wait({asks, ends}, timeout=within_s, return_when=asyncio.FIRST_COMPLETED)
        asks.cancel()
        ends.cancel()
        return self._runtime_api.is_waiting.is_set() and self._process.returncode is None

    def _why_not(self, if_late: str) -> FunctionError:
        if self._process.returncode is None:
            return FunctionError.of("Sandbox.Timedout", if_late)
        return FunctionError.of("Runtime.ExitError", f"Runtime exited with status {self._process.returncode}")


async def start_instance(unpacked: Unpacked, image: Image, log: IO[bytes]) -> Instance:
    """Start an instance; it is ready when it asks for its first event."""
    function, runtime_api = unpacked.function, RuntimeApi(unpacked.function.arn)
    async with AsyncExitStack() as ending:
        address = await ending.enter_async_context(runtime_api.serve())
        (port,) = choose_free_ports(1)
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", "-S", str(LAUNCHER), str(int(signal.SIGKILL)), str(os.getpid())),
            *_command(unpacked, image),
            cwd=unpacked.folder,
            env={**instance_environment(unpacked, image, address), "AWS_LWA_PORT": str(port)},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        ending.push_async_callback(_kill, process)
        if function.has_web_adapter:
            adapter = WebAdapter(function.variables, address, port, {"env_config": _describe(function)})
            ending.push_async_callback(_cancel, asyncio.create_task(_run_adapter(adapter, process)))
        started = ending.pop_all()
    return Instance(process, runtime_api, started)


def instance_environment(unpacked: Unpacked, image: Image, runtime_api: str) -> dict[str, str]:
    """Return what Lambda sets, and the function's own variables; nothing of ours is inherited.

    source  https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html
    """
    function = unpacked.function
    return {
        **image.environment,
        **function.variables,
        **unpacked.account.environment,
        "_HANDLER": function.handler,
        "LAMBDA_TASK_ROOT": str(unpacked.folder),
        "AWS_LAMBDA_RUNTIME_API": runtime_api,
        "AWS_LAMBDA_FUNCTION_NAME": function.name,
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(function.memory_mb),
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_LOG_GROUP_NAME": f"/aws/lambda/{function.name}",
        "AWS_LAMBDA_LOG_STREAM_NAME": f"{os.getpid()}",
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_EXECUTION_ENV": "AWS_Lambda_python3.12",
        "AWS_REGION": REGION,
    }


def _command(unpacked: Unpacked, image: Image) -> tuple[str, ...]:
    if unpacked.function.has_web_adapter:
        return (str(unpacked.folder / unpacked.function.handler),)
    return (image.python, "-m", RUNTIME_CLIENT, unpacked.function.handler)


def _describe(function: DeployedFunction) -> dict[str, object]:
    return {"function_name": function.name, "memory": function.memory_mb, "version": "$LATEST"}


async def _run_adapter(adapter: WebAdapter, process: asyncio.subprocess.Process) -> None:
    try:
        await adapter.run()
    finally:
        # Without its adapter an instance answers nothing more.
        _send_all(process, signal.SIGKILL)


async def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def _kill(process: asyncio.subprocess.Process) -> None:
    _send_all(process, signal.SIGKILL)
    await process.wait()


def _send_all(process: asyncio.subprocess.Process, signal_number: signal.Signals) -> None:
    """Signal the process and all that it started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal_number)
